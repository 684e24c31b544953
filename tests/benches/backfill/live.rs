//! From a block on a real chain node to its rows in the index.

use std::time::{Duration, Instant};

use alloy::providers::Provider;
use x402_schemas::{amount::Amount, index::IndexReader, network::Network};
use x402_tests::{shared::Shared, world::place_token};

use crate::indexer::{Indexer, client};

/// Blocks that are waited for.
const BLOCKS: usize = 200;

/// Prints the median and the 99th percentile.
pub(crate) async fn measure(shared: &Shared) {
    let chain = shared.own_chain("bench-live").await;
    let token = place_token(&chain).await;
    let address = token.address.to_string();
    let flags = ["--token", &address, "--poll-ms", "5"];
    let indexer = Indexer::start(shared, chain.url.as_str(), "bench_live", &flags);
    let reader = IndexReader::new(client(shared, "bench_live"), Network::DEVNET);
    let amount: Amount = "1".parse().unwrap();
    let mut times = Vec::with_capacity(BLOCKS);
    // The first ones are the index catching up.
    for round in 0..BLOCKS + 5 {
        let before = chain.rpc().get_block_number().await.unwrap();
        let minted = async { token.mint(token.admin, amount).await.unwrap() };
        let seen = async {
            while chain.rpc().get_block_number().await.unwrap() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Instant::now()
        };
        let (_, (began, ended)) = futures::join!(minted, async {
            let began = seen.await;
            while reader
                .tip()
                .await
                .ok()
                .flatten()
                .is_none_or(|tip| tip.block_number <= before)
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (began, Instant::now())
        });
        if round >= 5 {
            times.push(ended.duration_since(began));
        }
    }
    times.sort_unstable();
    println!(
        "live            block to row: p50 {} ms, p99 {} ms over {BLOCKS} blocks",
        times[BLOCKS / 2].as_millis(),
        times[BLOCKS * 99 / 100].as_millis()
    );
    indexer.stop();
}
