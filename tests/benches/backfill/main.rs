//! How fast a chain becomes an index, and what it costs: `cargo bench -p x402-tests --bench backfill`.
//!
//! A node that costs next to nothing, the release binary of the indexer, a real ClickHouse. Every figure stands beside a
//! baseline of the same run, since one machine's absolute figures say little about another. Nothing is switched off for
//! it, and a run whose rows are wrong fails. `-- --no-peers` leaves cryo out; `-- --only SCENARIO` runs one;
//! `X402_BENCH_ROWS=20000000` adds the index that has grown to so many rows.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on fails; its results are its output, and rates are no money"
)]

use std::sync::Arc;

use x402_tests::shared::{Shared, run, shared};

/// A made-up chain of token transfers.
mod chain;

/// A node that serves it from memory.
mod mock;

/// The indexer under measurement.
mod indexer;

/// One backfill, measured.
mod backfill;

/// What this machine allows.
mod ceiling;

/// The best extractor that others have made.
mod cryo;

/// From a block to its rows, live.
mod live;

/// An index of many rows.
mod growth;

use backfill::{Measured, Scenario};
use chain::{Chain, Shape};
use mock::Mock;

/// The binary that is measured.
const EXE: &str = env!("CARGO_BIN_EXE_x402-under-test");

/// A million logs, five to a transaction: nothing in them can have a memo.
const DENSE: Shape = Shape {
    blocks: 2_000,
    every: 1,
    logs: 500,
    per_transaction: 5,
};

/// Payments, one to a transaction: each one's calldata is read.
const PAYMENTS: Shape = Shape {
    blocks: 1_000,
    every: 1,
    logs: 200,
    per_transaction: 1,
};

/// A million blocks with three logs in every tenth.
const SPARSE: Shape = Shape {
    blocks: 1_000_000,
    every: 10,
    logs: 3,
    per_transaction: 3,
};

/// Blocks in one request of the baselines: as many logs as our own replies have.
const BASELINE_BLOCKS: u64 = 10;

/// What was asked for on the command line.
struct Asked {
    peers: bool,
    only: Option<String>,
}

impl Asked {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let only = words.iter().position(|word| word == "--only");
        Self {
            peers: !words.iter().any(|word| word == "--no-peers"),
            only: only.and_then(|at| words.get(at + 1).cloned()),
        }
    }

    fn wants(&self, scenario: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == scenario)
    }
}

fn main() {
    run(measure(&Asked::read()));
}

async fn measure(asked: &Asked) {
    let shared = shared(EXE).await;
    if asked.wants("payments") {
        scenario(shared, "payments", PAYMENTS).await;
    }
    if asked.wants("sparse") {
        scenario(shared, "sparse", SPARSE).await;
    }
    if asked.wants("live") {
        live::measure(shared).await;
    }
    if let Ok(rows) = std::env::var("X402_BENCH_ROWS")
        && asked.wants("growth")
    {
        growth::measure(shared, rows.parse().expect("X402_BENCH_ROWS is a number")).await;
    }
    if asked.wants("dense") {
        dense(shared, asked.peers).await;
    }
}

async fn scenario(shared: &Shared, name: &'static str, shape: Shape) -> Measured {
    let chain = Arc::new(Chain::new(shape));
    let mock = Mock::start(Arc::clone(&chain), shape.blocks);
    let scenario = Scenario {
        name,
        shape,
        mock: &mock,
    };
    scenario.measure(shared).await
}

/// The scenario of the bar, with its baselines right before and after it.
async fn dense(shared: &Shared, peers: bool) {
    let chain = Arc::new(Chain::new(DENSE));
    let mock = Mock::start(Arc::clone(&chain), DENSE.blocks);
    let raw = ceiling::read(&mock, DENSE.blocks, BASELINE_BLOCKS, false).await;
    let decoded = ceiling::read(&mock, DENSE.blocks, BASELINE_BLOCKS, true).await;
    println!("raw download    {:>10.0} logs/s", raw.logs_per_s);
    println!(
        "plain decode    {:>10.0} logs/s, CPU-s per 1 M logs: {:.2} with the node's",
        decoded.logs_per_s, decoded.cpu_s_per_m
    );
    // A node of its own, as the time counts from the first request for logs.
    let fresh = Mock::start(Arc::clone(&chain), DENSE.blocks);
    let scenario = Scenario {
        name: "dense",
        shape: DENSE,
        mock: &fresh,
    };
    let ours = scenario.measure(shared).await;
    let allowed = decoded.beside(ours.clickhouse_cpu_s_per_m());
    println!(
        "allowed         {allowed:>10.0} logs/s by plain decode and ClickHouse on all cores; reached {:.2} of it",
        ours.logs_per_s / allowed
    );
    let vs_cryo = if peers {
        let cryo = cryo::logs_per_s(&mock, DENSE);
        println!("cryo to parquet {cryo:>10.0} logs/s");
        format!("{:.2}", ours.logs_per_s / cryo)
    } else {
        "left_out".to_owned()
    };
    println!(
        "bar: logs_per_s={:.0} cpu_s_per_m={:.2} rss_mb={:.0} vs_cryo={vs_cryo} vs_raw={:.2}",
        ours.logs_per_s,
        ours.cpu_s_per_m(),
        ours.rss_mb,
        ours.logs_per_s / raw.logs_per_s
    );
}
