//! `x402 node`: the three services in one process.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use alloy::primitives::Address;
use clap::Args;
use reqwest::Url;
use secrecy::SecretString;
use x402_schemas::address;
use x402_service::lifecycle::{GRACE, Tasks, stop_signal};

use crate::stack::{Stack, StackOptions};

/// What the three services share. Everything else of each is set in the configuration file, in
/// `[indexer]`, `[gateway]` and `[verifier]`, or in the environment; see `x402 gateway --help` and so on.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// The chain node's JSON-RPC URL. Several, separated by commas: the indexer fails over and takes WebSocket URLs and socket
    /// files too, the gateway uses the first over HTTP.
    #[arg(
        long,
        env = "X402_RPC_URL",
        hide_env_values = true,
        required = true,
        value_delimiter = ',',
        value_parser = x402_indexer::config::endpoint_url
    )]
    rpc_url: Vec<Url>,
    /// ClickHouse's HTTP URL.
    #[arg(long, env = "X402_CLICKHOUSE_URL")]
    clickhouse_url: Url,
    /// The database of the index; created when missing.
    #[arg(long, env = "X402_CLICKHOUSE_DATABASE", default_value = "x402")]
    clickhouse_database: String,
    /// The token contract; MNEE on Ethereum when absent.
    #[arg(long, env = "X402_TOKEN", value_parser = address::parse)]
    token: Option<Address>,
    /// Folder of the gateway's ledger and seed and of the verifier's claims.
    #[arg(long, env = "X402_DATA_DIR", default_value = ".x402/node")]
    data_dir: PathBuf,
    /// Protects the gateway's master seed.
    #[arg(long, env = "X402_GATEWAY_PASSPHRASE", hide_env_values = true)]
    passphrase: SecretString,
    /// Lets its bearer create workspaces.
    #[arg(long, env = "X402_OPERATOR_TOKEN", hide_env_values = true)]
    operator_token: SecretString,
    /// Where the gateway listens.
    #[arg(long, env = "X402_GATEWAY_LISTEN", default_value = "127.0.0.1:4020")]
    gateway_listen: SocketAddr,
    /// Where the verifier listens.
    #[arg(long, env = "X402_VERIFIER_LISTEN", default_value = "127.0.0.1:4030")]
    verifier_listen: SocketAddr,
    /// Where health, readiness and metrics are.
    #[arg(long, env = "X402_ADMIN_LISTEN", default_value = "127.0.0.1:9100")]
    admin_listen: SocketAddr,
}

pub(crate) async fn run(args: NodeArgs, tree: &clap::Command) -> anyhow::Result<ExitCode> {
    let options = StackOptions {
        rpc_urls: args.rpc_url,
        clickhouse_url: args.clickhouse_url,
        database: args.clickhouse_database,
        token: args.token,
        data_dir: args.data_dir,
        passphrase: args.passphrase,
        operator_token: args.operator_token,
        gateway_listen: args.gateway_listen,
        verifier_listen: args.verifier_listen,
        admin_listen: args.admin_listen,
        flags: Vec::new(),
    };
    let tasks = Tasks::new();
    let stack = Stack::start(tree, &options, &tasks).await?;
    tracing::info!(network = %stack.network, gateway = %stack.gateway, verifier = %stack.verifier, admin = %stack.admin, "serving");
    Ok(tasks.run_until(stop_signal(), GRACE).await)
}
