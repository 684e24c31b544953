//! `x402 demo`: everything, running, on this machine.
//!
//! Nothing is staged: the chain node, ClickHouse and the services are the real ones, the agent and the
//! paid API use only the SDKs, and the last lines of each purchase are read back from ClickHouse.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use alloy::primitives::{Address, B256};
use anyhow::Context;
use clap::{Args, ValueEnum};
use reqwest::Url;
use secrecy::SecretString;
use x402_schemas::{
    index::{Change, IndexReader},
    network::Network,
};
use x402_service::{
    api_key,
    lifecycle::{GRACE, Tasks, stop_signal},
};

use self::{
    api::{ENDPOINTS, Endpoint},
    servers::Servers,
    setup::Cast,
    typescript::Scripts,
};
use crate::{
    local::token::{DEFAULT_ADMIN, LocalToken, MNEE_MAINNET},
    stack::{Stack, StackOptions, url_of},
    terminal::say,
};

/// The chain node and ClickHouse.
mod servers;

/// The paid API.
mod api;

/// The agent.
mod agent;

/// The same API and an agent in TypeScript.
mod typescript;

/// Workspace, treasury, agent, provider.
mod setup;

/// Many companies, agents and shops, for as long as the demo runs.
mod traffic;

/// Seconds between blocks: short, so that nobody waits, and a real interval, so that waiting shows.
const BLOCK_SECONDS: u64 = 1;
/// Protects the demo gateway's seed, which is worth nothing elsewhere.
const PASSPHRASE: &str = "for the local demo only";
/// What is summarized for whoever buys a summary.
const TEXT: &str = "Agents pay for what they use, one request at a time, and never twice.";
/// Index, prices and purchases of the demo.
const DATABASE: &str = "x402";

/// Flags of `x402 demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Stop after the first purchase.
    #[arg(long)]
    once: bool,
    /// Make the three purchases only, and no traffic after them.
    #[arg(long)]
    no_traffic: bool,
    /// Where the demo keeps its chain, tables and keys; delete it to start over.
    #[arg(long, default_value = ".x402/demo")]
    data_dir: PathBuf,
    /// Where the chain node and ClickHouse are installed on first use.
    #[arg(long, default_value = ".x402/tools")]
    tools_dir: PathBuf,
    /// A ClickHouse to use instead of a local one.
    #[arg(long, env = "X402_CLICKHOUSE_URL")]
    clickhouse_url: Option<Url>,
    /// `fixed`: 8545 chain, 8123 ClickHouse, 4020 gateway, 4030 verifier, 4040 API, 9100 metrics; `any`: free ones.
    #[arg(long, value_enum, default_value_t = Ports::Fixed)]
    ports: Ports,
    /// Which SDKs the paid API and the agent are written with.
    #[arg(long, value_enum, default_value_t = Sdk::Rust)]
    sdk: Sdk,
    /// The sources of the TypeScript SDKs, for `--sdk js`; they are installed and built there.
    #[arg(long, default_value = "sdk/js")]
    js_dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sdk {
    Rust,
    Js,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ports {
    Fixed,
    Any,
}

impl Ports {
    const fn child(self, port: u16) -> Option<u16> {
        match self {
            Self::Fixed => Some(port),
            Self::Any => None,
        }
    }

    fn listen(self, port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.child(port).unwrap_or(0)))
    }
}

pub(crate) async fn run(args: DemoArgs, tree: &clap::Command) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let servers = Servers::start(&args).await?;
    let tasks = Tasks::new();
    let outcome = tokio::select! {
        outcome = perform(&args, tree, &servers, &tasks, begin) => outcome,
        // Stopping early still stops everything in order.
        () = stop_signal() => Ok(()),
    };
    let code = tasks.run_until(std::future::ready(()), GRACE).await;
    servers.stop().await?;
    outcome.map(|()| code)
}

/// From the token to the purchases; returns when there is nothing more to do.
async fn perform(
    args: &DemoArgs,
    tree: &clap::Command,
    servers: &Servers,
    tasks: &Tasks,
    begin: Instant,
) -> anyhow::Result<()> {
    let token = LocalToken::place(&servers.chain, MNEE_MAINNET, DEFAULT_ADMIN).await?;
    let operator_token = SecretString::from(api_key::random_id("operator")?);
    let options = StackOptions {
        rpc_urls: vec![servers.chain.url.clone()],
        clickhouse_url: servers.clickhouse_url.clone(),
        database: DATABASE.to_owned(),
        token: None,
        data_dir: args.data_dir.clone(),
        passphrase: SecretString::from(PASSPHRASE),
        operator_token: operator_token.clone(),
        gateway_listen: args.ports.listen(4020),
        verifier_listen: args.ports.listen(4030),
        admin_listen: args.ports.listen(9100),
        flags: vec![("indexer", "poll-ms", "50".to_owned())],
    };
    let stack = Stack::start(tree, &options, tasks).await?;
    let (gateway, verifier): (Url, Url) = (
        url_of(stack.gateway).parse()?,
        url_of(stack.verifier).parse()?,
    );
    let cast = match Cast::remembered(&args.data_dir)? {
        Some(cast) => cast,
        None => Cast::make(&args.data_dir, &gateway, &operator_token, &token).await?,
    };
    let market = Market::open(
        args,
        servers,
        &verifier,
        &cast,
        (stack.network, token.address),
        tasks,
    )
    .await?;
    let api = market.url();
    introduce(&token, &cast, begin).await?;

    let index = IndexReader::new(
        clickhouse::Client::default()
            .with_url(servers.clickhouse_url.as_str())
            .with_database(DATABASE),
        stack.network,
    );
    let purchases = if args.once { 1 } else { ENDPOINTS.len() };
    for (number, endpoint) in ENDPOINTS.iter().take(purchases).enumerate() {
        say(format!(
            "\nPurchase {}: {} {}{} for {} MNEE",
            number.saturating_add(1),
            endpoint.method,
            api,
            endpoint.path,
            endpoint.price
        ));
        let tx_hash = market.buy(&gateway, &cast, endpoint).await?;
        show_row(&index, tx_hash, &cast).await?;
        if number == 0 {
            say(format!(
                "  first verified purchase {:.1} s after the start",
                begin.elapsed().as_secs_f32()
            ));
        }
    }
    if args.once {
        return Ok(());
    }
    show_addresses(&gateway, &verifier, api, servers, &stack, &cast);
    // The purchases are over; a service that gives up ends the demo.
    let stop = tasks.stop_token();
    if !args.no_traffic {
        let traffic = traffic::run(traffic::Roads {
            folder: &args.data_dir,
            gateway: &gateway,
            verifier: &verifier,
            operator_token: &operator_token,
            token: &token,
            chain: &servers.chain,
            network: stack.network,
        });
        let _ = stop.run_until_cancelled(traffic).await;
    }
    stop.cancelled().await;
    Ok(())
}

