//! What is waiting to be told, and what became of it.

use jiff::Timestamp;
use prometheus::{IntCounter, IntGaugeVec, Opts, Registry};

use crate::ledger::event_cursors::Consumer;

/// Metrics of the outbox.
#[derive(Clone, Debug)]
pub(crate) struct EventMetrics {
    backlog: IntGaugeVec,
    oldest_seconds: IntGaugeVec,
    exported_total: IntCounter,
    export_retries_total: IntCounter,
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
        Ok(Self {
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

    pub(crate) fn export_retried(&self) {
        self.export_retries_total.inc();
    }
}
