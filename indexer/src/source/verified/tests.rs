//! A recorded block of mainnet, served by nodes that lie about it.

use std::sync::Arc;

use alloy::rpc::types::TransactionReceipt;
use clap::Parser;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::super::Source;
use crate::{
    config::IndexerConfig,
    metrics::Metrics,
    receipts::tests::{Recorded, USDT, busy},
    source::SourceError,
};

type Lie = fn(&mut Node);

/// What a node answers, by method.
#[derive(Clone)]
struct Node {
    header: Value,
    receipts: Value,
    logs: Vec<Value>,
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    indexer: IndexerConfig,
}

impl Node {
    fn honest(block: &Recorded) -> Self {
        let logs = block.receipts.iter().flat_map(TransactionReceipt::logs);
        Self {
            header: serde_json::to_value(&block.header).unwrap(),
            receipts: serde_json::to_value(&block.receipts).unwrap(),
            logs: logs
                .filter(|log| log.inner.address == USDT)
                .map(|log| serde_json::to_value(log).unwrap())
                .collect(),
        }
    }

    fn answer(&self, request: &Value) -> Value {
        if let Some(requests) = request.as_array() {
            return requests.iter().map(|one| self.answer(one)).collect();
        }
        let result = match request["method"].as_str().unwrap() {
            "eth_chainId" => json!("0x1"),
            "eth_getBlockByNumber" | "eth_getBlockByHash" => self.header.clone(),
            "eth_getBlockReceipts" => self.receipts.clone(),
            "eth_getLogs" => {
                let filter = &request["params"][0]["topics"][0];
                let wanted = |log: &&Value| match filter.as_array() {
                    Some(topics) => topics.contains(&log["topics"][0]),
                    None => true,
                };
                self.logs.iter().filter(wanted).cloned().collect()
            }
            other => panic!("{other} is not served"),
        };
        json!({"jsonrpc": "2.0", "id": request["id"], "result": result})
    }

    /// Serves for as long as the test runs; returns the URL.
    async fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(self.clone().answer_all(connection));
            }
        });
        url
    }

    async fn answer_all(self, mut connection: TcpStream) -> std::io::Result<()> {
        let mut received = Vec::new();
        loop {
            if let Some((body, end)) = whole_request(&received) {
                let answer = self.answer(&body).to_string();
                received.drain(..end);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                    answer.len()
                );
                connection.write_all((head + &answer).as_bytes()).await?;
            } else if connection.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        }
    }
}

/// The body of the first request and where it ends, once all of it is there.
fn whole_request(received: &[u8]) -> Option<(Value, usize)> {
    let text = String::from_utf8_lossy(received);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    let start = head.len().saturating_add(4);
    let end = start.saturating_add(length.unwrap_or(0));
    let body = received.get(start..end)?;
    Some((serde_json::from_slice(body).unwrap(), end))
}

struct Reader {
    source: Source,
    metrics: Arc<Metrics>,
    block: u64,
}

impl Reader {
    async fn of(nodes: Vec<Node>, block: &Recorded) -> Self {
        let mut flags = vec!["x402".to_owned(), "--verify-receipts".to_owned()];
        flags.extend(["--token".to_owned(), USDT.to_checksum(None)]);
        for node in nodes {
            flags.extend(["--rpc-url".to_owned(), node.serve().await]);
        }
        let config = Command::try_parse_from(flags).unwrap().indexer;
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        Self {
            source: Source::new(&config, Arc::clone(&metrics)),
            metrics,
            block: block.header.inner.number,
        }
    }

    /// How many logs each lane gets.
    async fn logs(&self) -> Result<(usize, usize), SourceError> {
        let block = self.source.block(self.block).await?;
        let live = self.source.logs_of_block(&block).await?;
        let range = self.source.range(self.block, self.block).await?;
        Ok((live.len(), range.logs.len()))
    }

    #[track_caller]
    fn is_caught(&self, outcome: Result<(usize, usize), SourceError>, words: &str) {
        let error = outcome.unwrap_err();
        let told = x402_service::logs::with_causes(&error);
        assert!(
            told.starts_with("endpoint 0 (127.0.0.1) is not to be believed on block"),
            "{told}"
        );
        assert!(told.contains(&self.block.to_string()), "{told}");
        assert!(told.contains(words), "{told}");
        assert!(self.metrics.receipts_mismatch_total.get() > 0);
    }
}

#[tokio::test]
async fn an_honest_nodes_logs_are_verified_in_both_lanes() {
    let block = busy();
    let node = Node::honest(&block);
    let all = node.logs.len();
    let reader = Reader::of(vec![node], &block).await;
    let (live, range) = reader.logs().await.unwrap();
    assert_eq!(live, all);
    assert!(range > 0 && range <= all);
    assert_eq!(reader.metrics.receipts_verified_total.get(), 2);
    assert_eq!(reader.metrics.receipts_mismatch_total.get(), 0);
}

#[tokio::test]
async fn a_node_that_hides_invents_or_alters_a_log_is_named_and_not_believed() {
    let block = busy();
    let lies: [(&str, Lie); 6] = [
        ("is hidden", |node| drop(node.logs.remove(1))),
        ("is hidden", |node| node.logs.clear()),
        ("is in no receipt", |node| {
            let mut invented = node.logs[0].clone();
            invented["logIndex"] = json!("0xfff");
            node.logs.push(invented);
        }),
        ("another data", |node| {
            node.logs[0]["data"] = json!(format!("0x{:064x}", 7));
        }),
        ("the receipts have the root", |node| {
            let receipts = node.receipts.as_array_mut().unwrap();
            receipts.pop();
        }),
        ("the header has the hash", |node| {
            node.header["receiptsRoot"] = node.header["stateRoot"].clone();
        }),
    ];
    for (words, lie) in lies {
        let mut node = Node::honest(&block);
        lie(&mut node);
        let reader = Reader::of(vec![node], &block).await;
        reader.is_caught(reader.logs().await, words);
    }
}

#[tokio::test]
async fn a_bloom_that_was_emptied_to_hide_all_logs_is_caught() {
    let block = busy();
    let mut node = Node::honest(&block);
    node.header["logsBloom"] = json!(format!("0x{}", "0".repeat(512)));
    node.logs.clear();
    let reader = Reader::of(vec![node], &block).await;
    reader.is_caught(reader.logs().await, "the header has the hash");
}

#[tokio::test]
async fn an_honest_endpoint_is_asked_where_another_one_lies() {
    let block = busy();
    let honest = Node::honest(&block);
    let mut liar = honest.clone();
    liar.logs.remove(0);
    let all = honest.logs.len();
    let reader = Reader::of(vec![liar, honest], &block).await;
    assert_eq!(reader.logs().await.unwrap().0, all);
    assert!(reader.metrics.receipts_mismatch_total.get() > 0);
    assert!(reader.metrics.contradictions_total.get() > 0);
}