/// The paid API, and with it the agent that buys there.
enum Market {
    Rust(Url),
    TypeScript(Box<Scripts>),
}

impl Market {
    async fn open(
        args: &DemoArgs,
        servers: &Servers,
        verifier: &Url,
        cast: &Cast,
        token: (Network, Address),
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        match args.sdk {
            Sdk::Rust => {
                let listen = args.ports.listen(4040);
                let verifier = verifier.clone();
                let (key, pay_to) = (&cast.provider_key, cast.pay_to);
                let url = api::start(listen, verifier, key, pay_to, token, tasks).await?;
                Ok(Self::Rust(url))
            }
            Sdk::Js => {
                let port = args.ports.child(4040);
                let scripts = typescript::start(args, servers, verifier, cast, port).await?;
                Ok(Self::TypeScript(Box::new(scripts)))
            }
        }
    }

    async fn buy(&self, gateway: &Url, cast: &Cast, endpoint: &Endpoint) -> anyhow::Result<B256> {
        match self {
            Self::Rust(api) => agent::buy(gateway, cast, api, endpoint).await,
            Self::TypeScript(scripts) => scripts.buy(gateway, cast, endpoint).await,
        }
    }

    fn url(&self) -> &Url {
        match self {
            Self::Rust(url) => url,
            Self::TypeScript(scripts) => scripts.url(),
        }
    }
}

async fn introduce(token: &LocalToken, cast: &Cast, begin: Instant) -> anyhow::Result<()> {
    done("services", begin.elapsed(), "indexer, gateway, verifier");
    let held = token.balance_of(cast.treasury).await?;
    say(format!(
        "\n  token      {} (MNEE, at its mainnet address)",
        token.address
    ));
    say(format!(
        "  treasury   {} holds {held} MNEE; its key is in an encrypted file, the gateway has none",
        cast.treasury
    ));
    say(format!(
        "  provider   {} is paid for the demo API",
        cast.pay_to
    ));
    Ok(())
}

/// The row that a purchase left in ClickHouse.
async fn show_row(index: &IndexReader, tx_hash: B256, cast: &Cast) -> anyhow::Result<()> {
    let found = index.find_by_tx(&[tx_hash]).await?;
    let transfer = found.iter().find_map(|change| match change {
        Change::Added(transfer) if transfer.to == cast.pay_to => Some(transfer),
        Change::Added(_) | Change::Removed(_) => None,
    });
    let transfer = transfer.context("ClickHouse has no row of the payment")?;
    say("  verified   from the row in ClickHouse:");
    say(format!(
        "             transaction {} log {} block {}",
        transfer.id.tx_hash, transfer.id.log_index, transfer.block_number
    ));
    say(format!(
        "             {} → {}  {} MNEE  {}",
        short(transfer.from),
        short(transfer.to),
        transfer.amount,
        transfer.kind.as_str()
    ));
    say(format!(
        "             invoice hash {}",
        transfer.memo.unwrap_or_default()
    ));
    Ok(())
}

fn show_addresses(
    gateway: &Url,
    verifier: &Url,
    api: &Url,
    servers: &Servers,
    stack: &Stack,
    cast: &Cast,
) {
    let clickhouse = &servers.clickhouse_url;
    say(format!(
        "\nRunning until Ctrl-C:\n\
         \x20 gateway     {gateway}docs\n\
         \x20 verifier    {verifier}docs\n\
         \x20 paid API    {api}\n\
         \x20 ClickHouse  {clickhouse}play   SELECT * FROM {DATABASE}.transfers\n\
         \x20 metrics     http://{}/metrics\n\
         \x20 chain       {}\n\n\
         Buy once more from another terminal:\n\
         \x20 export X402_GATEWAY_URL={gateway} X402_AGENT_KEY={}\n\
         \x20 x402 pay {api}report --verbose",
        stack.admin, servers.chain.url, cast.agent_key
    ));
}

fn done(what: &str, took: Duration, shown: impl std::fmt::Display) {
    say(format!(
        "  {what:<10} {:>6.2} s   {shown}",
        took.as_secs_f32()
    ));
}

fn short(address: Address) -> String {
    let text = address.to_checksum(None);
    match (text.get(..6), text.get(38..)) {
        (Some(head), Some(tail)) => format!("{head}…{tail}"),
        _ => text,
    }
}
