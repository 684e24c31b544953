//! `x402 indexer`, `gateway`, `verifier`: one service in this process.

use std::{net::SocketAddr, process::ExitCode};

use anyhow::Context;
use clap::Args;
use prometheus::Registry;
use tokio::sync::watch;
use x402_gateway::GatewayConfig;
use x402_indexer::{Indexer, IndexerConfig};
use x402_service::{
    admin::Readiness,
    lifecycle::{GRACE, Tasks, stop_signal},
    serve,
};
use x402_verifier::VerifierConfig;

use super::bar;
use crate::stack::start_admin;

/// Flags of `x402 indexer`.
#[derive(Debug, Args)]
pub(crate) struct IndexerArgs {
    #[command(flatten)]
    config: IndexerConfig,
    /// Where health, readiness and metrics are.
    #[arg(long, env = "X402_ADMIN_LISTEN", default_value = "127.0.0.1:9101")]
    admin_listen: SocketAddr,
}

/// Flags of `x402 gateway`.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    #[command(flatten)]
    config: GatewayConfig,
    /// Where health, readiness and metrics are.
    #[arg(long, env = "X402_ADMIN_LISTEN", default_value = "127.0.0.1:9102")]
    admin_listen: SocketAddr,
}

/// Flags of `x402 verifier`.
#[derive(Debug, Args)]
pub(crate) struct VerifierArgs {
    #[command(flatten)]
    config: VerifierConfig,
    /// Where health, readiness and metrics are.
    #[arg(long, env = "X402_ADMIN_LISTEN", default_value = "127.0.0.1:9103")]
    admin_listen: SocketAddr,
}

pub(crate) async fn run_indexer(args: IndexerArgs) -> anyhow::Result<ExitCode> {
    let (tasks, registry, readiness) = (
        Tasks::new(),
        Registry::new(),
        Readiness::starting("starting"),
    );
    // Health answers while start-up waits for the chain or ClickHouse.
    start_admin(
        args.admin_listen,
        registry.clone(),
        vec![("indexer", readiness.clone())],
        &tasks,
    )
    .await?;
    let (wake, _) = watch::channel(0);
    let indexer = Indexer::start(&args.config, &registry, readiness, wake, &tasks).await?;
    let bar = tokio::spawn(bar::show(
        "backfill",
        indexer.progress(),
        bar::Lines::Theirs,
    ));
    let code = tasks.run_until(stop_signal(), GRACE).await;
    bar.abort();
    Ok(code)
}

pub(crate) async fn run_gateway(args: GatewayArgs) -> anyhow::Result<ExitCode> {
    let (tasks, registry, readiness) = (
        Tasks::new(),
        Registry::new(),
        Readiness::starting("starting"),
    );
    start_admin(
        args.admin_listen,
        registry.clone(),
        vec![("gateway", readiness.clone())],
        &tasks,
    )
    .await?;
    let listen = args.config.listen;
    let (listener, _) = serve::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let started =
        x402_gateway::start(args.config, listener, &registry, readiness, None, &tasks).await?;
    tracing::info!(address = %started.address, "serving");
    Ok(tasks.run_until(stop_signal(), GRACE).await)
}

pub(crate) async fn run_verifier(args: VerifierArgs) -> anyhow::Result<ExitCode> {
    let (tasks, registry, readiness) = (
        Tasks::new(),
        Registry::new(),
        Readiness::starting("starting"),
    );
    start_admin(
        args.admin_listen,
        registry.clone(),
        vec![("verifier", readiness.clone())],
        &tasks,
    )
    .await?;
    let started = x402_verifier::start(args.config, &registry, readiness, None, &tasks).await?;
    tracing::info!(address = %started.address, "serving");
    Ok(tasks.run_until(stop_signal(), GRACE).await)
}
