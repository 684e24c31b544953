//! What the verifier reports about itself.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use x402_schemas::{api::revocations::RevocationEvent, codes::Refusal};
use x402_service::clock;

use crate::{
    claims::Claims,
    directory::DirectoryView,
    issued::IssuedProofs,
    obstacles::Obstacles,
    statements::Statements,
    transfers::Memory,
    verdict::{Served, is_stale},
};

/// What counters tell apart.
mod labels;

pub(crate) use labels::{ClaimOutcome, ProofSource, Refused};

/// Edges of answering times, seconds; 0.005 is the objective.
const SECONDS: [f64; 12] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];

/// How often ages are brought up to date.
const TICK: Duration = Duration::from_secs(1);

const VERIFIED: &str = "verified";

/// A request that waits for its payment; ends when dropped.
#[derive(Debug)]
pub(crate) struct Waiting(IntGauge);

/// What the gauges are read from.
#[derive(Debug)]
pub(crate) struct Gauged {
    pub(crate) memory: Arc<Memory>,
    pub(crate) directory: Arc<DirectoryView>,
    pub(crate) obstacles: Obstacles,
    pub(crate) statements: Statements,
    pub(crate) issued: Arc<IssuedProofs>,
    pub(crate) claims: Claims,
    pub(crate) served: Served,
}

/// Verifier metrics, registered once at start. A label is looked up here and not per request.
#[derive(Debug)]
pub(crate) struct VerifierMetrics {
    verified_total: IntCounter,
    refusals_total: Vec<(Refusal, IntCounter)>,
    /// Time to answer `POST /verify`.
    pub(crate) verify_seconds: Histogram,
    /// Time to answer `POST /verify/batch`.
    pub(crate) batch_seconds: Histogram,
    /// Time to put one group of claims on disk.
    pub(crate) claim_commit_seconds: Histogram,
    claims_total: [IntCounter; 3],
    proofs_total: [IntCounter; 3],
    refused_total: [IntCounter; 3],
    revocations_total: [IntCounter; 2],
    coalesced_look_ups_total: IntCounter,
    waiting: IntGauge,
    proof_entries: IntGauge,
    claim_entries: IntGauge,
    issued_digests: IntGauge,
    index_stale: IntGauge,
    cache_hits_total: IntCounter,
    cache_misses_total: IntCounter,
    cache_entries: IntGauge,
    index_queries_total: [IntCounter; 2],
    index_tip_block: IntGauge,
    index_tip_age_seconds: IntGauge,
    directory_age_seconds: IntGauge,
}

