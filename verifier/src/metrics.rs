//! What the verifier reports about itself.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use x402_schemas::codes::Refusal;
use x402_service::clock;

use crate::{directory::DirectoryView, obstacles::Obstacles, transfers::Memory};

/// Edges of answering times, seconds; 0.005 is the objective.
const SECONDS: [f64; 12] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];

/// How often ages are brought up to date.
const TICK: Duration = Duration::from_secs(1);

const VERIFIED: &str = "verified";

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// It is new.
    Granted,
    /// The caller had it already.
    Repeated,
    /// Somebody else has it, or another attempt of the same caller.
    Refused,
}

/// Verifier metrics, registered once at start.
#[derive(Debug)]
pub(crate) struct VerifierMetrics {
    verdicts_total: IntCounterVec,
    /// Time to answer `POST /verify`.
    pub(crate) verify_seconds: Histogram,
    /// Time to answer `POST /verify/batch`.
    pub(crate) batch_seconds: Histogram,
    /// Time to put one group of claims on disk.
    pub(crate) claim_commit_seconds: Histogram,
    claims_total: IntCounterVec,
    cache_hits_total: IntCounter,
    cache_misses_total: IntCounter,
    cache_entries: IntGauge,
    index_queries_total: IntCounterVec,
    index_tip_block: IntGauge,
    index_tip_age_seconds: IntGauge,
    directory_age_seconds: IntGauge,
}

impl ClaimOutcome {
    const ALL: [Self; 3] = [Self::Granted, Self::Repeated, Self::Refused];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
        }
    }
}

impl VerifierMetrics {
    /// Registers every metric, with every label at zero.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            verdicts_total: counters(
                registry,
                "verdicts_total",
                "Verdicts given, by verdict.",
                "verdict",
            )?,
            verify_seconds: histogram(registry, "verify_seconds", "Time to answer one proof.")?,
            batch_seconds: histogram(
                registry,
                "batch_seconds",
                "Time to answer a batch of proofs.",
            )?,
            claim_commit_seconds: histogram(
                registry,
                "claim_commit_seconds",
                "Time to put a group of claims on disk.",
            )?,
            claims_total: counters(
                registry,
                "claims_total",
                "Claims asked for, by outcome.",
                "outcome",
            )?,
            cache_hits_total: counter(registry, "cache_hits_total", "Transfers found in memory.")?,
            cache_misses_total: counter(
                registry,
                "cache_misses_total",
                "Transfers not found in memory.",
            )?,
            cache_entries: gauge(registry, "cache_entries", "Transfers in memory.")?,
            index_queries_total: counters(
                registry,
                "index_queries_total",
                "Look-ups sent to ClickHouse, by outcome.",
                "outcome",
            )?,
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
        metrics.verdicts_total.with_label_values(&[VERIFIED]);
        for refusal in Refusal::ALL {
            metrics
                .verdicts_total
                .with_label_values(&[refusal.as_str()]);
        }
        for outcome in ClaimOutcome::ALL {
            metrics.claims_total.with_label_values(&[outcome.as_str()]);
        }
        for ok in [true, false] {
            metrics
                .index_queries_total
                .with_label_values(&[answered(ok)]);
        }
        metrics.index_tip_age_seconds.set(-1);
        metrics.directory_age_seconds.set(-1);
        Ok(metrics)
    }

    /// Counts a verdict: `None` is verified.
    pub(crate) fn count_verdict(&self, refusal: Option<Refusal>) {
        let label = refusal.map_or(VERIFIED, Refusal::as_str);
        self.verdicts_total.with_label_values(&[label]).inc();
    }

    /// Counts a claim that was asked for.
    pub(crate) fn count_claim(&self, outcome: ClaimOutcome) {
        self.claims_total
            .with_label_values(&[outcome.as_str()])
            .inc();
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
        self.index_queries_total
            .with_label_values(&[answered(ok)])
            .inc();
    }

    /// Brings the gauges up to date every second until `stop`, and notices a lapsed directory.
    pub(crate) async fn keep_ages(
        &self,
        memory: &Memory,
        directory: &DirectoryView,
        obstacles: &Obstacles,
        stop: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.cache_entries.set(whole(memory.entries()));
            if let Some(tip) = memory.progress().and_then(|progress| progress.tip) {
                let age = clock::unix_seconds(clock::now()).saturating_sub(tip.block_time);
                self.index_tip_block.set(whole(tip.block_number));
                self.index_tip_age_seconds.set(whole(age));
            }
            if let Some(age) = directory.age(Instant::now()) {
                self.directory_age_seconds.set(whole(age.as_secs()));
                obstacles.judge_directory(directory);
            }
        }
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
