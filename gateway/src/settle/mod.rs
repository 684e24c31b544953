//! The index in; settled, reorganised and reverted payments out.
//!
//! Whether money moved is decided by the index and by nothing else. What is signed is sent again
//! until the chain knows it, and no timeout ever fails a payment.

/// What a payment's transfers in the index mean for it.
pub(crate) mod judge;

/// Sending again, finding final reverts, releasing what was never signed.
pub(crate) mod recover;

/// Payments whose nonce is gone.
mod overtaken;

/// What the transactions of ended payments cost.
mod gas;

use std::{convert::Infallible, sync::Arc, time::Duration};

use alloy::primitives::B256;
use thiserror::Error;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use x402_schemas::{
    index::{Change, IndexError, IndexReader, Tip},
    payment::PaymentStatus,
};
use x402_service::{admin::Readiness, clock, logs::with_causes};

use crate::{
    fault,
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{Payment, Place},
        transitions, under_way,
    },
    proofs::ProofsError,
};
use judge::Step;

/// How often payments in flight are looked after even when the index is quiet.
const RECOVER_EVERY: Duration = Duration::from_secs(3);
/// Commits that are looked at for news at once; behind more than that, everything is looked up.
const MAX_COMMITS: u64 = 100;
/// The most payments that one change of the ledger moves.
const MAX_STEPS: usize = 500;

/// Why a round did not finish. The next one starts over: every step is repeatable.
#[derive(Debug, Error)]
pub(crate) enum RoundError {
    #[error("the index failed")]
    Index(#[from] IndexError),
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("a proof failed")]
    Proof(#[from] ProofsError),
    #[error("the ledger could not commit")]
    Commit(#[from] sqlx::Error),
}

/// Follows the index until the process stops.
pub(crate) struct Follower {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) index: IndexReader,
    pub(crate) readiness: Readiness,
    /// Rung by an indexer of the same process.
    pub(crate) wake: Option<watch::Receiver<u64>>,
    pub(crate) poll: Duration,
    pub(crate) stop: CancellationToken,
}

impl Follower {
    /// Runs until the process stops. A part that is away is waited for, and reported as not ready.
    pub(crate) async fn run(mut self) -> Result<(), Infallible> {
        let mut followed = None;
        let mut recovered: Option<Instant> = None;
        while !self.stop.is_cancelled() {
            let recovery_due = recovered.is_none_or(|at| at.elapsed() >= RECOVER_EVERY);
            match self.round(followed, recovery_due).await {
                Ok(seq) => {
                    followed = Some(seq);
                    self.readiness.ready();
                    if recovery_due {
                        recovered = Some(Instant::now());
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = with_causes(&error),
                        "payments could not be followed; trying again"
                    );
                    self.readiness.not_ready("the index or the ledger is away");
                }
            }
            self.pause().await;
        }
        Ok(())
    }

