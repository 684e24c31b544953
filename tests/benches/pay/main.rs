//! What quoting and paying cost: `cargo bench -p x402-tests --bench pay`.
//!
//! The release binary of `x402 node` as a process of its own, a real ClickHouse, a real chain node that mines a block
//! for each transaction, and a load generator, all on the same cores. Beside the figures stand two baselines of the same
//! run: SQLite's own durable commits, and the same transactions handed to the node by themselves. A run that loses a
//! payment, or whose ledger does not add up, fails. `-- --only SCENARIO` runs one of `quotes latency one ten restart`;
//! `X402_BENCH_OPEN=1000` sets how many payments are open at the restart (100,000 otherwise).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on fails; its results are its output, and rates are no money"
)]

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use x402_tests::{
    ledger,
    process::load,
    shared::run,
    world::{World, eventually},
};

/// What it is compared with.
mod baselines;

/// Agents that quote and pay.
mod buyers;

/// Payments that are open when the gateway starts.
mod open;

use buyers::{Buyer, Figures};

const EXE: &str = env!("CARGO_BIN_EXE_x402-under-test");

/// Quotes that are asked for, and how many at once.
const QUOTES: usize = 10_000;
const QUOTES_AT_ONCE: usize = 32;
/// Payments one after the other.
const SINGLE_PAYMENTS: usize = 150;
/// Payments of each scenario of throughput, and how many of a workspace at once.
const PAYMENTS: usize = 600;
const PAYMENTS_AT_ONCE: usize = 16;
/// Workspaces of the scenario of several.
const WORKSPACES: usize = 10;

