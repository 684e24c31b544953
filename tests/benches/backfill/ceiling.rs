//! What this machine allows: the same logs, downloaded and thrown away, and downloaded and decoded without our code.

use std::time::Instant;

use alloy::primitives::hex;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use x402_tests::process::Process;

use crate::{chain::TOKEN, mock::Mock};

/// Requests at a time.
const CONCURRENCY: usize = 4;

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    result: Vec<Log<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    topics: [&'a str; 3],
    data: &'a str,
    block_hash: &'a str,
    transaction_hash: &'a str,
}

/// What a reader of logs that does nothing else reaches, in one process with the node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceiling {
    pub(crate) logs_per_s: f64,
    /// CPU seconds for a million logs, the node's included.
    pub(crate) cpu_s_per_m: f64,
}

impl Ceiling {
    /// Logs a second if every core did nothing but this and as much of other work for each million logs.
    pub(crate) fn beside(self, cpu_s_per_m: f64) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cores as f64 * 1e6 / (self.cpu_s_per_m + cpu_s_per_m)
    }
}

/// Reads the logs of `blocks` blocks in ranges of `range`; decoded or not.
pub(crate) async fn read(mock: &Mock, blocks: u64, range: u64, decoded: bool) -> Ceiling {
    let client = reqwest::Client::new();
    let own = Process(std::process::id());
    let (began, cpu_before) = (Instant::now(), own.cpu_seconds());
    let requests = (0..blocks.div_ceil(range)).map(|index| {
        let (from, to) = (index * range + 1, ((index + 1) * range).min(blocks));
        let filter = json!({"fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}"), "address": TOKEN});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [filter]});
        let request = client
            .post(&mock.url)
            .header("content-type", "application/json")
            .body(body.to_string());
        tokio::spawn(async move {
            let bytes = request.send().await.unwrap().bytes().await.unwrap();
            if decoded { decode(&bytes) } else { 0 }
        })
    });
    let rows: usize = stream::iter(requests)
        .buffered(CONCURRENCY)
        .map(Result::unwrap)
        .fold(0, |sum, rows| async move { sum + rows })
        .await;
    let total = mock.total(blocks);
    assert!(!decoded || u64::try_from(rows).unwrap() == total);
    Ceiling {
        logs_per_s: total as f64 / began.elapsed().as_secs_f64(),
        cpu_s_per_m: (own.cpu_seconds() - cpu_before) / total as f64 * 1e6,
    }
}

/// Rows of bytes; how many.
fn decode(bytes: &[u8]) -> usize {
    let reply: Reply<'_> = serde_json::from_slice(bytes).unwrap();
    let rows: Vec<[u8; 160]> = reply
        .result
        .iter()
        .map(|log| {
            let mut row = [0; 160];
            let [_, from, to] = log.topics;
            let fields = [from, to, log.data, log.block_hash, log.transaction_hash];
            for (field, into) in fields.into_iter().zip(row.chunks_mut(32)) {
                hex::decode_to_slice(field, into).unwrap();
            }
            row
        })
        .collect();
    std::hint::black_box(rows).len()
}
