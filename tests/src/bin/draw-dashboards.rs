//! Draws the committed dashboards from a running ClickHouse and Prometheus, into pictures.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use reqwest::Url;
use x402_service::clock;
use x402_tests::grafana::{
    browser::{Gallery, complaints},
    dashboard::committed,
    macros::Window,
    sources::Sources,
};

/// Draws the dashboards with Grafana's components in headless Chromium.
#[derive(Parser)]
struct Args {
    /// ClickHouse over HTTP; a user and a password may be in it.
    #[arg(long, default_value = "http://127.0.0.1:8123")]
    clickhouse_url: Url,
    /// The index's database.
    #[arg(long, default_value = "x402")]
    database: String,
    /// Prometheus.
    #[arg(long, default_value = "http://127.0.0.1:9090")]
    prometheus_url: Url,
    /// Seconds between two of its scrapes.
    #[arg(long, default_value_t = 15)]
    scrape_seconds: i64,
    /// Minutes to show, until now.
    #[arg(long, default_value_t = 15)]
    minutes: i64,
    /// Where the pictures go.
    #[arg(long, default_value = "docs/screenshots")]
    pictures: PathBuf,
    /// Dashboards, by uid; all of them if none is named.
    uids: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut dashboards = committed();
    dashboards.retain(|one| args.uids.is_empty() || args.uids.contains(&one.uid));
    let to_ms = clock::now().as_millisecond();
    let gallery = Gallery {
        dashboards,
        sources: Sources {
            clickhouse: args.clickhouse_url,
            database: args.database,
            prometheus: args.prometheus_url,
            scrape_seconds: args.scrape_seconds,
            http: reqwest::Client::new(),
        },
        window: Window {
            from_ms: to_ms.saturating_sub(args.minutes.saturating_mul(60_000)),
            to_ms,
        },
    };
    let drawn = gallery.draw(Some(&args.pictures)).await;
    let complaints = complaints(&drawn);
    #[expect(clippy::print_stderr, reason = "a program says what went wrong")]
    for (uid, complaint) in &complaints {
        eprintln!("{uid}: {}", complaint.join("; "));
    }
    ExitCode::from(u8::from(!complaints.is_empty()))
}
