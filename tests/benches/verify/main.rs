//! What a verification costs: `cargo bench -p x402-tests --bench verify`.
//!
//! The release binary of the verifier as a process of its own, a real ClickHouse, a gateway of this program's, and a load
//! generator, all on the same cores. Beside each figure stand two baselines of the same run: a handler that does nothing,
//! and a service that asks a node for each receipt. A run with a wrong verdict fails. `-- --only SCENARIO` runs one of
//! `floor receipt digests latency signatures claims_off mixed flood batch misses`; `X402_BENCH_ROWS=10000000` sets how many
//! rows the larger table of the misses has (1 M otherwise), `X402_BENCH_PROOFS` how many unique proofs each scenario spends.

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

use x402_tests::{
    market::{
        gateway::Gateway,
        index::Index,
        payments::{PRICE, Paid, Payments},
        verifier::Verifier,
    },
    process::load,
    shared::{Shared, run, shared},
};

/// Requests, made beforehand.
mod calls;

/// The load generator.
mod load;

/// What it is compared with.
mod baselines;

/// What a run cost.
mod meter;

/// One proof in one request, or a thousand.
mod singles;

/// A provider beside another one's flood.
mod flood;

/// Transfers that are not in memory.
mod misses;

use baselines::{Baseline, FLOOR_ANSWER, PAID};
use meter::{Measured, Meter};

/// The binary that is measured.
const EXE: &str = env!("CARGO_BIN_EXE_x402-under-test");

/// Connections of the load generator, for the verifier and for the baselines alike.
pub(crate) const CONNECTIONS: usize = 256;

/// Providers that ask.
pub(crate) const PROVIDERS: u64 = 20;

/// Unique proofs of each scenario unless said otherwise.
const PROOFS: u64 = 150_000;

/// Requests to a baseline.
const BASELINE_REQUESTS: usize = 300_000;

/// Requests to the receipt service, which is slower.
const RECEIPT_REQUESTS: usize = 60_000;

/// Items of a batch, and batches under way at once.
const BATCH: usize = 1_000;
const BATCHES_AT_ONCE: usize = 4;

/// Rows of the small table of the misses, and of the large one unless said otherwise.
const FEW_ROWS: u64 = 100_000;
const MANY_ROWS: u64 = 1_000_000;

/// What every scenario stands on.
pub(crate) struct World {
    pub(crate) payments: Arc<Payments>,
    pub(crate) proofs: Vec<String>,
    pub(crate) gateway: Gateway,
}

/// The figures of the last line, as far as they were taken.
#[derive(Debug, Default)]
struct Bar {
    single: Option<Measured>,
    receipt: Option<Measured>,
    floor: Option<Measured>,
    latency: Option<Measured>,
    warm: Option<Measured>,
    batch: Option<Measured>,
    /// The p99 of a quiet provider beside a flood against its p99 alone.
    flood: Option<f64>,
    miss_few_ms: Option<f64>,
    miss_many_ms: Option<f64>,
}

/// A verifier whose claims lie beside the build: on a disk, not in a memory file system.
pub(crate) async fn verifier(
    shared: &Shared,
    world: &World,
    index: &Index,
    flags: &[&str],
) -> Verifier {
    let folder = env!("CARGO_TARGET_TMPDIR");
    Verifier::start(
        EXE,
        folder,
        &shared.clickhouse.url,
        &world.gateway,
        index,
        flags,
    )
    .await
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == "--serve") {
        return baselines::serve(&words[at + 1..]);
    }
    let only = words.iter().position(|word| word == "--only");
    run(measure(only.map(|at| words[at + 1].clone())));
}