    /// Until the indexer rings, or a poll's time has passed.
    async fn pause(&mut self) {
        let rung = async {
            match &mut self.wake {
                Some(wake) => {
                    if wake.changed().await.is_err() {
                        // The indexer is gone; polling is left.
                        std::future::pending::<()>().await;
                    }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = rung => (),
            () = tokio::time::sleep(self.poll) => (),
            () = self.stop.cancelled() => (),
        }
    }

    /// Looks at what is new since `followed`, or at everything when a recovery is due. Returns where
    /// the index was.
    async fn round(&self, followed: Option<u64>, recovery_due: bool) -> Result<u64, RoundError> {
        let tip = self.index.tip().await?;
        let seq = tip.map_or(0, |tip| tip.seq);
        let quiet = match followed {
            Some(since) if since == seq => true,
            Some(since) => self.nothing_moved(since).await?,
            None => false,
        };
        // A block that becomes final is news too, but none that anyone waits for.
        if !quiet || recovery_due {
            self.settle(tip).await?;
        }
        if recovery_due {
            recover::recover(&self.gateway, tip).await?;
            self.report().await?;
        }
        Ok(seq)
    }

    /// Whether the commits after `since` moved no token at all.
    async fn nothing_moved(&self, since: u64) -> Result<bool, IndexError> {
        let commits = self.index.commits_after(since, MAX_COMMITS).await?;
        let all_seen = u64::try_from(commits.len()).is_ok_and(|count| count < MAX_COMMITS);
        let quiet = commits
            .iter()
            .all(|commit| commit.rows == 0 && commit.retracted == 0);
        Ok(all_seen && quiet)
    }

    /// Brings every watched payment to where the index says it is. The tip was read before the
    /// payments are, so a transfer that it covers is of a payment that is already signed.
    async fn settle(&self, tip: Option<Tip>) -> Result<(), RoundError> {
        let Some(tip) = tip else {
            return Ok(());
        };
        let watched = {
            let mut conn = self.gateway.ledger.read().await?;
            under_way::watched(&mut conn).await?
        };
        let hashes: Vec<B256> = watched
            .iter()
            .flat_map(|one| one.hashes.iter().copied())
            .collect();
        if hashes.is_empty() {
            return Ok(());
        }
        let changes = self.index.find_by_tx(&hashes).await?;
        let token = self.gateway.chain.token();
        let steps: Vec<(&Payment, Step)> = watched
            .iter()
            .filter_map(|one| {
                let its: Vec<Change> = changes
                    .iter()
                    .filter(|change| one.hashes.contains(&change.transfer().id.tx_hash))
                    .copied()
                    .collect();
                let step = judge::judge(one, &its, token, tip.finalized)?;
                Some((&one.payment, step))
            })
            .collect();
        for some in steps.chunks(MAX_STEPS) {
            self.take(some).await?;
        }
        Ok(())
    }

    async fn take(&self, steps: &[(&Payment, Step)]) -> Result<(), RoundError> {
        let gateway = &self.gateway;
        let now = clock::now();
        let mut taken = Vec::with_capacity(steps.len());
        let mut change = gateway.ledger.write().await?;
        for (payment, step) in steps {
            let done = match step {
                Step::Settle(place) => {
                    let proof = self.proof(payment, *place)?;
                    transitions::settle(&mut change, &payment.id, *place, &proof, now).await?
                }
                Step::Move(place) => {
                    let proof = self.proof(payment, *place)?;
                    transitions::unsettle(&mut change, &payment.id, now).await?
                        && transitions::settle(&mut change, &payment.id, *place, &proof, now)
                            .await?
                }
                Step::Unsettle => transitions::unsettle(&mut change, &payment.id, now).await?,
                Step::Finalize => transitions::finalize(&mut change, &payment.id, now).await?,
            };
            if done {
                taken.push((*payment, *step));
            }
        }
        fault::point!("settling");
        change.commit().await?;
        fault::point!("settled");
        if taken
            .iter()
            .any(|(_, step)| matches!(step, Step::Settle(_) | Step::Move(_)))
        {
            gateway.proofs.announce_issued();
        }
        for (payment, step) in taken {
            self.announce(payment, step);
        }
        Ok(())
    }

    fn proof(&self, payment: &Payment, place: Place) -> Result<String, ProofsError> {
        let gateway = &self.gateway;
        let token = gateway.chain.token();
        let now = clock::now();
        gateway
            .proofs
            .issue(&gateway.issuer, gateway.network, token, payment, place, now)
    }

    fn announce(&self, payment: &Payment, step: Step) {
        let metrics = &self.gateway.metrics;
        match step {
            Step::Settle(_) => {
                metrics.stepped_to(PaymentStatus::Settled);
                metrics.settled_after(payment.created_at, clock::now());
            }
            Step::Move(place) => {
                metrics.reorged();
                tracing::info!(
                    payment = payment.id,
                    block = place.block_number,
                    "a reorg moved a settled payment"
                );
            }
            Step::Unsettle => {
                metrics.reorged();
                tracing::warn!(
                    payment = payment.id,
                    "a reorg removed a settled payment; it is sent again"
                );
            }
            Step::Finalize => return,
        }
        self.gateway.waiters.wake(&payment.id);
    }

    async fn report(&self) -> Result<(), LedgerError> {
        let mut conn = self.gateway.ledger.read().await?;
        let open = under_way::open_counts(&mut conn).await?;
        self.gateway.metrics.open_payments(&open, clock::now());
        Ok(())
    }
}
