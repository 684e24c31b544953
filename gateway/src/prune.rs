//! Keeping the ledger as small as what it has to remember: payments, their histories and quotes for
//! ever, the rest for as long as anything asks for it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use x402_schemas::{api::policy::MAX_REPLAYED_DAYS, policy::MAX_WINDOW_HOURS};
use x402_service::{clock, logs::with_causes};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        prune::{self, Walked},
    },
    policy::tally::earlier,
};

/// How often what is old is looked for.
const PRUNE_EVERY: Duration = Duration::from_mins(1);
/// Rows that one change of the ledger removes: it holds everybody else up for that long.
const MAX_REMOVED: u32 = 500;
/// Pages of each kind in one round, so that a large backlog is worked off over many.
const MAX_PAGES: u32 = 200;
/// How long after its end a quote that nobody paid is told as expired, and not as unknown.
const UNPAID_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// A day more than dry runs replay.
const DENIED_KEPT_HOURS: i64 = 24;

/// Prunes until the process stops.
pub(crate) async fn run(gateway: Arc<Gateway>) -> Result<(), Infallible> {
    let mut walked = Walked::default();
    while !gateway.stop.is_cancelled() {
        if let Err(error) = round(&gateway, &mut walked, clock::now()).await {
            tracing::warn!(
                error = with_causes(&error),
                "what is old could not be removed; trying again"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(PRUNE_EVERY) => (),
            () = gateway.stop.cancelled() => (),
        }
    }
    Ok(())
}

/// Removes what is old by now. Quotes up to `walked` are not looked at again.
pub(crate) async fn round(
    gateway: &Gateway,
    walked: &mut Walked,
    now: Timestamp,
) -> Result<(), LedgerError> {
    unpaid_quotes(gateway, walked, earlier(now, UNPAID_KEPT)).await?;
    let replayed = i64::from(MAX_REPLAYED_DAYS).saturating_mul(24);
    let denied = SignedDuration::from_hours(replayed.saturating_add(DENIED_KEPT_HOURS));
    for _ in 0..MAX_PAGES {
        let mut change = gateway.ledger.write().await?;
        let removed = prune::remove_denied(&mut change, earlier(now, denied), MAX_REMOVED).await?;
        change.commit().await?;
        if removed < u64::from(MAX_REMOVED) {
            break;
        }
    }
    // The hour that the longest window begins in is counted payment by payment; one more is kept.
    let window = SignedDuration::from_hours(i64::from(MAX_WINDOW_HOURS).saturating_add(1));
    for _ in 0..MAX_PAGES {
        let mut change = gateway.ledger.write().await?;
        let removed = prune::remove_hours(&mut change, earlier(now, window), MAX_REMOVED).await?;
        change.commit().await?;
        if removed < u64::from(MAX_REMOVED) {
            break;
        }
    }
    Ok(())
}

async fn unpaid_quotes(
    gateway: &Gateway,
    walked: &mut Walked,
    before: Timestamp,
) -> Result<(), LedgerError> {
    for _ in 0..MAX_PAGES {
        let page = {
            let mut conn = gateway.ledger.read().await?;
            prune::ended_quotes(&mut conn, *walked, before, MAX_REMOVED).await?
        };
        if !page.unpaid.is_empty() {
            let mut change = gateway.ledger.write().await?;
            prune::remove_quotes(&mut change, &page.unpaid).await?;
            change.commit().await?;
        }
        match page.next {
            Some(next) => *walked = next,
            None => break,
        }
    }
    Ok(())
}
