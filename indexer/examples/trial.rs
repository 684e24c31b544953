//! throw-away
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::allow_attributes
)]
use clap::Parser;
#[derive(Parser)]
struct Cmd {
    #[command(flatten)]
    c: x402_indexer::IndexerConfig,
    #[arg(long)]
    audit: bool,
    #[arg(long)]
    metrics: bool,
}
#[tokio::main]
async fn main() -> std::process::ExitCode {
    x402_service::logs::init("info,x402_indexer=debug").unwrap();
    let cmd = Cmd::parse();
    if cmd.audit {
        let r = x402_indexer::audit(&cmd.c, 0, u64::MAX).await.unwrap();
        println!(
            "{} {} {} missing={} stale={} different={}",
            if r.is_clean() { "CLEAN" } else { "DIRTY" },
            r.to,
            r.transfers,
            r.missing,
            r.stale,
            r.different
        );
        for d in r.first {
            println!("{d:?}");
        }
        return std::process::ExitCode::SUCCESS;
    }
    let reg = prometheus::Registry::new();
    let ready = x402_service::admin::Readiness::starting("start");
    let tasks = x402_service::lifecycle::Tasks::new();
    let (tx, mut rx) = tokio::sync::watch::channel(0);
    if let Err(e) = x402_indexer::Indexer::start(&cmd.c, &reg, ready.clone(), tx, &tasks).await {
        let mut s: Option<&dyn std::error::Error> = Some(&e);
        while let Some(x) = s {
            eprintln!("start: {x}");
            s = x.source();
        }
        return std::process::ExitCode::from(2);
    }
    let r2 = ready.clone();
    tokio::spawn(async move {
        let mut last = None;
        loop {
            let o = r2.obstacle();
            if o != last {
                eprintln!("readiness: {o:?}");
                last = o;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    tokio::spawn(async move {
        while rx.changed().await.is_ok() {
            rx.borrow_and_update();
        }
    });
    let t = std::sync::Arc::new(std::sync::Mutex::new(std::time::Instant::now()));
    let t2 = t.clone();
    let code = tasks
        .run_until(
            async move {
                x402_service::lifecycle::stop_signal().await;
                *t2.lock().unwrap() = std::time::Instant::now();
            },
            x402_service::lifecycle::GRACE,
        )
        .await;
    eprintln!("stopped after {:?}", t.lock().unwrap().elapsed());
    if cmd.metrics {
        println!(
            "{}",
            prometheus::TextEncoder::new()
                .encode_to_string(&reg.gather())
                .unwrap()
        );
    }
    code
}
