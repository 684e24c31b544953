//! `x402 ledger`: does the gateway's ledger add up?

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use x402_gateway::ledger::check::check;

use crate::terminal::say;

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Prove that postings balance, limits' sums equal the payments, and no invoice is paid twice. Reads only; the gateway
    /// may be running.
    Check {
        /// Folder of the ledger.
        #[arg(long, env = "X402_GATEWAY_DATA_DIR", default_value = ".x402/gateway")]
        data_dir: PathBuf,
    },
}

/// Exits 0 when everything adds up, 1 otherwise.
pub(crate) async fn run(command: LedgerCommand) -> anyhow::Result<ExitCode> {
    let LedgerCommand::Check { data_dir } = command;
    let report = check(&data_dir).await?;
    say(format!(
        "{} payments, {} steps, {} postings; {} MNEE reserved, {} spent; {} differences",
        report.payments,
        report.steps,
        report.postings,
        report.reserved,
        report.spent,
        report.differences
    ));
    for difference in &report.first {
        say(difference);
    }
    let told = u64::try_from(report.first.len()).unwrap_or(u64::MAX);
    let untold = report.differences.saturating_sub(told);
    if untold > 0 {
        say(format!("and {untold} more"));
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
