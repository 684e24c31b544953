//! The command line: what is asked, and which command answers.
//!
//! Exit codes: 0 done, 1 failed, 64 the flags, environment or configuration file are wrong.

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use toml::Table;
use x402_service::logs;

use crate::{
    commands::{
        agent::{self, AgentCommand},
        approval::{self, ApprovalCommand},
        audit::{self, AuditArgs},
        demo::{self, DemoArgs},
        events::{self, EventsArgs},
        key::{self, KeyCommand},
        ledger::{self, LedgerCommand},
        member::{self, MemberCommand},
        node::{self, NodeArgs},
        pay::{self, PayArgs},
        provider::{self, ProviderCommand},
        services::{self, GatewayArgs, IndexerArgs, VerifierArgs},
        verify::{self, VerifyArgs},
        wallet::{self, WalletCommand},
        webhook::{self, WebhookCommand},
        workspace::{self, WorkspaceCommand},
    },
    local::{
        child::{self, ChildArgs},
        embedded::{self, EmbeddedArgs},
    },
    settings::{self, SettingsError},
    terminal::{AboveBars, note},
};

/// Exit code of wrong flags, environment or configuration (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;

/// x402 payments in MNEE: indexer, verifier, gateway, and the tools around them.
#[derive(Debug, Parser)]
#[command(name = "x402", version)]
struct Cli {
    /// TOML file with defaults for the flags: keys are flag names, sections are command names.
    #[arg(long, global = true, env = "X402_CONFIG")]
    config: Option<PathBuf>,
    /// What to log, as a tracing filter.
    #[arg(long, global = true, env = "X402_LOG")]
    log: Option<String>,
    /// Where traces are sent: the URL of an OpenTelemetry collector that takes OTLP over HTTP. Other OTEL_ variables, such
    /// as `OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_TRACES_SAMPLER`, say how.
    #[arg(
        long,
        global = true,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL"
    )]
    otlp_endpoint: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything, running: chain, ClickHouse, services, a paid API, an agent buying from it.
    Demo(DemoArgs),
    /// The three services in one process, against a real chain and a real ClickHouse.
    Node(NodeArgs),
    /// The indexer: the token's transfers from the chain into ClickHouse.
    Indexer(IndexerArgs),
    /// The gateway: agents ask, policy decides, payments are made.
    Gateway(GatewayArgs),
    /// The verifier: providers ask whether a proof holds.
    Verifier(VerifierArgs),
    /// Compare the index with the chain, row by row.
    Audit(AuditArgs),
    /// The gateway's ledger.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// A treasury's key: make it, attach it, approve spending.
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Workspaces.
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Members of a workspace and their roles.
    #[command(subcommand)]
    Member(MemberCommand),
    /// API keys of members, agents and providers.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Agents and their policies.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Payments that wait for an owner's approval.
    #[command(subcommand)]
    Approval(ApprovalCommand),
    /// Where events are sent to.
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// What happens to payments, one JSON line for each event.
    Events(EventsArgs),
    /// Providers and their payees.
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Fetch a URL like curl, paying for it when it asks.
    Pay(PayArgs),
    /// Ask the verifier about a proof.
    Verify(VerifyArgs),
    #[command(hide = true)]
    Child(ChildArgs),
    #[command(hide = true)]
    LocalClickhouse(EmbeddedArgs),
}

impl Command {
    /// What is logged unless `--log` says otherwise: the demo's own lines tell its story.
    const fn default_log(&self) -> &'static str {
        if matches!(self, Self::Demo(_)) {
            "warn"
        } else {
            "info"
        }
    }

    /// Whose spans a trace shows, unless `OTEL_SERVICE_NAME` says otherwise.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no service is the command line, whichever command"
    )]
    const fn service(&self) -> &'static str {
        match self {
            Self::Demo(_) => "x402-demo",
            Self::Node(_) => "x402-node",
            Self::Indexer(_) => "x402-indexer",
            Self::Gateway(_) => "x402-gateway",
            Self::Verifier(_) => "x402-verifier",
            _ => "x402",
        }
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    match parse() {
        Ok((cli, tree)) => answer(cli, &tree),
        Err(SettingsError::Flag(error)) => {
            // Help and version come this way too, and are no mistake.
            drop(error.print());
            if error.use_stderr() {
                ExitCode::from(EXIT_USAGE)
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error) => wrong_usage(error),
    }
}

/// The command tree without a configuration file, for running services from within.
pub fn command_tree() -> clap::Command {
    Cli::command()
}

fn parse() -> Result<(Cli, clap::Command), SettingsError> {
    // A first, lenient reading only finds the file, whose values the second one needs.
    let lenient = Cli::command().ignore_errors(true).try_get_matches();
    let path = lenient
        .ok()
        .and_then(|matches| matches.get_one::<PathBuf>("config").cloned());
    let file = path.map_or_else(|| Ok(Table::new()), |path| settings::read(&path))?;
    let tree = settings::with_defaults(Cli::command(), &file)?;
    let cli = Cli::from_arg_matches(&tree.clone().try_get_matches()?)?;
    Ok((cli, tree))
}

fn answer(cli: Cli, tree: &clap::Command) -> ExitCode {
    // The hidden commands become other programs: no runtime, no threads before that.
    if let Command::Child(args) = &cli.command {
        return failed(&child::become_program(args).into());
    }
    if let Command::LocalClickhouse(args) = cli.command {
        return failed(&embedded::serve(args).into());
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let filter = cli.log.as_deref().unwrap_or(cli.command.default_log());
    let collector = cli.otlp_endpoint.as_deref();
    let entered = runtime.enter();
    let spans = match logs::init(filter, AboveBars::new, collector, cli.command.service()) {
        Ok(spans) => spans,
        Err(error) => return wrong_usage(error),
    };
    drop(entered);
    let outcome = runtime.block_on(dispatch(cli.command, tree));
    spans.end();
    match outcome {
        Ok(code) => code,
        Err(error) => match error.downcast::<SettingsError>() {
            Ok(error) => wrong_usage(error),
            Err(error) => failed(&error),
        },
    }
}

async fn dispatch(command: Command, tree: &clap::Command) -> anyhow::Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Demo(args) => demo::run(args, tree).await,
        Command::Node(args) => node::run(args, tree).await,
        Command::Indexer(args) => services::run_indexer(args).await,
        Command::Gateway(args) => services::run_gateway(args).await,
        Command::Verifier(args) => services::run_verifier(args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Ledger(command) => ledger::run(command).await,
        Command::Wallet(command) => wallet::run(command).await.map(done),
        Command::Workspace(command) => workspace::run(command).await.map(done),
        Command::Member(command) => member::run(command).await.map(done),
        Command::Key(command) => key::run(command).await.map(done),
        Command::Agent(command) => agent::run(command).await.map(done),
        Command::Approval(command) => approval::run(command).await.map(done),
        Command::Webhook(command) => webhook::run(command).await.map(done),
        Command::Events(args) => events::run(args).await.map(done),
        Command::Provider(command) => provider::run(command).await.map(done),
        Command::Pay(args) => pay::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Child(_) | Command::LocalClickhouse(_) => Ok(ExitCode::FAILURE),
    }
}

fn wrong_usage(error: impl Into<anyhow::Error>) -> ExitCode {
    note(describe(&error.into()));
    ExitCode::from(EXIT_USAGE)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    note(describe(error));
    ExitCode::FAILURE
}

/// The error with its causes on one line, so that logs and terminals both show all of it.
fn describe(error: &anyhow::Error) -> String {
    format!("x402: {error:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        command_tree().debug_assert();
    }
}
