//! From a block on a real chain node to its rows in the index.
//!
//! Whoever waits for a row and asks ClickHouse every millisecond takes a core from it, and measures that. So the wait
//! here is for the indexer's word that the block is indexed, which costs next to nothing; then one exact read has to
//! show it, and the time counts until that read is answered.

use std::time::{Duration, Instant};

use alloy::providers::Provider;
use x402_schemas::{amount::Amount, index::IndexReader, network::Network};
use x402_tests::{shared::Shared, world::place_token};

use crate::indexer::{Indexer, client};

/// Blocks that are waited for.
const BLOCKS: usize = 200;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// From one block's rows to the next block, for twenty blocks a second or so.
const PAUSE: Duration = Duration::from_millis(30);

/// How blocks come, and how the indexer learns of them.
struct Course {
    name: &'static str,
    /// By a subscription to new heads; else it polls.
    told: bool,
    pause: Duration,
}

const COURSES: [Course; 3] = [
    Course {
        name: "told",
        told: true,
        pause: PAUSE,
    },
    Course {
        name: "polling",
        told: false,
        pause: PAUSE,
    },
    Course {
        name: "hurried",
        told: true,
        pause: Duration::ZERO,
    },
];

/// Prints the median and the 99th percentile of each course.
pub(crate) async fn measure(shared: &Shared) {
    for course in &COURSES {
        follow(shared, course).await;
    }
}

async fn follow(shared: &Shared, course: &Course) {
    let Course { name, told, pause } = *course;
    let chain = shared.own_chain(&format!("bench-live-{name}")).await;
    let token = place_token(&chain).await;
    let (address, ws) = (token.address.to_string(), ws_url(chain.url.as_str()));
    let flags = ["--token", &address, "--poll-ms", "5", "--ws-url", &ws];
    let flags = if told { &flags[..] } else { &flags[..4] };
    let database = format!("bench_live_{name}");
    let indexer = Indexer::start(shared, chain.url.as_str(), &database, flags);
    let reader = IndexReader::new(client(shared, &database), Network::DEVNET);
    let amount: Amount = "1".parse().unwrap();
    let mut times = Vec::with_capacity(BLOCKS);
    // The first ones are the index catching up.
    for round in 0..BLOCKS + 5 {
        let before = chain.rpc().get_block_number().await.unwrap();
        let minted = async { token.mint(token.admin, amount).await.unwrap() };
        let visible = async {
            while chain.rpc().get_block_number().await.unwrap() == before {
                tokio::time::sleep(LOOK).await;
            }
            let began = Instant::now();
            while indexer.metric("x402_indexer_indexed_block").await <= before {
                tokio::time::sleep(LOOK).await;
            }
            let tip = reader.tip().await.unwrap().unwrap();
            assert!(tip.block_number > before, "a reader does not see it");
            began.elapsed()
        };
        let (_, took) = futures::join!(minted, visible);
        if round >= 5 {
            times.push(took);
        }
        tokio::time::sleep(pause).await;
    }
    times.sort_unstable();
    println!(
        "live, {name:<9} block to row: p50 {} ms, p99 {} ms over {BLOCKS} blocks",
        times[BLOCKS / 2].as_millis(),
        times[BLOCKS * 99 / 100].as_millis()
    );
    indexer.stop();
}

fn ws_url(http: &str) -> String {
    http.replacen("http", "ws", 1)
}
