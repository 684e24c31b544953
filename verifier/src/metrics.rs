//! What the verifier reports about itself.

use std::iter;

use prometheus::{Histogram, IntCounter, Registry};
use tokio_util::sync::CancellationToken;
use x402_schemas::{api::revocations::RevocationEvent, codes::Refusal};
use x402_service::{metrics::Registrar, requests::RequestMetrics};

use self::gauges::Gauges;
use crate::routes;

/// What the verifier holds and how far it is.
mod gauges;

/// What counters tell apart.
mod labels;

pub(crate) use gauges::{Gauged, Waiting};
pub(crate) use labels::{ClaimOutcome, ProofSource, Refused};

/// Edges of answering times, seconds; 0.005 is the objective.
const SECONDS: [f64; 12] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];

const VERIFIED: &str = "verified";

/// Verifier metrics, registered once at start. A label is looked up here and not per request.
#[derive(Debug)]
pub struct VerifierMetrics {
    /// Requests of the public port.
    pub(crate) requests: RequestMetrics,
    verified_total: IntCounter,
    refusals_total: Vec<(Refusal, IntCounter)>,
    /// Time to answer `POST /verify`, without a wait that the caller asked for.
    pub(crate) verify_duration_seconds: Histogram,
    /// Time to answer `POST /verify/batch`, or a group of lines.
    pub(crate) batch_duration_seconds: Histogram,
    /// Time to put one group of claims on disk.
    pub(crate) claim_commit_duration_seconds: Histogram,
    claims_total: [IntCounter; 3],
    proofs_total: [IntCounter; 3],
    refused_total: [IntCounter; 3],
    revocations_total: [IntCounter; 2],
    coalesced_look_ups_total: IntCounter,
    cache_hits_total: IntCounter,
    cache_misses_total: IntCounter,
    index_queries_total: [IntCounter; 2],
    gauges: Gauges,
}

impl VerifierMetrics {
    /// Registers every metric, with every label at zero.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let verifier = Registrar::new(registry, "verifier");
        let verdicts = verifier.counters(
            "verdicts_total",
            "Verdicts given, by verdict.",
            "verdict",
            iter::once(VERIFIED).chain(Refusal::ALL.iter().map(|refusal| refusal.as_str())),
        )?;
        let refusals = Refusal::ALL
            .iter()
            .map(|refusal| (*refusal, verdicts.with_label_values(&[refusal.as_str()])));
        let seconds = |name, help| verifier.histogram(name, help, &SECONDS);
        Ok(Self {
            requests: RequestMetrics::register(verifier, &routes::ALL)?,
            verified_total: verdicts.with_label_values(&[VERIFIED]),
            refusals_total: refusals.collect(),
            verify_duration_seconds: seconds(
                "verify_duration_seconds",
                "Time to answer one proof, without a wait that the caller asked for.",
            )?,
            batch_duration_seconds: seconds(
                "batch_duration_seconds",
                "Time to answer a batch of proofs, or a group of lines.",
            )?,
            claim_commit_duration_seconds: seconds(
                "claim_commit_duration_seconds",
                "Time to put a group of claims on disk.",
            )?,
            claims_total: verifier.each(
                "claims_total",
                "Claims asked for, by outcome.",
                "outcome",
                ClaimOutcome::ALL.map(ClaimOutcome::as_str),
            )?,
            proofs_total: verifier.each(
                "proofs_total",
                "Proofs read, by how.",
                "source",
                ProofSource::ALL.map(ProofSource::as_str),
            )?,
            refused_total: verifier.each(
                "refused_total",
                "Requests that a limit refused, by limit.",
                "limit",
                Refused::ALL.map(Refused::as_str),
            )?,
            revocations_total: verifier.each(
                "revocations_total",
                "Claimed payments that a reorg changed, by event.",
                "event",
                ["revoked", "restored"],
            )?,
            coalesced_look_ups_total: verifier.counter(
                "coalesced_look_ups_total",
                "Look-ups that shared another one's query.",
            )?,
            index_queries_total: verifier.each(
                "index_queries_total",
                "Look-ups sent to ClickHouse, by outcome.",
                "outcome",
                ["ok", "error"],
            )?,
            cache_hits_total: verifier.counter("cache_hits_total", "Transfers found in memory.")?,
            cache_misses_total: verifier
                .counter("cache_misses_total", "Transfers not found in memory.")?,
            gauges: Gauges::register(verifier)?,
        })
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
        self.gauges.waiting()
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
        self.gauges.keep(gauged, stop).await;
    }
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
            let family = families
                .iter()
                .find(|family| family.name() == format!("x402_verifier_{name}"));
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
        let buckets = of("verify_duration_seconds")[0]
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
