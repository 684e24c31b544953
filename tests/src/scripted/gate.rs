//! What stands between an indexer and ClickHouse: passes requests on, or refuses them, cuts inserts short, and loses the
//! acknowledgements of inserts that were made. Its address stays when ClickHouse gets another.

use std::{
    io,
    sync::{Arc, Mutex},
};

use reqwest::Url;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    fuse::{Fuse, Moment},
    wire::{self, Delivery, Reply, Request},
};

/// Headers that belong to one connection.
const OF_THE_CONNECTION: [&str; 5] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "transfer-encoding",
];

/// A running gate; it ends when it is dropped.
#[derive(Debug)]
pub struct Gate {
    /// Where it listens.
    pub url: Url,
    pass: Arc<Pass>,
    _tasks: JoinSet<()>,
}

/// What happens to the next requests; each is used up by what it happens to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Requests that are refused.
    pub refuse: u32,
    /// Inserts whose body ends early.
    pub cut: u32,
    /// Inserts that are made but not acknowledged.
    pub lose: u32,
}

#[derive(Debug)]
struct Pass {
    clickhouse: Mutex<Url>,
    trouble: Mutex<Trouble>,
    fuse: Fuse,
    http: reqwest::Client,
}

enum Course {
    Pass,
    Refuse,
    Cut,
    Lose,
}

impl Gate {
    /// A gate before a ClickHouse.
    pub async fn start(clickhouse: Url, fuse: Fuse) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let pass = Arc::new(Pass {
            clickhouse: Mutex::new(clickhouse),
            trouble: Mutex::default(),
            fuse,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, Arc::clone(&pass)));
        Self {
            url: url.parse().unwrap(),
            pass,
            _tasks: tasks,
        }
    }

    /// ClickHouse has moved.
    pub fn lead_to(&self, clickhouse: Url) {
        *self.pass.clickhouse.lock().unwrap() = clickhouse;
    }

    /// From now on.
    pub fn make(&self, trouble: Trouble) {
        *self.pass.trouble.lock().unwrap() = trouble;
    }
}

async fn listen(listener: TcpListener, pass: Arc<Pass>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&pass)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, pass: Arc<Pass>) {
    drop(stream.set_nodelay(true));
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = wire::read(&mut stream).await {
        let delivery = pass.through(&request).await;
        if wire::deliver(&mut stream, delivery).await.is_err() {
            return;
        }
    }
}

impl Pass {
    async fn through(&self, request: &Request) -> Delivery {
        let insert = request.target.contains("INSERT");
        if insert && self.fuse.burn(Moment::BeforeInsert) {
            return Delivery::Reset;
        }
        let course = self.trouble.lock().unwrap().course(insert);
        let reply = match course {
            Course::Refuse => return Delivery::Reset,
            Course::Cut => {
                // ClickHouse sees a client that dies halfway; so does the client see ClickHouse.
                drop(self.cut(request).await);
                return Delivery::Reset;
            }
            Course::Lose => {
                drop(self.ask(request).await);
                return Delivery::Reset;
            }
            Course::Pass => self.ask(request).await,
        };
        if insert && self.fuse.burn(Moment::AfterInsert) {
            return Delivery::Reset;
        }
        reply.map_or(Delivery::Reset, Delivery::Whole)
    }

    async fn ask(&self, request: &Request) -> reqwest::Result<Reply> {
        let url = self
            .clickhouse
            .lock()
            .unwrap()
            .join(&request.target)
            .unwrap();
        let method = request.method.parse().unwrap();
        let mut forwarded = self.http.request(method, url).body(request.body.clone());
        for (name, value) in &request.headers {
            if !OF_THE_CONNECTION.contains(&name.as_str()) && name != "host" {
                forwarded = forwarded.header(name, value);
            }
        }
        let answer = forwarded.send().await?;
        let status = answer.status().as_u16();
        let headers = answer.headers().iter();
        let headers = headers
            .filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()))
            .collect();
        let body = answer.bytes().await?.to_vec();
        Ok(Reply {
            status,
            headers,
            body,
        })
    }

    /// Announces the whole body and sends half of it.
    async fn cut(&self, request: &Request) -> io::Result<()> {
        let address = {
            let url = self.clickhouse.lock().unwrap();
            let port = url.port().unwrap_or(8123);
            format!("{}:{port}", url.host_str().unwrap_or("127.0.0.1"))
        };
        let mut stream = TcpStream::connect(&address).await?;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {address}\r\n",
            request.method, request.target
        );
        for (name, value) in &request.headers {
            if !OF_THE_CONNECTION.contains(&name.as_str()) && name != "host" {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", request.body.len()));
        stream.write_all(head.as_bytes()).await?;
        stream
            .write_all(&request.body[..request.body.len() / 2])
            .await?;
        stream.shutdown().await
    }
}

impl Trouble {
    fn course(&mut self, insert: bool) -> Course {
        let take = |left: &mut u32| {
            let some = *left > 0;
            *left = left.saturating_sub(1);
            some
        };
        if take(&mut self.refuse) {
            Course::Refuse
        } else if insert && take(&mut self.cut) {
            Course::Cut
        } else if insert && take(&mut self.lose) {
            Course::Lose
        } else {
            Course::Pass
        }
    }
}
