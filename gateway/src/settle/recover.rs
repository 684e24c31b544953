//! Driving what is under way to its end: sends again what the chain does not know, fails what is
//! final and reverted, releases what was reserved and never signed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use alloy::primitives::B256;
use futures::{StreamExt, stream};
use jiff::SignedDuration;
use tokio::sync::watch;
use x402_schemas::{
    codes::{PaymentError, PaymentFailure},
    index::Tip,
    payment::PaymentStatus,
};
use x402_service::{clock, logs::with_causes};

use super::{gas, overtaken};
use crate::{
    chain::{ChainError, Known},
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{Failure, Payment},
        transitions,
        under_way::{self, Unsettled},
    },
    pay::{broadcast, replace},
};

/// How often what is under way is looked after.
const RECOVER_EVERY: Duration = Duration::from_secs(3);
/// Payments that become final in one round.
const MAX_FINALIZED: u32 = 1_000;
/// The most payments that are looked after in one round; the lowest nonces come first.
const MAX_RECOVERED: u32 = 1_000;
/// Questions to the chain that are open at once.
const CONCURRENCY: usize = 16;
/// A payment this young is being sent right now.
const YOUNG: SignedDuration = SignedDuration::from_secs(2);
/// A sender that takes this long to sign has ended some way that it could not tell.
const RESERVED_TOO_LONG: SignedDuration = SignedDuration::from_mins(2);
/// The longest that one round may take of the follower's time.
const ROUND_TIMEOUT: Duration = Duration::from_secs(10);

