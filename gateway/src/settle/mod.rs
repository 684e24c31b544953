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

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use alloy::primitives::B256;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use x402_schemas::index::{Change, CommitRow, IndexError, IndexReader, Tip};
use x402_service::{admin::Readiness, clock, logs::with_causes};

use crate::{
    fault,
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{Payment, Place},
        transitions,
        under_way::{self, Watched},
    },
    proofs::ProofsError,
};
use judge::Step;

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
    /// Told the tip up to which every payment is settled.
    pub(crate) settled_to: watch::Sender<Option<Tip>>,
    pub(crate) stop: CancellationToken,
}

impl Follower {
    /// Runs until the process stops. A part that is away is waited for, and reported as not ready.
    pub(crate) async fn run(mut self) -> Result<(), Infallible> {
        let mut followed = None;
        while !self.stop.is_cancelled() {
            match self.round(followed).await {
                Ok(tip) => {
                    followed = tip;
                    self.settled_to.send_replace(tip);
                    self.readiness.ready();
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

    /// Looks at what is new since `followed`, or at everything. Returns where the index was.
    ///
    /// A payment is signed in the ledger before its transaction is sent anywhere, so whoever reads a
    /// commit first and the ledger after it finds the payment of every transfer.
    async fn round(&self, followed: Option<Tip>) -> Result<Option<Tip>, RoundError> {
        let Some(before) = followed else {
            let tip = self.index.tip().await?;
            self.settle_all(tip).await?;
            return Ok(tip);
        };
        let commits = self.index.commits_after(before.seq, MAX_COMMITS).await?;
        let Some(tip) = commits.last().map(Tip::of) else {
            return Ok(followed);
        };
        let all_seen = u64::try_from(commits.len()).is_ok_and(|count| count < MAX_COMMITS);
        if all_seen {
            self.settle_changed(&commits, tip).await?;
        } else {
            self.settle_all(Some(tip)).await?;
        }
        Ok(Some(tip))
    }

    /// Moves the payments that commits say something of, however many others are open.
    async fn settle_changed(&self, commits: &[CommitRow], tip: Tip) -> Result<(), RoundError> {
        let mut changes = Vec::new();
        for commit in commits {
            changes.extend(self.index.changes(commit).await?);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let hashes: Vec<B256> = changes
            .iter()
            .map(|change| change.transfer().id.tx_hash)
            .collect();
        let watched = {
            let mut conn = self.gateway.ledger.read().await?;
            under_way::watched_of(&mut conn, &hashes).await?
        };
        self.settle(&watched, &changes, tip).await
    }

    /// Moves every watched payment to where the index says it is.
    async fn settle_all(&self, tip: Option<Tip>) -> Result<(), RoundError> {
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
        self.settle(&watched, &changes, tip).await
    }

    async fn settle(
        &self,
        watched: &[Watched],
        changes: &[Change],
        tip: Tip,
    ) -> Result<(), RoundError> {
        let token = self.gateway.chain.token();
        let mut by_hash: HashMap<B256, Vec<Change>> = HashMap::new();
        for change in changes {
            let hash = change.transfer().id.tx_hash;
            by_hash.entry(hash).or_default().push(*change);
        }
        let steps: Vec<(&Payment, Step)> = watched
            .iter()
            .filter_map(|one| {
                let its = one.hashes.iter().filter_map(|hash| by_hash.get(hash));
                let its: Vec<Change> = its.flatten().copied().collect();
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
                    let settling = async {
                        let proof = self.proof(payment, *place)?;
                        let moved =
                            transitions::settle(&mut change, &payment.id, *place, &proof, now);
                        Ok::<_, RoundError>(moved.await?)
                    };
                    let step = gateway.traces.settling(&payment.id);
                    settling.instrument(step).await?
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
                let reserved_at = payment.reserved_at.unwrap_or(payment.created_at);
                metrics.settled(payment.invoice.amount, reserved_at, clock::now());
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
}