impl VerifierMetrics {
    /// Registers every metric, with every label at zero.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let verdicts = counters(
            registry,
            "verdicts_total",
            "Verdicts given, by verdict.",
            "verdict",
        )?;
        let claims = counters(
            registry,
            "claims_total",
            "Claims asked for, by outcome.",
            "outcome",
        )?;
        let proofs = counters(registry, "proofs_total", "Proofs read, by how.", "source")?;
        let refused = counters(
            registry,
            "refused_total",
            "Requests that a limit refused, by limit.",
            "limit",
        )?;
        let revocations = counters(
            registry,
            "revocations_total",
            "Claimed payments that a reorg changed, by event.",
            "event",
        )?;
        let queries = counters(
            registry,
            "index_queries_total",
            "Look-ups sent to ClickHouse, by outcome.",
            "outcome",
        )?;
        let refusals = Refusal::ALL
            .iter()
            .map(|refusal| (*refusal, verdicts.with_label_values(&[refusal.as_str()])));
        let metrics = Self {
            verified_total: verdicts.with_label_values(&[VERIFIED]),
            refusals_total: refusals.collect(),
            verify_seconds: histogram(registry, "verify_seconds", "Time to answer one proof.")?,
            batch_seconds: histogram(
                registry,
                "batch_seconds",
                "Time to answer a batch of proofs, or a group of lines.",
            )?,
            claim_commit_seconds: histogram(
                registry,
                "claim_commit_seconds",
                "Time to put a group of claims on disk.",
            )?,
            claims_total: ClaimOutcome::ALL
                .map(|outcome| claims.with_label_values(&[outcome.as_str()])),
            proofs_total: ProofSource::ALL
                .map(|source| proofs.with_label_values(&[source.as_str()])),
            refused_total: Refused::ALL.map(|limit| refused.with_label_values(&[limit.as_str()])),
            revocations_total: ["revoked", "restored"]
                .map(|event| revocations.with_label_values(&[event])),
            coalesced_look_ups_total: counter(
                registry,
                "coalesced_look_ups_total",
                "Look-ups that shared another one's query.",
            )?,
            waiting: gauge(registry, "waiting", "Requests that wait for their payment.")?,
            proof_entries: gauge(registry, "proof_entries", "Proofs in memory.")?,
            claim_entries: gauge(registry, "claim_entries", "Claims in memory.")?,
            issued_digests: gauge(
                registry,
                "issued_digests",
                "Digests of issued proofs in memory.",
            )?,
            index_stale: gauge(
                registry,
                "index_stale",
                "Whether the index's last block is too old to answer from.",
            )?,
            cache_hits_total: counter(registry, "cache_hits_total", "Transfers found in memory.")?,
            cache_misses_total: counter(
                registry,
                "cache_misses_total",
                "Transfers not found in memory.",
            )?,
            cache_entries: gauge(registry, "cache_entries", "Transfers in memory.")?,
            index_queries_total: [true, false].map(|ok| queries.with_label_values(&[answered(ok)])),
            index_tip_block: gauge(
                registry,
                "index_tip_block",
                "Last block of the index; 0 while empty or never read.",
            )?,
            index_tip_age_seconds: gauge(
                registry,
                "index_tip_age_seconds",
                "Age of the index's last block; -1 while empty or never read.",
            )?,
            directory_age_seconds: gauge(
                registry,
                "directory_age_seconds",
                "Time since the gateway was last asked with success; -1 before.",
            )?,
        };
        metrics.index_tip_age_seconds.set(-1);
        metrics.directory_age_seconds.set(-1);
        Ok(metrics)
    }

    /// Counts a verdict: `None` is verified.
    pub(crate) fn count_verdict(&self, refusal: Option<Refusal>) {
        let Some(refusal) = refusal else {
            return self.verified_total.inc();
        };
        let counter = self.refusals_total.iter().find(|(one, _)| *one == refusal);
        if let Some((_, counter)) = counter {
            counter.inc();
        }
    }

    /// Counts a claim that was asked for.
    pub(crate) fn count_claim(&self, outcome: ClaimOutcome) {
        let [granted, repeated, refused] = &self.claims_total;
        match outcome {
            ClaimOutcome::Granted => granted.inc(),
            ClaimOutcome::Repeated => repeated.inc(),
            ClaimOutcome::Refused => refused.inc(),
        }
    }

    /// Counts a proof that was read.
    pub(crate) fn count_proof(&self, source: ProofSource) {
        let [memory, digest, signature] = &self.proofs_total;
        match source {
            ProofSource::Memory => memory.inc(),
            ProofSource::Digest => digest.inc(),
            ProofSource::Signature => signature.inc(),
        }
    }

    /// Counts a request that a limit refused.
    pub(crate) fn count_refused(&self, limit: Refused) {
        let [rate, concurrency, overload] = &self.refused_total;
        match limit {
            Refused::Rate => rate.inc(),
            Refused::Concurrency => concurrency.inc(),
            Refused::Overload => overload.inc(),
        }
    }

    /// Counts a claimed payment that a reorg changed.
    pub(crate) fn count_revocation(&self, event: RevocationEvent) {
        let [revoked, restored] = &self.revocations_total;
        match event {
            RevocationEvent::Revoked => revoked.inc(),
            RevocationEvent::Restored => restored.inc(),
        }
    }

    /// Counts callers whose look-ups go into one query.
    pub(crate) fn count_look_ups(&self, callers: usize) {
        let others = u64::try_from(callers).unwrap_or(u64::MAX).saturating_sub(1);
        self.coalesced_look_ups_total.inc_by(others);
    }

    /// Counts a request as waiting until the value is dropped.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }

    /// Counts transfers asked of memory, and those that it did not have.
    pub(crate) fn count_cache(&self, asked: usize, missed: usize) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.cache_hits_total
            .inc_by(count(asked.saturating_sub(missed)));
        self.cache_misses_total.inc_by(count(missed));
    }

    /// Counts a query to the index.
    pub(crate) fn count_query(&self, ok: bool) {
        let [answered, failed] = &self.index_queries_total;
        if ok { answered.inc() } else { failed.inc() }
    }

    /// Brings the gauges up to date every second until `stop`, and notices a lapsed directory and a
    /// stale index.
    pub(crate) async fn keep_gauges(&self, gauged: Gauged, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.set_gauges(&gauged, clock::now());
        }
    }

    fn set_gauges(&self, gauged: &Gauged, now: Timestamp) {
        self.cache_entries.set(whole(gauged.memory.entries()));
        self.proof_entries.set(whole(gauged.statements.entries()));
        self.claim_entries.set(whole(gauged.claims.remembered()));
        let digests = u64::try_from(gauged.issued.len()).unwrap_or(u64::MAX);
        self.issued_digests.set(whole(digests));
        let tip = gauged.memory.progress().and_then(|progress| progress.tip);
        if let Some(tip) = tip {
            let age = clock::unix_seconds(now).saturating_sub(tip.block_time);
            self.index_tip_block.set(whole(tip.block_number));
            self.index_tip_age_seconds.set(whole(age));
        }
        let stale = is_stale(gauged.served, tip, now);
        self.index_stale.set(i64::from(stale));
        gauged.obstacles.judge_age(stale);
        if let Some(age) = gauged.directory.age(Instant::now()) {
            self.directory_age_seconds.set(whole(age.as_secs()));
            gauged.obstacles.judge_directory(&gauged.directory);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

const fn answered(ok: bool) -> &'static str {
    if ok { "ok" } else { "error" }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn named(name: &str) -> String {
    format!("x402_verifier_{name}")
}

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    let metric = IntCounter::new(named(name), help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> prometheus::Result<IntCounterVec> {
    let metric = IntCounterVec::new(Opts::new(named(name), help), &[label])?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let metric = IntGauge::new(named(name), help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn histogram(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Histogram> {
    let options = HistogramOpts::new(named(name), help).buckets(SECONDS.to_vec());
    let metric = Histogram::with_opts(options)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_reported_before_the_first_one_is_given() {
        let registry = Registry::new();
        VerifierMetrics::register(&registry).unwrap();
        let families = registry.gather();
        let of = |name: &str| {
            let family = families.iter().find(|family| family.name() == named(name));
            family.unwrap().get_metric().to_vec()
        };
        assert_eq!(of("verdicts_total").len(), Refusal::ALL.len() + 1);
        assert_eq!(of("claims_total").len(), ClaimOutcome::ALL.len());
        assert_eq!(of("proofs_total").len(), ProofSource::ALL.len());
        assert_eq!(of("refused_total").len(), Refused::ALL.len());
        assert_eq!(of("revocations_total").len(), 2);
        assert!(
            of("verdicts_total")
                .iter()
                .all(|metric| metric.get_counter().get_value() == 0.0)
        );
        let buckets = of("verify_seconds")[0]
            .get_histogram()
            .get_bucket()
            .to_vec();
        assert!(
            buckets
                .iter()
                .any(|bucket| (bucket.upper_bound() - 0.005).abs() < 1e-9)
        );
    }
}
