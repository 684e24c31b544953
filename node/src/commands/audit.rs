//! `x402 audit`: is the index equal to the chain? With `--repair`: make it so.

use std::process::ExitCode;

use clap::Args;
use tokio::sync::watch;
use x402_indexer::{
    AuditReport, IndexerConfig,
    audit::{self, AuditError, Repaired},
    progress::Progress,
};
use x402_service::lifecycle::stop_signal;

use super::bar;
use crate::terminal::{note, say};

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
    /// Index the blocks that differ again, then compare again. Stop the indexer first.
    #[arg(long)]
    repair: bool,
}

/// Exits 0 when every row is as the node has it (after a repair: is now), 1 otherwise.
pub(crate) async fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let progress = watch::Sender::default();
    let bar = tokio::spawn(bar::show("audit", progress.subscribe(), bar::Lines::Own));
    // Nothing that is dropped here leaves more behind than the next run finds.
    let outcome = tokio::select! {
        outcome = compare(&args, &progress) => Some(outcome),
        () = stop_signal() => None,
    };
    drop(progress);
    bar.await?;
    let Some(outcome) = outcome else {
        note(if args.repair {
            "x402: stopped; repeat `x402 audit --repair` to finish what was begun"
        } else {
            "x402: stopped"
        });
        return Ok(ExitCode::FAILURE);
    };
    let last = match outcome? {
        Outcome::Audited(report) => report,
        Outcome::Repaired(repaired) => {
            if repaired.retracted > 0 || repaired.written > 0 {
                tell(&repaired.before);
                say(format!(
                    "repaired: {} rows taken away, {} rows written; now:",
                    repaired.retracted, repaired.written
                ));
            }
            repaired.after
        }
    };
    tell(&last);
    Ok(if last.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was done.
enum Outcome {
    Audited(AuditReport),
    Repaired(Repaired),
}

async fn compare(
    args: &AuditArgs,
    progress: &watch::Sender<Progress>,
) -> Result<Outcome, AuditError> {
    let (from, to) = (args.from, args.to.unwrap_or(u64::MAX));
    if args.repair {
        let repaired = audit::repair(&args.config, from, to, progress).await?;
        return Ok(Outcome::Repaired(repaired));
    }
    let report = audit::audit_watched(&args.config, from, to, progress).await?;
    Ok(Outcome::Audited(report))
}

fn tell(report: &AuditReport) {
    say(format!(
        "blocks {} to {}: {} transfers on the chain; {} missing, {} stale, {} different in the index",
        report.from, report.to, report.transfers, report.missing, report.stale, report.different
    ));
    for difference in &report.first {
        say(difference);
    }
    let told = u64::try_from(report.first.len()).unwrap_or(u64::MAX);
    let untold = report.differences().saturating_sub(told);
    if untold > 0 {
        say(format!("and {untold} more"));
    }
}
