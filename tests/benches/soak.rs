//! Half an hour at fifty blocks a second, with reorgs and with kills: is memory flat, is the lag bounded, is every row right?
//!
//! `cargo bench -p x402-tests --bench soak`; `X402_SOAK_MINUTES` for another length. In the first half the indexer is killed
//! with -9 and started again five times; in the second it runs on, so that its memory can be watched.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on fails, and its results are its output"
)]

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use alloy::primitives::Address;
use clickhouse::Client;
use x402_schemas::network::Network;
use x402_tests::{
    scripted::{
        chain::{Chain, Fate},
        fuse::Fuse,
        node::Node,
        replica::Replica,
        rows::Rows,
    },
    shared::{run, shared},
    world::eventually,
};

const EXE: &str = env!("CARGO_BIN_EXE_x402-under-test");
const BLOCK_TIME: Duration = Duration::from_millis(20);
const FINALITY_BLOCKS: u64 = 64;
const REORG_EVERY: u64 = 150;
const DEPTHS: [u64; 6] = [1, 3, 2, 12, 1, 40];
const KILLS: u32 = 5;
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
const TOKEN: Address = Address::repeat_byte(0x5a);

/// One look at the indexer.
struct Sample {
    at: Duration,
    rss_kib: u64,
    lag_blocks: u64,
}

fn main() {
    let minutes = option_env_minutes();
    run(soak(Duration::from_secs(60 * minutes)));
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench has no configuration but this"
)]
fn option_env_minutes() -> u64 {
    std::env::var("X402_SOAK_MINUTES").map_or(30, |text| text.parse().unwrap())
}

async fn soak(length: Duration) {
    let shared = shared(EXE).await;
    let chain = Chain::new(7, Network::DEVNET.chain_id(), TOKEN);
    let node = Node::start(7, chain, vec![Replica::default()], Fuse::default()).await;
    let database = "soak";
    let clickhouse = Client::default().with_url(shared.clickhouse.url.as_str());
    let rows = Rows::new(clickhouse.with_database(database), Network::DEVNET);
    let mut indexer = start(&node, shared.clickhouse.url.as_str(), database);
    node.with(|reins| reins.chain.extend(1));
    let reader = rows.reader();
    eventually("the indexer has begun", async || {
        reader.tip().await.is_ok_and(|tip| tip.is_some())
    })
    .await;

    let begin = Instant::now();
    let (mut samples, mut reorgs, mut kills) = (Vec::new(), 0_u64, 0_u32);
    let mut next_sample = SAMPLE_EVERY;
    let mut blocks: u64 = 0;
    let mut ticks = tokio::time::interval(BLOCK_TIME);
    while begin.elapsed() < length {
        ticks.tick().await;
        blocks += 1;
        let head = node.with(|reins| {
            reins.chain.extend(1);
            if blocks.is_multiple_of(REORG_EVERY) {
                let depth = DEPTHS[usize::try_from(reorgs).unwrap() % DEPTHS.len()];
                reins.chain.reorg(depth, depth + 1, Fate::Moved);
                reorgs += 1;
            }
            reins.finalize(FINALITY_BLOCKS);
            reins.chain.head().number
        });
        if kills < KILLS && begin.elapsed() > length / 2 * (kills + 1) / (KILLS + 1) {
            stop(&mut indexer);
            indexer = start(&node, shared.clickhouse.url.as_str(), database);
            kills += 1;
        }
        if begin.elapsed() >= next_sample {
            next_sample += SAMPLE_EVERY;
            let tip = reader
                .tip()
                .await
                .unwrap()
                .map_or(0, |tip| tip.block_number);
            let sample = Sample {
                at: begin.elapsed(),
                rss_kib: rss_kib(indexer.id()),
                lag_blocks: head.saturating_sub(tip),
            };
            println!(
                "{:>5} s  rss {:>6} KiB  lag {:>4} blocks  head {head}  reorgs {reorgs}  kills {kills}",
                sample.at.as_secs(),
                sample.rss_kib,
                sample.lag_blocks
            );
            samples.push(sample);
        }
    }

    let (head, truth) =
        node.with(|reins| (reins.chain.head().number, reins.chain.canonical_rows()));
    eventually("the index reaches the head", async || {
        reader
            .tip()
            .await
            .unwrap()
            .is_some_and(|tip| tip.block_number == head)
    })
    .await;
    let differences = rows.differences(&truth).await.unwrap();
    stop(&mut indexer);
    assert_eq!(differences, None);
    report(&samples, length, blocks, reorgs, kills, truth.len());
}

fn report(
    samples: &[Sample],
    length: Duration,
    blocks: u64,
    reorgs: u64,
    kills: u32,
    transfers: usize,
) {
    // After the last kill and some time to settle.
    let steady: Vec<&Sample> = samples
        .iter()
        .filter(|sample| sample.at > length * 6 / 10)
        .collect();
    let (first, last) = (steady.first().unwrap(), steady.last().unwrap());
    let mut lags: Vec<u64> = steady.iter().map(|sample| sample.lag_blocks).collect();
    lags.sort_unstable();
    let worst = lags.last().unwrap();
    let median = lags[lags.len() / 2];
    println!(
        "{transfers} transfers on the canonical chain, each there once in both tables, none stale"
    );
    println!(
        "bar: blocks={blocks} reorgs={reorgs} kills={kills} rss_mb_from={} rss_mb_to={} lag_blocks_p50={median} lag_blocks_max={worst}",
        first.rss_kib / 1024,
        last.rss_kib / 1024
    );
}

fn start(node: &Node, clickhouse: &str, database: &str) -> Child {
    Command::new(EXE)
        .args([
            "indexer",
            "--rpc-url",
            node.url.as_str(),
            "--clickhouse-url",
            clickhouse,
        ])
        .args([
            "--clickhouse-database",
            database,
            "--token",
            &TOKEN.to_checksum(None),
        ])
        .args([
            "--poll-ms",
            "10",
            "--admin-listen",
            "127.0.0.1:0",
            "--log",
            "error",
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn stop(indexer: &mut Child) {
    indexer.kill().unwrap();
    indexer.wait().unwrap();
}

fn rss_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
