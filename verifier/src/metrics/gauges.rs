//! What the verifier holds and how far it is: looked at every second.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus::IntGauge;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use x402_service::{
    clock,
    metrics::{Registrar, whole},
};

use crate::{
    claims::Claims,
    directory::DirectoryView,
    issued::IssuedProofs,
    limits::InHand,
    obstacles::Obstacles,
    statements::Statements,
    transfers::Memory,
    verdict::{Served, is_stale},
};

/// How often gauges are brought up to date.
const TICK: Duration = Duration::from_secs(1);

/// What the gauges are read from.
#[derive(Debug)]
pub(crate) struct Gauged {
    pub(crate) memory: Arc<Memory>,
    pub(crate) directory: Arc<DirectoryView>,
    pub(crate) obstacles: Obstacles,
    pub(crate) statements: Statements,
    pub(crate) issued: Arc<IssuedProofs>,
    pub(crate) claims: Claims,
    pub(crate) in_hand: InHand,
    pub(crate) served: Served,
}

/// A request that waits for its payment; ends when dropped.
#[derive(Debug)]
pub(crate) struct Waiting(IntGauge);

/// Gauges of the verifier.
#[derive(Debug)]
pub(super) struct Gauges {
    waiting: IntGauge,
    in_hand: IntGauge,
    proof_entries: IntGauge,
    claim_entries: IntGauge,
    cache_entries: IntGauge,
    issued_digests: IntGauge,
    index_stale: IntGauge,
    index_tip_block: IntGauge,
    index_tip_at: IntGauge,
    directory_at: IntGauge,
}

impl Gauges {
    pub(super) fn register(verifier: Registrar<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            waiting: verifier.gauge("requests_waiting", "Requests that wait for their payment.")?,
            in_hand: verifier.gauge("proofs_in_hand", "Proofs that are being judged.")?,
            proof_entries: verifier.gauge("proof_entries", "Proofs in memory.")?,
            claim_entries: verifier.gauge("claim_entries", "Claims in memory.")?,
            cache_entries: verifier.gauge("cache_entries", "Transfers in memory.")?,
            issued_digests: verifier
                .gauge("issued_digests", "Digests of issued proofs in memory.")?,
            index_stale: verifier.gauge(
                "index_stale",
                "1 while the index's last block is too old to answer from.",
            )?,
            index_tip_block: verifier.gauge(
                "index_tip_block",
                "Last block of the index; 0 while empty or never read.",
            )?,
            index_tip_at: verifier.gauge(
                "index_tip_timestamp_seconds",
                "Time of the index's last block; 0 while empty or never read.",
            )?,
            directory_at: verifier.gauge(
                "directory_refreshed_timestamp_seconds",
                "When the gateway was last asked for its directory with success; 0 before.",
            )?,
        })
    }

    /// Counts a request as waiting until the value is dropped.
    pub(super) fn waiting(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }

    /// Brings the gauges up to date until `stop`, and notices a lapsed directory and a stale index.
    pub(super) async fn keep(&self, gauged: Gauged, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.set(&gauged, clock::now());
        }
    }

    fn set(&self, gauged: &Gauged, now: Timestamp) {
        self.in_hand.set(whole(gauged.in_hand.taken()));
        self.cache_entries.set(whole(gauged.memory.entries()));
        self.proof_entries.set(whole(gauged.statements.entries()));
        self.claim_entries.set(whole(gauged.claims.remembered()));
        self.issued_digests.set(whole(gauged.issued.len()));
        let tip = gauged.memory.progress().and_then(|progress| progress.tip);
        if let Some(tip) = tip {
            self.index_tip_block.set(whole(tip.block_number));
            self.index_tip_at.set(whole(tip.block_time));
        }
        let stale = is_stale(gauged.served, tip, now);
        self.index_stale.set(i64::from(stale));
        gauged.obstacles.judge_age(stale);
        if let Some(age) = gauged.directory.age(Instant::now()) {
            let refreshed_at = clock::unix_seconds(now).saturating_sub(age.as_secs());
            self.directory_at.set(whole(refreshed_at));
            gauged.obstacles.judge_directory(&gauged.directory);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}
