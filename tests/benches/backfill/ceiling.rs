//! What this machine allows: the same logs, downloaded and thrown away, and downloaded and decoded without our code.

use std::time::Instant;

use alloy::primitives::hex;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;

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

/// Logs a second over `blocks` blocks in ranges of `range`; decoded or not.
pub(crate) async fn logs_per_s(mock: &Mock, blocks: u64, range: u64, decoded: bool) -> f64 {
    let client = reqwest::Client::new();
    let began = Instant::now();
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
    total as f64 / began.elapsed().as_secs_f64()
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
