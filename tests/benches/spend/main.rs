//! What the dashboards and the analysts' queries cost at ten million payments: `cargo bench -p x402-tests --bench spend`.
//!
//! A real ClickHouse, filled by `market.sql`: ninety days of 50 workspaces, 500 agents and 100 providers, with every
//! payment's transfer. `X402_BENCH_PAYMENTS=100000` makes fewer. Each of `schemas/queries` is asked three times and the
//! median counts; so are all of a dashboard's questions together. A run whose views do not agree with each other, or in which something differs, fails.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on fails; its results are its output"
)]

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use clickhouse::Client;
use x402_schemas::index::migrate;
use x402_tests::{
    shared::{run, shared},
    spend::{SUMS, differences},
};

/// What opening a dashboard costs.
mod dashboards;

/// The binary that is ClickHouse.
const EXE: &str = env!("CARGO_BIN_EXE_x402-under-test");
const DATABASE: &str = "spend_bench";
const MARKET: &str = include_str!("market.sql");
/// As in the issue.
const PAYMENTS: u64 = 10_000_000;
/// How often each query is asked; the middle one counts.
const ASKED: usize = 3;

fn main() {
    run(bench());
}

async fn bench() {
    let shared = shared(EXE).await;
    let payments = env::var("X402_BENCH_PAYMENTS").map_or(PAYMENTS, |text| text.parse().unwrap());
    let client = Client::default().with_url(shared.clickhouse.url.as_str());
    migrate(&client, DATABASE).await.unwrap();
    let client = client.with_database(DATABASE);
    let began = Instant::now();
    for statement in MARKET.split(";\n") {
        let query = client.query(statement).param("payments", payments);
        query.execute().await.unwrap();
    }
    println!("{payments} payments made in {:.0?}", began.elapsed());
    assert_consistent(&client).await;
    println!("| query | ms |\n|---|---|");
    let mut slowest = Duration::ZERO;
    for (name, sql) in queries() {
        let took = median(&client, &sql).await;
        println!("| {name} | {} |", took.as_millis());
        slowest = slowest.max(took);
    }
    println!("| dashboard | ms |\n|---|---|");
    let mut slowest_dashboard = Duration::ZERO;
    for (title, took) in dashboards::times(&shared.clickhouse.url).await {
        println!("| {title} | {} |", took.as_millis());
        slowest_dashboard = slowest_dashboard.max(took);
    }
    println!(
        "bar: dashboards_s={:.2} slowest_query_s={:.2}",
        slowest_dashboard.as_secs_f64(),
        slowest.as_secs_f64()
    );
}

/// Every way of asking says the same, and nothing differs.
async fn assert_consistent(client: &Client) {
    let mut said = Vec::new();
    for sum in SUMS {
        let sum: (u64, String) = client.query(sum).fetch_one().await.unwrap();
        said.push(sum);
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    let began = Instant::now();
    assert_eq!(differences(client).await, []);
    println!("reconciled in {:.1?}", began.elapsed());
}

fn queries() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/queries");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(file).unwrap())
        })
        .collect()
}

async fn median(client: &Client, sql: &str) -> Duration {
    let mut took = Vec::new();
    for _ in 0..ASKED {
        let began = Instant::now();
        let mut rows = client.query(sql).fetch_bytes("RowBinary").unwrap();
        let bytes = rows.collect().await.unwrap();
        took.push((began.elapsed(), bytes.len()));
    }
    took.sort();
    took.get(ASKED / 2).unwrap().0
}