/// Looks after what is under way until the process stops, beside whoever settles: neither waits for the
/// other.
pub(crate) async fn run(
    gateway: Arc<Gateway>,
    mut settled_to: watch::Receiver<Option<Tip>>,
) -> Result<(), Infallible> {
    let stop = gateway.stop.clone();
    // What the index has settled meanwhile is not looked after.
    tokio::select! {
        _ = settled_to.changed() => (),
        () = stop.cancelled() => (),
    }
    while !stop.is_cancelled() {
        let tip = *settled_to.borrow();
        if let Err(error) = recover(&gateway, tip).await {
            tracing::warn!(
                error = with_causes(&error),
                "payments under way could not be looked after; trying again"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(RECOVER_EVERY) => (),
            () = stop.cancelled() => (),
        }
    }
    Ok(())
}

/// Looks after everything that is under way. Up to this tip it was looked for in the index.
async fn recover(gateway: &Gateway, tip: Option<Tip>) -> Result<(), LedgerError> {
    release_unsigned(gateway, RESERVED_TOO_LONG).await?;
    expire_unapproved(gateway).await?;
    finalize(gateway, tip).await?;
    report(gateway).await?;
    let under_way = {
        let mut conn = gateway.ledger.read().await?;
        under_way::unsettled(&mut conn, MAX_RECOVERED).await?
    };
    let now = clock::now();
    let old: Vec<&Unsettled> = under_way
        .iter()
        .filter(|one| now.duration_since(one.payment.updated_at) >= YOUNG)
        .collect();
    let round =
        stream::iter(old).for_each_concurrent(CONCURRENCY, |one| look_after(gateway, one, tip));
    if tokio::time::timeout(ROUND_TIMEOUT, round).await.is_err() {
        tracing::warn!(
            "the chain is slow; payments under way are looked after again in the next round"
        );
    }
    gas::record(gateway).await?;
    Ok(())
}

/// Stops watching payments whose blocks are final: no later commit can say anything of them.
async fn finalize(gateway: &Gateway, tip: Option<Tip>) -> Result<(), LedgerError> {
    let Some(tip) = tip else {
        return Ok(());
    };
    let number = tip.finalized.min(tip.block_number);
    let ids = {
        let mut conn = gateway.ledger.read().await?;
        under_way::final_by(&mut conn, number, MAX_FINALIZED).await?
    };
    if ids.is_empty() {
        return Ok(());
    }
    let now = clock::now();
    let mut change = gateway.ledger.write().await?;
    for id in ids {
        transitions::finalize(&mut change, &id, now).await?;
    }
    Ok(change.commit().await?)
}

async fn report(gateway: &Gateway) -> Result<(), LedgerError> {
    let mut conn = gateway.ledger.read().await?;
    let open = under_way::open_counts(&mut conn).await?;
    gateway.metrics.open_payments(&open);
    Ok(())
}

/// Fails every payment that has been reserved for `at_least` without being signed. Nothing was sent
/// for it, and a signature that comes too late finds it failed.
pub(crate) async fn release_unsigned(
    gateway: &Gateway,
    at_least: SignedDuration,
) -> Result<(), LedgerError> {
    let now = clock::now();
    let since = now.saturating_sub(at_least).unwrap_or(now);
    let ids = {
        let mut conn = gateway.ledger.read().await?;
        under_way::reserved_before(&mut conn, since).await?
    };
    if ids.is_empty() {
        return Ok(());
    }
    let failure = Failure {
        code: PaymentError::Failed(PaymentFailure::WalletError),
        detail:
            "the gateway stopped before it signed; nothing was sent, get a new quote and try again"
                .to_owned(),
    };
    let mut released = Vec::new();
    let mut change = gateway.ledger.write().await?;
    for id in ids {
        if transitions::fail_unsigned(&mut change, &id, &failure, now).await? {
            released.push(id);
        }
    }
    change.commit().await?;
    for id in &released {
        gateway.metrics.stepped_to(PaymentStatus::Failed);
        gateway.metrics.failed(failure.code);
        gateway.waiters.wake(id);
    }
    Ok(())
}

/// Ends every payment that no owner has approved in time.
pub(crate) async fn expire_unapproved(gateway: &Gateway) -> Result<(), LedgerError> {
    let now = clock::now();
    let ids = {
        let mut conn = gateway.ledger.read().await?;
        under_way::unapproved(&mut conn, now).await?
    };
    if ids.is_empty() {
        return Ok(());
    }
    let mut expired = Vec::new();
    let mut change = gateway.ledger.write().await?;
    for id in ids {
        if transitions::expire(&mut change, &id, &unapproved(), now).await? {
            expired.push(id);
        }
    }
    change.commit().await?;
    for id in &expired {
        gateway.metrics.stepped_to(PaymentStatus::Expired);
        gateway.metrics.failed(unapproved().code);
        gateway.waiters.wake(id);
    }
    Ok(())
}

/// Why a payment that waited for an owner has ended.
fn unapproved() -> Failure {
    Failure {
        code: PaymentError::Failed(PaymentFailure::ApprovalExpired),
        detail: "no owner has approved it in time; get a new quote and ask again".to_owned(),
    }
}

async fn look_after(gateway: &Gateway, one: &Unsettled, tip: Option<Tip>) {
    let payment = &one.payment;
    match known(gateway, one).await {
        Ok((
            hash,
            Known::Mined {
                block_number,
                succeeded: false,
                ..
            },
        )) if tip.is_some_and(|tip| block_number <= tip.finalized.min(tip.block_number)) => {
            let detail = format!(
                "the transaction was mined in block {block_number} and reverted; nothing was paid"
            );
            fail(gateway, one, hash, detail).await;
        }
        Ok((
            _,
            Known::Mined {
                block_number,
                succeeded: true,
                ..
            },
        )) => record(gateway, payment, Seen::InBlock(block_number)).await,
        // Reverted, and not final yet.
        Ok((_, Known::Mined { .. })) => (),
        Ok((hash, known @ (Known::No | Known::Waiting))) => {
            record(gateway, payment, Seen::InNoBlock).await;
            match overtaken::is_overtaken(gateway, one, tip).await {
                Ok(true) => {
                    let detail =
                        "another transaction has used its nonce for good; nothing was paid";
                    fail(gateway, one, hash, detail.to_owned()).await;
                }
                Ok(false) => send_again(gateway, one, known).await,
                Err(error) => {
                    tracing::debug!(
                        error = with_causes(&error),
                        payment = payment.id,
                        "it is not known whether a payment's nonce is still its own"
                    );
                    send_again(gateway, one, known).await;
                }
            }
        }
        Err(error) => {
            tracing::debug!(
                error = with_causes(&error),
                payment = payment.id,
                "the chain could not be asked for a payment"
            );
        }
    }
}

/// What the chain knows of a payment: of whichever of its transactions is in a block, or of the newest.
async fn known(gateway: &Gateway, one: &Unsettled) -> Result<(B256, Known), ChainError> {
    let mut newest = None;
    for hash in one.payment.tx_hash.iter().chain(&one.replaced) {
        let known = gateway.chain.look_up(*hash).await?;
        if matches!(known, Known::Mined { .. }) {
            return Ok((*hash, known));
        }
        newest.get_or_insert((*hash, known));
    }
    Ok(newest.unwrap_or((B256::ZERO, Known::No)))
}

/// Bids more for what waits too long; sends what the chain does not know.
async fn send_again(gateway: &Gateway, one: &Unsettled, known: Known) {
    let id = &one.payment.id;
    match replace::replace_if_stuck(gateway, one).await {
        Ok(Some(raw)) => {
            tracing::info!(
                payment = id,
                "a payment waited too long; more is bid for it"
            );
            broadcast::hand_over(gateway, id, &raw).await;
        }
        Ok(None) if known == Known::No => broadcast::hand_over(gateway, id, &one.raw).await,
        Ok(None) => (),
        Err(error) => {
            tracing::warn!(
                error = with_causes(&error),
                payment = id,
                "a payment waits and no more can be bid for it"
            );
            if known == Known::No {
                broadcast::hand_over(gateway, id, &one.raw).await;
            }
        }
    }
}

/// What a node says of a transaction that the index has not told of.
#[derive(Clone, Copy, Debug)]
enum Seen {
    InBlock(u64),
    InNoBlock,
}

/// Writes down what the node says, where it is news. It decides nothing: the index does.
async fn record(gateway: &Gateway, payment: &Payment, seen: Seen) {
    let to = match (payment.status, seen) {
        (PaymentStatus::Signed | PaymentStatus::Broadcast, Seen::InBlock(_)) => {
            PaymentStatus::Included
        }
        (PaymentStatus::Included, Seen::InNoBlock) => PaymentStatus::Broadcast,
        _ => return,
    };
    let recorded = async {
        let (id, now) = (&payment.id, clock::now());
        let mut change = gateway.ledger.write().await?;
        let taken = match seen {
            Seen::InBlock(number) => transitions::include(&mut change, id, number, now).await?,
            Seen::InNoBlock => transitions::exclude(&mut change, id, now).await?,
        };
        change.commit().await?;
        Ok::<_, LedgerError>(taken)
    };
    match recorded.await {
        Ok(true) => gateway.metrics.stepped_to(to),
        Ok(false) => (),
        Err(error) => tracing::warn!(
            error = with_causes(&error),
            payment = payment.id,
            "what the node says of a payment is not recorded yet"
        ),
    }
}

/// Ends a payment that moved nothing and never will.
async fn fail(gateway: &Gateway, one: &Unsettled, tx_hash: B256, detail: String) {
    let id = &one.payment.id;
    let failure = Failure {
        code: PaymentError::Failed(PaymentFailure::TransactionFailed),
        detail,
    };
    let failed = async {
        let mut change = gateway.ledger.write().await?;
        let failed = transitions::revert(&mut change, id, tx_hash, &failure, clock::now()).await?;
        change.commit().await?;
        Ok::<_, LedgerError>(failed)
    };
    match failed.await {
        Ok(true) => {
            tracing::warn!(
                payment = id,
                detail = failure.detail,
                "a payment has ended unpaid"
            );
            gateway.metrics.stepped_to(PaymentStatus::Reverted);
            gateway.metrics.failed(failure.code);
            gateway.waiters.wake(id);
        }
        Ok(false) => (),
        Err(error) => tracing::warn!(
            error = with_causes(&error),
            payment = id,
            "a payment that ended unpaid is not released yet"
        ),
    }
}