/// A node in a process of its own, which does not outlive the bench.
pub(crate) struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Node {
    /// Starts the services and waits until they are ready.
    pub(crate) async fn start(world: &World) -> Self {
        let mut command = world.node_command(EXE);
        let heads = world.chain().url.as_str().replace("http://", "ws://");
        command.env("X402_WS_URL", heads).env("X402_POLL_MS", "100");
        // As operators have it, and not as tests that look at closed spend.
        command.env("X402_GATEWAY_CLOSE_SECONDS", "3600");
        // A buyer stands for many.
        command.env("X402_GATEWAY_KEY_RATE_PER_MINUTE", "10000000");
        let node = Self(command.stdout(Stdio::null()).spawn().unwrap());
        let ready = format!("http://{}/readyz", world.stack.admin);
        eventually("the node is ready", async || {
            reqwest::get(&ready)
                .await
                .is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        node
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The figures of the last line, as far as they were taken.
#[derive(Debug, Default)]
struct Bar {
    quotes_per_s: Option<f64>,
    pays_per_s_1: Option<f64>,
    pays_per_s_10: Option<f64>,
    added_ms_p50: Option<f64>,
    restart_s: Option<f64>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let only = words.iter().position(|word| word == "--only");
    run(measure(only.map(|at| words[at + 1].clone())));
}

async fn measure(only: Option<String>) {
    let wants = |scenario: &str| only.as_ref().is_none_or(|only| only == scenario);
    let world = World::on_own_chain(EXE, "pay").await;
    let mut buyers = vec![Buyer::of_world(&world).await];
    for number in 1..WORKSPACES {
        buyers.push(Buyer::new(&world, number).await);
    }
    let treasury = world.owner.treasury().await.unwrap();
    world.stop().await;
    println!("load average {}", load());
    let commits_per_s = baselines::durable_commits(world.folder.path()).await;
    println!("SQLite's durable commits         {commits_per_s:>8.0}/s");
    let raw = baselines::raw_payments(&world, treasury).await;
    println!(
        "transactions handed to the node  {:>8.0}/s in a row, included after p50 {:.1} ms one by one",
        raw.per_s, raw.included_ms_p50
    );

    let mut bar = Bar::default();
    let node = Node::start(&world).await;
    if wants("quotes") {
        let figures = buyers[0].quotes(QUOTES, QUOTES_AT_ONCE).await;
        figures.print(
            "quotes",
            Some(("of durable commits", figures.per_s() / commits_per_s)),
        );
        bar.quotes_per_s = Some(figures.per_s());
    }
    if wants("latency") {
        bar.added_ms_p50 = Some(latency(&world, &mut buyers[0], &raw).await);
    }
    if wants("one") {
        let figures = buyers::pay_together(&mut buyers[..1], PAYMENTS, PAYMENTS_AT_ONCE).await;
        figures.print(
            "payments, one workspace",
            Some(("of raw", figures.per_s() / raw.per_s)),
        );
        bar.pays_per_s_1 = Some(figures.per_s());
    }
    if wants("ten") {
        let each = PAYMENTS / WORKSPACES;
        let figures = buyers::pay_together(&mut buyers, each, PAYMENTS_AT_ONCE / 4).await;
        figures.print(
            "payments, ten workspaces",
            Some(("of raw", figures.per_s() / raw.per_s)),
        );
        bar.pays_per_s_10 = Some(figures.per_s());
    }
    ledger::assert_adds_up(&world, EXE);
    node.kill();
    if wants("restart") {
        bar.restart_s = Some(restart(&world, &mut buyers[0], &raw).await);
    }
    bar.print();
}

/// Payments one after the other, against transactions one after the other.
async fn latency(world: &World, buyer: &mut Buyer, raw: &baselines::Raw) -> f64 {
    let (figures, steps) = buyer.one_by_one(world, SINGLE_PAYMENTS).await;
    let added = figures.quantile_ms(0.5) - raw.included_ms_p50;
    figures.print("payments, one by one", None);
    println!("    from one step to the next, p50 ms: {steps}");
    println!("    {added:.1} ms more than the node takes by itself");
    added
}

/// From the start of the process until it is ready and answers, with so many payments open.
async fn restart(world: &World, buyer: &mut Buyer, raw: &baselines::Raw) -> f64 {
    let open = std::env::var("X402_BENCH_OPEN").map_or(100_000, |text| text.parse().unwrap());
    if buyer.is_new() {
        let _node = Node::start(world).await;
        buyer.one_by_one(world, 1).await;
    }
    open::add(world, open, &raw.far_ahead).await;
    let begin = Instant::now();
    let _node = Node::start(world).await;
    let ready = begin.elapsed();
    let figures = buyer.quotes(1, 1).await;
    println!(
        "restart with {open} open payments: ready after {:.2} s, then a quote takes {:.1} ms",
        ready.as_secs_f64(),
        figures.quantile_ms(0.5)
    );
    let begin = Instant::now();
    let (figures, steps) = buyer.one_by_one(world, 5).await;
    println!(
        "    five payments among them: {:.1} s, p50 {:.0} ms ({steps})",
        begin.elapsed().as_secs_f64(),
        figures.quantile_ms(0.5)
    );
    ready.as_secs_f64()
}

/// A quantile of durations, in milliseconds.
pub(crate) fn quantile_ms(times: &mut [Duration], quantile: f64) -> f64 {
    times.sort_unstable();
    let at = (times.len() as f64 * quantile) as usize;
    times[at.min(times.len() - 1)].as_secs_f64() * 1_000.0
}

impl Figures {
    fn print(&self, name: &str, ratio: Option<(&str, f64)>) {
        let ratio = ratio.map_or(String::new(), |(what, ratio)| {
            format!(", {ratio:.2} {what}")
        });
        println!(
            "{name:<32} {:>8.0}/s{ratio}  p50 {:.1} p99 {:.1} ms, load {}",
            self.per_s(),
            self.quantile_ms(0.5),
            self.quantile_ms(0.99),
            load()
        );
    }
}

impl Bar {
    fn print(&self) {
        let shown = |value: Option<f64>, digits: usize| {
            value.map_or("left_out".to_owned(), |value| format!("{value:.digits$}"))
        };
        println!(
            "bar: quotes_per_s={} pays_per_s_1={} pays_per_s_10={} added_ms_p50={} restart_s={}",
            shown(self.quotes_per_s, 0),
            shown(self.pays_per_s_1, 0),
            shown(self.pays_per_s_10, 0),
            shown(self.added_ms_p50, 1),
            shown(self.restart_s, 2),
        );
    }
}
