//! HTTP/1.1 by hand, as much as a JSON-RPC node and ClickHouse's clients need, so that it can be broken anywhere.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// The largest body that is taken.
const BODY_BYTES: usize = 64 * 1024 * 1024;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body, out of its chunks.
    pub body: Vec<u8>,
}

/// A reply to be sent.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers besides the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// It is answered.
    Whole(Reply),
    /// It is answered after a while.
    Late(Duration, Reply),
    /// Half of the body is sent, then the connection ends.
    Half(Reply),
    /// The connection ends after a while.
    Silence(Duration),
    /// The connection is reset.
    Reset,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(own, value)| (own == name).then_some(value.as_str()))
    }
}

impl Reply {
    /// A reply of JSON.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body,
        }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} x\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        head.into_bytes()
    }
}

/// The next request of a connection; none when the client has closed it.
pub async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        ..Request::default()
    };
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        request
            .headers
            .push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if request.header("transfer-encoding").is_some() {
        request.body = chunks(stream).await?;
    } else if let Some(length) = request.header("content-length") {
        let length = length.parse().map_err(io::Error::other)?;
        request.body = bytes(stream, length).await?;
    }
    Ok(Some(request))
}

async fn chunks(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let chunk = bytes(stream, length).await?;
        // Each chunk, the empty last one too, ends with a line of its own.
        bytes(stream, 2).await?;
        if chunk.is_empty() {
            return Ok(body);
        }
        body.extend(chunk);
    }
}

async fn bytes(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    if length > BODY_BYTES {
        return Err(io::Error::other("the body is too large"));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Does what was decided; an error ends the connection, as some of the decisions do.
pub async fn deliver(stream: &mut BufReader<TcpStream>, delivery: Delivery) -> io::Result<()> {
    let stream = stream.get_mut();
    match delivery {
        Delivery::Whole(reply) => send(stream, &reply).await,
        Delivery::Late(pause, reply) => {
            tokio::time::sleep(pause).await;
            send(stream, &reply).await
        }
        Delivery::Half(reply) => {
            stream.write_all(&reply.head()).await?;
            stream
                .write_all(&reply.body[..reply.body.len() / 2])
                .await?;
            stream.shutdown().await?;
            Err(broken())
        }
        Delivery::Silence(pause) => {
            tokio::time::sleep(pause).await;
            Err(broken())
        }
        Delivery::Reset => {
            stream.set_zero_linger()?;
            Err(broken())
        }
    }
}

async fn send(stream: &mut TcpStream, reply: &Reply) -> io::Result<()> {
    let mut bytes = reply.head();
    bytes.extend(&reply.body);
    stream.write_all(&bytes).await
}

fn broken() -> io::Error {
    io::Error::other("broken off on purpose")
}
