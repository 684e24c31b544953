//! A small JSON-RPC node on a loopback port that does what a test tells it to.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;

pub(super) const TOKEN: Address = crate::config::MNEE;

/// What the node does with one request.
pub(super) enum Does {
    /// Answers.
    Result(Value),
    /// Answers with an error.
    Error(i64, &'static str),
    /// Answers with this status, these headers, this body.
    Http(u16, &'static str, String),
    /// Says how long the reply is, and stops in the middle of it.
    BreaksOff,
    /// Says nothing.
    Waits,
}

/// A running node.
pub(super) struct Node {
    pub(super) url: String,
    /// The methods with their first parameters, in the order asked.
    asked: Arc<Mutex<Vec<String>>>,
}

type Answer = dyn Fn(&str, &Value) -> Does + Send + Sync;

impl Node {
    pub(super) async fn start(
        answer: impl Fn(&str, &Value) -> Does + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/key", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&log)));
            }
        });
        Self { url, asked }
    }

    /// How often it was asked something that begins so.
    pub(super) fn asked(&self, what: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|it| it.starts_with(what)).count()
    }
}

async fn serve(stream: TcpStream, answer: Arc<Answer>, log: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let request: Value = serde_json::from_slice(&body).unwrap();
        let does = match request.as_array() {
            None => answer_one(&request, &answer, &log),
            Some(batch) => {
                log.lock()
                    .unwrap()
                    .push(format!("batch of {}", batch.len()));
                let does = answer("batch", &request);
                if matches!(does, Does::Result(_)) {
                    batch_of(batch, &answer, &log)
                } else {
                    (does, Value::Null)
                }
            }
        };
        write(&mut stream, does).await?;
    }
}

fn answer_one(request: &Value, answer: &Arc<Answer>, log: &Mutex<Vec<String>>) -> (Does, Value) {
    let (method, params) = (request["method"].as_str().unwrap(), &request["params"]);
    log.lock().unwrap().push(format!("{method} {}", params[0]));
    (answer(method, params), request["id"].clone())
}

/// Backwards: the order of a batch's replies is the node's.
fn batch_of(batch: &[Value], answer: &Arc<Answer>, log: &Mutex<Vec<String>>) -> (Does, Value) {
    let mut replies = Vec::new();
    for request in batch.iter().rev() {
        replies.push(match answer_one(request, answer, log) {
            (Does::Result(result), id) => json!({"id": id, "result": result}),
            (Does::Error(code, message), id) => {
                json!({"id": id, "error": {"code": code, "message": message}})
            }
            // What happens to one of them on the way happens to all.
            broken => return broken,
        });
    }
    (Does::Http(200, "", json!(replies).to_string()), Value::Null)
}

async fn write(stream: &mut BufReader<TcpStream>, (does, id): (Does, Value)) -> Option<()> {
    let (status, headers, body) = match does {
        Does::Result(result) => (200, "", json!({"id": id, "result": result}).to_string()),
        Does::Error(code, message) => {
            let error = json!({"code": code, "message": message});
            (200, "", json!({"id": id, "error": error}).to_string())
        }
        Does::Http(status, headers, body) => (status, headers, body),
        Does::BreaksOff => {
            let half = b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"id\":0,";
            stream.write_all(half).await.ok()?;
            return None;
        }
        Does::Waits => std::future::pending().await,
    };
    // A body that is not announced ends with the connection.
    let (length, last) = if headers.contains("connection: close") {
        (String::new(), None)
    } else {
        (format!("content-length: {}\r\n", body.len()), Some(()))
    };
    let reply = format!("HTTP/1.1 {status} X\r\n{headers}{length}\r\n{body}");
    stream.write_all(reply.as_bytes()).await.ok()?;
    last
}

/// The hash of every test chain's block of this number.
pub(super) fn hash(number: u64) -> B256 {
    B256::from(U256::from(number.saturating_add(1_000)))
}

pub(super) fn block(number: u64) -> Value {
    json!({
        "number": format!("{number:#x}"),
        "hash": hash(number),
        "parentHash": hash(number.saturating_sub(1)),
        "timestamp": "0x1",
        "logsBloom": format!("0x{}", "f".repeat(512)),
        "transactions": [],
    })
}

pub(super) fn log(number: u64, index: u64) -> Value {
    json!({
        "address": TOKEN,
        "topics": [],
        "data": "0x",
        "blockHash": hash(number),
        "blockNumber": format!("{number:#x}"),
        "transactionHash": hash(index),
        "transactionIndex": "0x0",
        "logIndex": format!("{index:#x}"),
    })
}

/// A node of chain 1 at block `head`, which is final, with one log in every block.
pub(super) fn honest(head: u64) -> impl Fn(&str, &Value) -> Does + Send + Sync {
    let number = |value: &Value| u64::from_str_radix(value.as_str()?.get(2..)?, 16).ok();
    move |method, params| {
        Does::Result(match (method, params[0].as_str()) {
            ("eth_chainId", _) => json!("0x1"),
            ("eth_getBlockByNumber", Some("latest" | "finalized")) => block(head),
            ("eth_getBlockByNumber", _) => match number(&params[0]) {
                Some(number) if number <= head => block(number),
                _ => Value::Null,
            },
            ("eth_getLogs", _) => {
                let bounds = [&params[0]["fromBlock"], &params[0]["toBlock"]].map(number);
                let [from, to] = bounds.map(|bound| bound.unwrap_or(head));
                json!(
                    (from..=to.min(head))
                        .map(|at| log(at, 0))
                        .collect::<Vec<_>>()
                )
            }
            ("eth_getTransactionByHash", _) => json!({
                "hash": params[0],
                "blockHash": hash(1),
                "from": TOKEN,
                "to": null,
                "input": "0x0102",
            }),
            _ => json!("0x"),
        })
    }
}
