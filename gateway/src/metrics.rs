//! What the gateway reports about itself. Every series exists at zero from the start.

use jiff::Timestamp;
use prometheus::{Counter, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use x402_schemas::{
    amount::Amount,
    codes::{Denial, PaymentError},
    payment::PaymentStatus,
};
use x402_service::{
    metrics::{Registrar, whole},
    requests::RequestMetrics,
};

use self::{
    funds::FundsMetrics,
    labels::{ALLOWED, OPEN, REORGED},
};
use crate::{events::metrics::EventMetrics, routes};

/// What series tell apart.
mod labels;

/// What treasuries and spenders have left.
mod funds;

pub(crate) use labels::{BroadcastError, Limit, LimitOf};

/// From a block of a fast local chain to an hour of a congested one. 60 is the objective.
const SETTLE_SECONDS: [f64; 12] = [
    0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

/// Metrics of the gateway, registered once at start and passed down.
#[derive(Clone, Debug)]
pub struct GatewayMetrics {
    /// Requests of the public port.
    pub(crate) requests: RequestMetrics,
    quotes_total: IntCounterVec,
    transitions_total: IntCounterVec,
    failures_total: IntCounterVec,
    in_flight: IntGaugeVec,
    oldest_at: IntGaugeVec,
    settle_duration_seconds: Histogram,
    settled_mnee_total: Counter,
    gas_ether_total: Counter,
    broadcast_errors_total: IntCounterVec,
    replacements_total: IntCounter,
    directory_seq: IntGauge,
    over_limit_total: IntCounterVec,
    /// Treasuries and spenders.
    pub(crate) funds: FundsMetrics,
    /// The outbox and those who are told.
    pub(crate) events: EventMetrics,
}

impl GatewayMetrics {
    /// Registers every series.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gateway = Registrar::new(registry, "gateway");
        let open = || OPEN.map(PaymentStatus::as_str);
        let metrics = Self {
            requests: RequestMetrics::register(gateway, &routes::ALL)?,
            quotes_total: gateway.counters(
                "quotes_total",
                "Quotes given, by outcome: allowed, APPROVAL_REQUIRED, or the denial's code.",
                "outcome",
                labels::quotes(),
            )?,
            transitions_total: gateway.counters(
                "payment_transitions_total",
                "Steps of payments, by the status stepped to; reorged is settled going back to broadcast.",
                "status",
                labels::steps(),
            )?,
            failures_total: gateway.counters(
                "payment_failures_total",
                "Void payments and refused pay requests, by code.",
                "code",
                labels::failures(),
            )?,
            in_flight: gateway.gauges(
                "payments_in_flight",
                "Payments that are neither settled nor void, by status.",
                "status",
                open(),
            )?,
            oldest_at: gateway.gauges(
                "oldest_payment_timestamp_seconds",
                "When the oldest payment in flight was asked for, by status; 0 while there is none.",
                "status",
                open(),
            )?,
            settle_duration_seconds: gateway.histogram(
                "settle_duration_seconds",
                "From reservation to settlement.",
                &SETTLE_SECONDS,
            )?,
            settled_mnee_total: gateway.sum(
                "settled_mnee_total",
                "MNEE of payments as they settled, rounded: exact sums are in ClickHouse. What settles again after a reorg counts again.",
            )?,
            gas_ether_total: gateway.sum(
                "gas_ether_total",
                "Ether that the transactions of payments cost, rounded: exact sums are in ClickHouse.",
            )?,
            broadcast_errors_total: gateway.counters(
                "broadcast_errors_total",
                "Hand-overs of a signed transaction that the chain's endpoint did not take.",
                "kind",
                BroadcastError::ALL.map(BroadcastError::as_str),
            )?,
            replacements_total: gateway.counter(
                "replacements_total",
                "Transactions that were replaced by one that bids more.",
            )?,
            directory_seq: gateway.gauge(
                "directory_seq",
                "Number of the directory that verifiers follow.",
            )?,
            over_limit_total: gateway.counters_by(
                "over_limit_total",
                "Requests refused because a key, or an address without one, asked too much, by the limit.",
                &["of", "limit"],
            )?,
            funds: FundsMetrics::register(gateway)?,
            events: EventMetrics::register(gateway)?,
        };
        for of in LimitOf::ALL {
            for limit in Limit::ALL {
                metrics.over_limit_of(of, limit);
            }
        }
        Ok(metrics)
    }

    pub(crate) fn quoted(&self, denial: Option<Denial>) {
        let outcome = denial.map_or(ALLOWED, Denial::as_str);
        self.quotes_total.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn stepped_to(&self, status: PaymentStatus) {
        self.transitions_total
            .with_label_values(&[status.as_str()])
            .inc();
    }

    pub(crate) fn reorged(&self) {
        self.transitions_total.with_label_values(&[REORGED]).inc();
    }

    pub(crate) fn failed(&self, code: PaymentError) {
        self.failures_total
            .with_label_values(&[code.as_str()])
            .inc();
    }

    /// A payment of so much has settled.
    pub(crate) fn settled(&self, amount: Amount, reserved_at: Timestamp, now: Timestamp) {
        self.stepped_to(PaymentStatus::Settled);
        let seconds = now.duration_since(reserved_at).as_secs_f64();
        self.settle_duration_seconds.observe(seconds.max(0.0));
        self.settled_mnee_total.inc_by(shown(amount));
    }

    /// A payment's transaction cost so much.
    pub(crate) fn burnt(&self, wei: Amount) {
        self.gas_ether_total.inc_by(shown(wei));
    }

    pub(crate) fn broadcast_error(&self, kind: BroadcastError) {
        self.broadcast_errors_total
            .with_label_values(&[kind.as_str()])
            .inc();
    }

    pub(crate) fn over_limit(&self, of: LimitOf, limit: Limit) {
        self.over_limit_of(of, limit).inc();
    }

    fn over_limit_of(&self, of: LimitOf, limit: Limit) -> IntCounter {
        self.over_limit_total
            .with_label_values(&[of.as_str(), limit.as_str()])
    }

    pub(crate) fn replaced(&self) {
        self.replacements_total.inc();
    }

    pub(crate) fn directory_is_at(&self, seq: u64) {
        self.directory_seq.set(whole(seq));
    }

    /// The ledger's count of open payments, as (status, count, oldest).
    pub(crate) fn open_payments(&self, open: &[(PaymentStatus, i64, Timestamp)]) {
        for status in OPEN {
            let (count, oldest) = open
                .iter()
                .find(|row| row.0 == status)
                .map_or((0, 0), |row| (row.1, row.2.as_second()));
            let labels = [status.as_str()];
            self.in_flight.with_label_values(&labels).set(count);
            self.oldest_at.with_label_values(&labels).set(oldest);
        }
    }
}

/// An amount as a dashboard shows it; nobody reckons with it. Ether has as many decimals as MNEE.
fn shown(amount: Amount) -> f64 {
    amount.to_string().parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use x402_schemas::codes::PaymentFailure;

    use super::*;

    #[test]
    fn every_series_exists_before_the_first_event() {
        let registry = Registry::new();
        GatewayMetrics::register(&registry).unwrap();
        let families = registry.gather();
        let series = |name: &str| {
            let family = families.iter().find(|family| family.name() == name);
            family.unwrap().get_metric().len()
        };
        assert_eq!(series("x402_gateway_quotes_total"), Denial::ALL.len() + 1);
        assert_eq!(
            series("x402_gateway_requests_total"),
            (routes::ALL.len() + 1) * 4
        );
        assert_eq!(
            series("x402_gateway_payment_transitions_total"),
            PaymentStatus::ALL.len()
        );
        assert_eq!(
            series("x402_gateway_payment_failures_total"),
            Denial::ALL.len() + PaymentFailure::ALL.len()
        );
    }

    #[test]
    fn the_oldest_payment_is_told_while_there_is_one() {
        let metrics = GatewayMetrics::register(&Registry::new()).unwrap();
        let oldest = || {
            let status = PaymentStatus::Signed.as_str();
            metrics.oldest_at.with_label_values(&[status]).get()
        };
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        metrics.open_payments(&[(PaymentStatus::Signed, 2, at)]);
        assert_eq!(oldest(), 1_800_000_000);
        metrics.open_payments(&[]);
        assert_eq!(oldest(), 0);
    }
}
