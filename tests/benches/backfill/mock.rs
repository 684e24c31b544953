//! A JSON-RPC node that costs next to nothing: logs are in memory as JSON, one thread for each connection.

use std::{
    io::{BufRead, BufReader, IoSlice, Read, Result, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};

use crate::chain::{Chain, UNFINAL, block_hash, place_in};

/// Pieces that one write takes.
const PIECES: usize = 1_024;

/// A node that serves one chain.
#[derive(Clone, Debug)]
pub(crate) struct Mock {
    pub(crate) url: String,
    served: Arc<Served>,
}

#[derive(Debug)]
struct Served {
    chain: Arc<Chain>,
    /// The newest block.
    head: AtomicU64,
    first_logs: OnceLock<Instant>,
    transactions: AtomicU64,
}

/// A piece of a reply: made for it, or lying ready.
enum Piece<'a> {
    Made(String),
    Ready(&'a [u8]),
}

impl Mock {
    /// Serves `chain` on a free port until the process ends, with its first `blocks` blocks final.
    pub(crate) fn start(chain: Arc<Chain>, blocks: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let served = Arc::new(Served {
            chain,
            head: AtomicU64::new(blocks + UNFINAL),
            first_logs: OnceLock::new(),
            transactions: AtomicU64::new(0),
        });
        let mock = Self {
            url,
            served: Arc::clone(&served),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = Arc::clone(&served);
                // A connection that breaks is the client's end of it.
                std::thread::spawn(move || drop(served.converse(&stream)));
            }
        });
        mock
    }

    /// When logs were first asked for: start-up is not what is measured.
    pub(crate) fn first_logs(&self) -> Option<Instant> {
        self.served.first_logs.get().copied()
    }

    /// Transactions that were asked for, one by one or with their block.
    pub(crate) fn transactions(&self) -> u64 {
        self.served.transactions.load(Ordering::Relaxed)
    }

    /// Logs in the first `blocks` blocks.
    pub(crate) fn total(&self, blocks: u64) -> u64 {
        let shape = self.served.chain.shape;
        blocks / shape.every * shape.logs
    }

    /// Makes more of the chain final.
    pub(crate) fn grow_to(&self, blocks: u64) {
        self.served.head.store(blocks + UNFINAL, Ordering::Relaxed);
    }
}

impl Served {
    fn converse(&self, stream: &TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::with_capacity(65_536, stream);
        let mut writer = stream;
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let line = line.trim_end().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let request = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let mut reply = Vec::new();
            if let Value::Array(requests) = &request {
                for (index, request) in requests.iter().enumerate() {
                    let before = if index == 0 { "[" } else { "," };
                    reply.push(Piece::Ready(before.as_bytes()));
                    self.answer(request, &mut reply);
                }
                reply.push(Piece::Ready(b"]"));
            } else {
                self.answer(&request, &mut reply);
            }
            send(&mut writer, &reply)?;
        }
    }

    fn answer<'a>(&'a self, request: &Value, reply: &mut Vec<Piece<'a>>) {
        let (id, params) = (&request["id"], &request["params"]);
        let open = |key: &str| Piece::Made(format!(r#"{{"jsonrpc":"2.0","id":{id},"{key}":"#));
        let method = request["method"].as_str().unwrap_or_default();
        if method == "eth_getLogs" {
            reply.push(open("result"));
            reply.push(Piece::Ready(b"["));
            for (index, logs) in self.logs(&params[0]).iter().enumerate() {
                if index > 0 {
                    reply.push(Piece::Ready(b","));
                }
                reply.push(Piece::Ready(logs));
            }
            reply.push(Piece::Ready(b"]}"));
            return;
        }
        if let Some(result) = self.result(method, params) {
            reply.push(open("result"));
            reply.push(Piece::Made(result));
        } else {
            reply.push(open("error"));
            reply.push(Piece::Ready(br#"{"code":-32601,"message":"not here"}"#));
        }
        reply.push(Piece::Ready(b"}"));
    }

    fn logs(&self, filter: &Value) -> &[Box<[u8]>] {
        let head = self.head.load(Ordering::Relaxed);
        if let Some((_, number)) = filter["blockHash"].as_str().and_then(place_in) {
            return self.chain.logs(number, number);
        }
        self.first_logs.get_or_init(Instant::now);
        let from = self.number(&filter["fromBlock"]).unwrap_or(0);
        let to = self.number(&filter["toBlock"]).unwrap_or(head);
        self.chain.logs(from, to.min(head))
    }

    fn result(&self, method: &str, params: &Value) -> Option<String> {
        let head = self.head.load(Ordering::Relaxed);
        let full = params[1].as_bool().unwrap_or(false);
        let block = |number: u64| {
            if number <= head {
                self.block(number, full)
            } else {
                "null".into()
            }
        };
        Some(match method {
            "eth_chainId" => json!("0x7a69").to_string(),
            "net_version" => json!("31337").to_string(),
            "eth_getCode" => json!("0x01").to_string(),
            "eth_call" => json!(format!("0x{:064x}", 18)).to_string(),
            "eth_blockNumber" => json!(format!("{head:#x}")).to_string(),
            "eth_getBlockByNumber" => block(self.number(&params[0])?),
            "eth_getBlockByHash" => {
                let hash = params[0].as_str()?;
                let (_, number) = place_in(hash)?;
                if block_hash(number) == hash {
                    block(number)
                } else {
                    "null".into()
                }
            }
            "eth_getTransactionByHash" => {
                let (number, index) = place_in(params[0].as_str()?)?;
                self.transactions.fetch_add(1, Ordering::Relaxed);
                self.chain.transaction(number, index)
            }
            _ => return None,
        })
    }

    fn block(&self, number: u64, full: bool) -> String {
        if full {
            let shape = self.chain.shape;
            let count = shape.logs.div_ceil(shape.per_transaction);
            self.transactions.fetch_add(count, Ordering::Relaxed);
        }
        self.chain.block(number, full)
    }

    fn number(&self, tag: &Value) -> Option<u64> {
        let head = self.head.load(Ordering::Relaxed);
        Some(match tag.as_str()? {
            "latest" | "pending" => head,
            "safe" => head.saturating_sub(UNFINAL / 2),
            "finalized" => head.saturating_sub(UNFINAL),
            "earliest" => 0,
            number => u64::from_str_radix(number.trim_start_matches("0x"), 16).ok()?,
        })
    }
}

fn send(writer: &mut impl Write, reply: &[Piece<'_>]) -> Result<()> {
    let pieces = reply.iter().map(|piece| match piece {
        Piece::Made(text) => text.as_bytes(),
        Piece::Ready(bytes) => bytes,
    });
    let length: usize = pieces.clone().map(<[u8]>::len).sum();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let all = std::iter::once(head.as_bytes()).chain(pieces);
    let mut slices: Vec<_> = all.map(IoSlice::new).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let some = rest.len().min(PIECES);
        let written = writer.write_vectored(&rest[..some])?;
        if written == 0 {
            return Ok(());
        }
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}
