//! What is waiting to be told, and what became of it.

use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use x402_service::metrics::{Registrar, whole};

use crate::ledger::event_cursors::Consumer;

/// Metrics of the outbox.
#[derive(Clone, Debug)]
pub(crate) struct EventMetrics {
    backlog: IntGaugeVec,
    oldest_at: IntGaugeVec,
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
    pub(crate) fn register(gateway: Registrar<'_>) -> prometheus::Result<Self> {
        let consumers = || Consumer::ALL.map(Consumer::as_str);
        Ok(Self {
            attempts_total: gateway.counters(
                "webhook_attempts_total",
                "Attempts to reach a webhook, by what became of them.",
                "outcome",
                AttemptOutcome::ALL.map(AttemptOutcome::as_str),
            )?,
            streams: gateway.gauge("event_streams", "Streams of events that are open.")?,
            deliveries_waiting: gateway.gauge(
                "webhook_deliveries_waiting",
                "Events on their way to webhooks.",
            )?,
            backlog: gateway.gauges(
                "events_backlog",
                "Events in the ledger that a consumer has not been told of.",
                "consumer",
                consumers(),
            )?,
            oldest_at: gateway.gauges(
                "events_oldest_timestamp_seconds",
                "When the oldest event happened that a consumer has not been told of; 0 while there is none.",
                "consumer",
                consumers(),
            )?,
            exported_total: gateway.counter(
                "events_exported_total",
                "Events that ClickHouse has acknowledged.",
            )?,
            export_retries_total: gateway.counter(
                "events_export_retries_total",
                "Batches of events that ClickHouse did not acknowledge and that were sent again.",
            )?,
        })
    }

    pub(crate) fn waiting(&self, consumer: Consumer, count: u64, oldest: Option<Timestamp>) {
        let labels = [consumer.as_str()];
        self.backlog.with_label_values(&labels).set(whole(count));
        let oldest = oldest.map_or(0, Timestamp::as_second);
        self.oldest_at.with_label_values(&labels).set(oldest);
    }

    pub(crate) fn exported(&self, events: u64) {
        self.exported_total.inc_by(events);
    }

    pub(crate) fn streams(&self, open: usize) {
        self.streams.set(whole(open));
    }

    pub(crate) fn deliveries_waiting(&self, count: u64) {
        self.deliveries_waiting.set(whole(count));
    }

    pub(crate) fn attempted(&self, outcome: AttemptOutcome) {
        let labels = [outcome.as_str()];
        self.attempts_total.with_label_values(&labels).inc();
    }

    pub(crate) fn export_retried(&self) {
        self.export_retries_total.inc();
    }
}
