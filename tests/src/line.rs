//! A line to a server that can be cut: connections break off in the middle, and for a while there is nobody.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use reqwest::Url;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A running line; it ends when it is dropped.
#[derive(Debug)]
pub struct Line {
    /// Where it listens.
    pub url: Url,
    cuts: watch::Sender<()>,
    is_down: Arc<AtomicBool>,
    _task: JoinSet<()>,
}

impl Line {
    /// A line to the server at this URL.
    pub async fn to(server: &Url) -> Self {
        let server = server.socket_addrs(|| None).unwrap()[0];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let cuts = watch::Sender::new(());
        let is_down = Arc::new(AtomicBool::new(false));
        let mut task = JoinSet::new();
        task.spawn(listen(listener, server, cuts.clone(), Arc::clone(&is_down)));
        Self {
            url: url.parse().unwrap(),
            cuts,
            is_down,
            _task: task,
        }
    }

    /// Breaks every connection off.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }

    /// Breaks every connection off, and every new one, until it is up again.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
        if is_down {
            self.cut();
        }
    }
}

async fn listen(
    listener: TcpListener,
    server: SocketAddr,
    cuts: watch::Sender<()>,
    is_down: Arc<AtomicBool>,
) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let mut cut = cuts.subscribe();
        // One that comes while the line is down is dropped, and so broken off.
        if is_down.load(Ordering::Relaxed) {
            continue;
        }
        connections.spawn(async move {
            let Ok(mut far) = TcpStream::connect(server).await else {
                return;
            };
            drop((near.set_nodelay(true), far.set_nodelay(true)));
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => (),
                _ = cut.changed() => (),
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
