//! Connections of a public port: only so many at once, and none that stays silent.
//!
//! More wait in the operating system's queue until one ends. A connection on which nothing has moved in
//! either direction for two minutes is closed, so that idle ones do not hold the places.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};

use crate::serve::prepare;

/// How long a connection may say nothing; longer than the longest wait for an answer.
pub const SILENCE: Duration = Duration::from_mins(2);

/// A listener with so many places.
#[derive(Debug)]
pub struct Connections {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence: Duration,
}

/// Who is at the other end of a connection. Its place is free again when the last of these is dropped.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    #[expect(dead_code, reason = "held, never read")]
    place: Option<Arc<OwnedSemaphorePermit>>,
}

/// A connection that fails when nothing has moved on it for too long.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    silence: Duration,
    moved_at: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Connections {
    /// At most so many at once, and at least one.
    pub fn new(listener: TcpListener, at_most: usize) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(at_most.clamp(1, Semaphore::MAX_PERMITS))),
            silence: SILENCE,
        }
    }
}

impl Peer {
    /// Somebody at this address, without a place.
    pub const fn at(address: SocketAddr) -> Self {
        Self {
            address,
            place: None,
        }
    }

    /// The address without its port.
    pub const fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

impl axum::serve::Listener for Connections {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
        prepare(&stream);
        let connection = Connection {
            stream,
            silence: self.silence,
            moved_at: Instant::now(),
            alarm: Box::pin(tokio::time::sleep(self.silence)),
        };
        let peer = Peer {
            address,
            // The semaphore is never closed.
            place: place.ok().map(Arc::new),
        };
        (connection, peer)
    }

    fn local_addr(&self) -> io::Result<Peer> {
        self.listener.local_addr().map(Peer::at)
    }
}

impl Connected<IncomingStream<'_, Connections>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Connection {
    fn moved<T>(&mut self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_ready() {
            self.moved_at = Instant::now();
        }
        outcome
    }

    /// Whether it has been silent for too long; wakes the task when it might have.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let end = self.moved_at.checked_add(self.silence);
            match end.filter(|end| *end > Instant::now()) {
                Some(end) => self.alarm.as_mut().reset(end),
                None => return true,
            }
        }
        false
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() && self.is_silent(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.moved(read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.moved(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.moved(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::ConnectInfo, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// Serves the caller's address with these bounds.
    async fn start(at_most: usize, silence: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Connections {
            silence,
            ..Connections::new(listener, at_most)
        };
        let who = async |ConnectInfo(peer): ConnectInfo<Peer>| peer.ip().to_string();
        let service = Router::new()
            .route("/", get(who))
            .into_make_service_with_connect_info::<Peer>();
        tokio::spawn(async move { axum::serve(connections, service).await });
        address
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 1_024];
        let len = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..len]).into_owned()
    }

    #[tokio::test]
    async fn a_connection_beyond_the_last_place_waits_for_one() {
        let address = start(1, SILENCE).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut first).await.ends_with("127.0.0.1"));
        let mut second = TcpStream::connect(address).await.unwrap();
        let waits = timeout(Duration::from_millis(200), ask(&mut second)).await;
        assert!(waits.is_err());
        assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));
        drop(first);
        let mut answer = [0; 12];
        timeout(SOON, second.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed_and_one_that_speaks_is_not() {
        let address = start(2, Duration::from_millis(1_500)).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut speaks = TcpStream::connect(address).await.unwrap();
        for _ in 0..14 {
            assert!(ask(&mut speaks).await.starts_with("HTTP/1.1 200"));
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        let end = timeout(SOON, silent.read(&mut [0; 16])).await.unwrap();
        assert!(end.is_err() || end.is_ok_and(|len| len == 0));
    }
}
