//! `x402 events`: what happens to the workspace's payments, one JSON line each.

use std::time::Duration;

use clap::Args;

use super::connection::OwnerArgs;
use crate::{
    owner::{EventsQuery, Owner},
    terminal::{note, say},
};

/// How long to wait before a stream that was cut is taken up again.
const PAUSE: Duration = Duration::from_secs(1);
/// A line of a stream is an event; none is nearly as long.
const MAX_LINE: usize = 1024 * 1024;

/// Flags of `x402 events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on with what happens from now on, until interrupted.
    #[arg(long)]
    follow: bool,
    /// Only events after this number. Without it, all that are kept, or with --follow none but new ones.
    #[arg(long)]
    after: Option<u64>,
    /// Only this payment's.
    #[arg(long)]
    payment: Option<String>,
    #[command(flatten)]
    owner: OwnerArgs,
}

pub(crate) async fn run(args: EventsArgs) -> anyhow::Result<()> {
    let owner = args.owner.connect()?;
    let mut query = EventsQuery {
        payment: args.payment,
        follow: args.follow,
        after: args.after.or((!args.follow).then_some(0)),
        last: None,
    };
    loop {
        match print(&owner, &mut query).await {
            Ok(()) if !query.follow => return Ok(()),
            Ok(()) => (),
            // What was told once can be resumed; what never began is the caller's to hear of.
            Err(error) if !query.follow || query.last.is_none() => return Err(error),
            Err(error) => note(format!("x402: {error:#}; trying again")),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints a stream until it ends, and notes the last event that it told.
async fn print(owner: &Owner, query: &mut EventsQuery) -> anyhow::Result<()> {
    let mut stream = owner.events(query).await?;
    let mut text = Vec::new();
    while let Some(piece) = stream.chunk().await? {
        text.extend_from_slice(&piece);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(data) = line.strip_prefix("data: ") {
                say(data.trim_end());
            } else if let Some(id) = line.strip_prefix("id: ") {
                query.last = id.trim_end().parse().ok();
            }
        }
        anyhow::ensure!(
            text.len() <= MAX_LINE,
            "the stream has a line without an end"
        );
    }
    Ok(())
}
