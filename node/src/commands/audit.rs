//! `x402 audit`: is the index equal to the chain?

use std::process::ExitCode;

use clap::Args;
use x402_indexer::{
    IndexerConfig,
    audit::{self, Difference},
};

use crate::terminal::say;

/// Flags of `x402 audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    config: IndexerConfig,
    /// First block to compare.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Last block to compare; the end of the index when absent.
    #[arg(long)]
    to: Option<u64>,
}

/// Exits 0 when every row is as the node has it, 1 otherwise.
pub(crate) async fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let report = audit::audit(&args.config, args.from, args.to.unwrap_or(u64::MAX)).await?;
    say(format!(
        "blocks {} to {}: {} transfers on the chain; {} missing, {} stale, {} different in the index",
        report.from, report.to, report.transfers, report.missing, report.stale, report.different
    ));
    for difference in &report.first {
        say(match difference {
            Difference::Missing(transfer) => format!("missing    {transfer:?}"),
            Difference::Stale(transfer) => format!("stale      {transfer:?}"),
            Difference::Different { chain, index } => {
                format!("different  chain {chain:?}\n           index {index:?}")
            }
        });
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
