//! What is waiting to be told, and what became of it.

use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::ledger::event_cursors::Consumer;

/// Metrics of the outbox.
#[derive(Clone, Debug)]
pub(crate) struct EventMetrics {
    backlog: IntGaugeVec,
    oldest_seconds: IntGaugeVec,
    exported_total: IntCounter,
    export_retries_total: IntCounter,
    streams: IntGauge,
    deliveries_waiting: IntGauge,
    attempts_total: IntCounterVec,
}

/// What became of an attempt to reach a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    /// It has arrived.
    Delivered,
    /// It has not, and will be tried again.
    Retried,
    /// It has not for a day and is given up.
    Failed,
}

impl AttemptOutcome {
    const ALL: [Self; 3] = [Self::Delivered, Self::Retried, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Failed => "failed",
        }
    }
}

impl EventMetrics {
    /// Registers every series.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["consumer"])?;
            registry.register(Box::new(gauge.clone()))?;
            for consumer in Consumer::ALL {
                gauge.with_label_values(&[consumer.as_str()]);
            }
            Ok::<_, prometheus::Error>(gauge)
        };
        let single = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let attempts_total = IntCounterVec::new(
            Opts::new(
                "x402_gateway_webhook_attempts_total",
                "Attempts to reach a webhook, by what became of them.",
            ),
            &["outcome"],
        )?;
        registry.register(Box::new(attempts_total.clone()))?;
        for outcome in AttemptOutcome::ALL {
            attempts_total.with_label_values(&[outcome.as_str()]);
        }
        Ok(Self {
            attempts_total,
            streams: single(
                "x402_gateway_event_streams",
                "Streams of events that are open.",
            )?,
            deliveries_waiting: single(
                "x402_gateway_webhook_deliveries_waiting",
                "Events on their way to webhooks.",
            )?,
            backlog: gauge(
                "x402_gateway_events_backlog",
                "Events in the ledger that a consumer has not been told of.",
            )?,
            oldest_seconds: gauge(
                "x402_gateway_events_oldest_seconds",
                "Age of the oldest event that a consumer has not been told of.",
            )?,
            exported_total: counter(
                "x402_gateway_events_exported_total",
                "Events that ClickHouse has acknowledged.",
            )?,
            export_retries_total: counter(
                "x402_gateway_events_export_retries_total",
                "Batches of events that ClickHouse did not acknowledge and that were sent again.",
            )?,
        })
    }

    pub(crate) fn waiting(
        &self,
        consumer: Consumer,
        count: u64,
        oldest: Option<Timestamp>,
        now: Timestamp,
    ) {
        let labels = [consumer.as_str()];
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.backlog.with_label_values(&labels).set(count);
        let age = oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs().max(0));
        self.oldest_seconds.with_label_values(&labels).set(age);
    }

    pub(crate) fn exported(&self, events: u64) {
        self.exported_total.inc_by(events);
    }

    pub(crate) fn streams(&self, open: usize) {
        self.streams.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    pub(crate) fn deliveries_waiting(&self, count: u64) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.deliveries_waiting.set(count);
    }

    pub(crate) fn attempted(&self, outcome: AttemptOutcome) {
        let labels = [outcome.as_str()];
        self.attempts_total.with_label_values(&labels).inc();
    }

    pub(crate) fn export_retried(&self) {
        self.export_retries_total.inc();
    }
}