async fn measure(only: Option<String>) {
    let wants = |scenario: &str| only.as_ref().is_none_or(|only| only == scenario);
    let shared = shared(EXE).await;
    let payments = Payments::to(PROVIDERS, Paid::EachSeller);
    let count = number("X402_BENCH_PROOFS", PROOFS);
    let proofs = payments.proofs(0..count);
    let gateway = Gateway::start(&payments, &proofs);
    println!(
        "{count} proofs of {} bytes, {CONNECTIONS} connections, load average {}",
        proofs[0].len(),
        load()
    );
    let world = World {
        payments,
        proofs,
        gateway,
    };
    let mut bar = Bar::default();
    if wants("floor") {
        bar.floor = Some(floor(&world).await);
    }
    if wants("receipt") {
        bar.receipt = Some(receipt(&world).await);
    }
    if wants("digests") || wants("latency") {
        let (single, warm) = singles::digests(shared, &world).await;
        if wants("latency") {
            bar.latency = Some(singles::latency(shared, &world, single.per_second()).await);
        }
        (bar.single, bar.warm) = (Some(single), Some(warm));
    }
    if wants("signatures") {
        singles::signatures(shared, &world).await;
    }
    if wants("claims_off") {
        singles::claims_off(shared, &world).await;
    }
    if wants("mixed") {
        singles::mixed(shared, &world).await;
    }
    if wants("flood") {
        let (alone, beside) = flood::measure(shared, &world).await;
        bar.flood = Some(beside.run.quantile_ms(0.99) / alone.run.quantile_ms(0.99));
    }
    if wants("batch") {
        bar.batch = Some(singles::batch(shared, &world, BATCH, BATCHES_AT_ONCE).await);
    }
    if wants("misses") {
        misses(shared, &world, &mut bar).await;
    }
    bar.print();
}

async fn misses(shared: &Shared, world: &World, bar: &mut Bar) {
    assert!(
        world.proofs.len() >= misses::PROOFS,
        "misses need {} proofs",
        misses::PROOFS
    );
    let many = number("X402_BENCH_ROWS", MANY_ROWS);
    bar.miss_few_ms = Some(misses::measure(shared, world, FEW_ROWS).await);
    bar.miss_many_ms = Some(misses::measure(shared, world, many).await);
}

/// A handler that parses and does nothing, on one thread.
async fn floor(world: &World) -> Measured {
    let bodies: Vec<String> = (0..10_000)
        .zip(&world.proofs)
        .map(|(number, proof)| calls::item(number, proof, PRICE, calls::Claim::On, &world.payments))
        .collect();
    let calls = calls::constant("/verify", &bodies, FLOOR_ANSWER);
    let floor = Baseline::start("floor", None);
    let meter = Meter::start(floor.process(), &[]);
    let run = load::flat_out(floor.address, &calls, BASELINE_REQUESTS, CONNECTIONS).await;
    let measured = meter.stop(run, BASELINE_REQUESTS);
    measured.print("floor");
    measured
}

/// A service that asks a node for each receipt.
async fn receipt(world: &World) -> Measured {
    let calls = calls::constant("/check", &baselines::asks(&world.payments), PAID);
    let node = Baseline::start("node", None);
    let service = Baseline::start("receipt", Some(node.address));
    let node_cpu = node.process().cpu_seconds();
    let meter = Meter::start(service.process(), &[node.process()]);
    let run = load::flat_out(service.address, &calls, RECEIPT_REQUESTS, CONNECTIONS).await;
    let measured = meter.stop(run, RECEIPT_REQUESTS);
    let node_ms = (node.process().cpu_seconds() - node_cpu) / RECEIPT_REQUESTS as f64 * 1_000.0;
    measured.print("receipt per check");
    println!("    and {node_ms:.4} CPU-ms of the node");
    measured
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

impl Bar {
    fn print(&self) {
        let rate = |measured: &Option<Measured>| {
            measured.as_ref().map_or("left_out".to_owned(), |measured| {
                format!("{:.0}", measured.per_second())
            })
        };
        let ms = |value: Option<f64>, digits: usize| {
            value.map_or("left_out".to_owned(), |value| format!("{value:.digits$}"))
        };
        let cpu_ms = self.single.as_ref().map(Measured::cpu_ms);
        let p99_ms = self
            .latency
            .as_ref()
            .map(|latency| latency.run.quantile_ms(0.99));
        println!(
            "bar: single_rps={} receipt_rps={} floor_rps={} cpu_ms={} p99_ms={} warm_rps={} batch_rps={} miss_ms_100k={} miss_ms_10m={} flood_p99_ratio={}",
            rate(&self.single),
            rate(&self.receipt),
            rate(&self.floor),
            ms(cpu_ms, 4),
            ms(p99_ms, 2),
            rate(&self.warm),
            rate(&self.batch),
            ms(self.miss_few_ms, 2),
            ms(self.miss_many_ms, 2),
            ms(self.flood, 2),
        );
    }
}
