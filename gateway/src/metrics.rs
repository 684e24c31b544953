//! What the gateway reports about itself. Every series exists at zero from the start.

use axum::http::StatusCode;
use jiff::Timestamp;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use x402_schemas::{
    codes::{Denial, PaymentError, PaymentFailure},
    payment::PaymentStatus,
};

use crate::{events::metrics::EventMetrics, gas_money::Left, routes};

const ALLOWED: &str = "allowed";
const REORGED: &str = "reorged";
const CLASSES: [&str; 4] = ["2xx", "4xx", "5xx", "other"];
const OPEN: [PaymentStatus; 5] = [
    PaymentStatus::AwaitingApproval,
    PaymentStatus::Reserved,
    PaymentStatus::Signed,
    PaymentStatus::Broadcast,
    PaymentStatus::Included,
];
/// From a block of a fast local chain to an hour of a congested one.
const SETTLE_BUCKETS: [f64; 12] = [
    0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

/// Metrics of the gateway, registered once at start and passed down.
#[derive(Clone, Debug)]
pub struct GatewayMetrics {
    requests_total: IntCounterVec,
    quotes_total: IntCounterVec,
    transitions_total: IntCounterVec,
    failures_total: IntCounterVec,
    in_flight: IntGaugeVec,
    oldest_in_flight_seconds: IntGauge,
    settle_seconds: Histogram,
    broadcast_errors_total: IntCounterVec,
    replacements_total: IntCounter,
    directory_seq: IntGauge,
    over_limit_total: IntCounterVec,
    lowest_gas_ether: Gauge,
    lowest_gas_payments: IntGauge,
    spenders_without_gas: IntGauge,
    /// The outbox and those who are told.
    pub(crate) events: EventMetrics,
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitOf {
    /// A key's.
    Key,
    /// An address's that sends no valid key.
    Address,
}

impl LimitOf {
    const ALL: [Self; 2] = [Self::Key, Self::Address];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Address => "address",
        }
    }
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Requests a minute.
    Rate,
    /// Open requests.
    Concurrency,
}

impl Limit {
    const ALL: [Self; 2] = [Self::Rate, Self::Concurrency];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
        }
    }
}

/// Why a hand-over to the chain did not say yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BroadcastError {
    /// The node would not take it.
    Refused,
    /// No answer.
    Unknown,
}

impl BroadcastError {
    const ALL: [Self; 2] = [Self::Refused, Self::Unknown];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl GatewayMetrics {
    /// Registers every series.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let in_flight = IntGaugeVec::new(
            Opts::new(
                "x402_gateway_payments_in_flight",
                "Payments short of settled or failed, by status.",
            ),
            &["status"],
        )?;
        registry.register(Box::new(in_flight.clone()))?;
        let settle_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "x402_gateway_settle_seconds",
                "From reservation to settlement.",
            )
            .buckets(SETTLE_BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(settle_seconds.clone()))?;
        let metrics = Self {
            requests_total: counter(
                "x402_gateway_requests_total",
                "Requests answered, by route and class of status.",
                &["route", "class"],
            )?,
            quotes_total: counter(
                "x402_gateway_quotes_total",
                "Quotes given, by outcome: allowed, APPROVAL_REQUIRED, or the denial's code.",
                &["outcome"],
            )?,
            transitions_total: counter(
                "x402_gateway_payment_transitions_total",
                "Steps of payments, by the status stepped to; reorged is settled going back to broadcast.",
                &["status"],
            )?,
            failures_total: counter(
                "x402_gateway_payment_failures_total",
                "Void payments and refused pay requests, by code.",
                &["code"],
            )?,
            broadcast_errors_total: counter(
                "x402_gateway_broadcast_errors_total",
                "Hand-overs of a signed transaction that the chain's endpoint did not take.",
                &["kind"],
            )?,
            oldest_in_flight_seconds: gauge(
                "x402_gateway_oldest_in_flight_seconds",
                "Age of the oldest payment in flight.",
            )?,
            over_limit_total: counter(
                "x402_gateway_over_limit_total",
                "Requests refused because a key, or an address without one, asked too much, by the limit.",
                &["of", "limit"],
            )?,
            directory_seq: gauge(
                "x402_gateway_directory_seq",
                "Number of the directory that verifiers follow.",
            )?,
            lowest_gas_ether: {
                let gauge = Gauge::new(
                    "x402_gateway_lowest_spender_balance_ether",
                    "Gas money of the spender that has least.",
                )?;
                registry.register(Box::new(gauge.clone()))?;
                gauge
            },
            lowest_gas_payments: gauge(
                "x402_gateway_lowest_spender_payments",
                "Payments that the spender that has least affords at the fee ceiling.",
            )?,
            spenders_without_gas: gauge(
                "x402_gateway_spenders_without_gas",
                "Spenders that afford no payment at the fee ceiling.",
            )?,
            replacements_total: {
                let counter = IntCounter::new(
                    "x402_gateway_replacements_total",
                    "Transactions that were replaced by one that bids more.",
                )?;
                registry.register(Box::new(counter.clone()))?;
                counter
            },
            in_flight,
            settle_seconds,
            events: EventMetrics::register(registry)?,
        };
        metrics.create_series();
        Ok(metrics)
    }

    fn create_series(&self) {
        for route in routes::ALL {
            for class in CLASSES {
                self.requests_total.with_label_values(&[route, class]);
            }
        }
        self.quotes_total.with_label_values(&[ALLOWED]);
        for denial in Denial::ALL {
            self.quotes_total.with_label_values(&[denial.as_str()]);
        }
        for status in PaymentStatus::ALL {
            self.transitions_total.with_label_values(&[status.as_str()]);
        }
        self.transitions_total.with_label_values(&[REORGED]);
        for denial in Denial::ALL {
            self.failures_total.with_label_values(&[denial.as_str()]);
        }
        for failure in PaymentFailure::ALL {
            self.failures_total.with_label_values(&[failure.as_str()]);
        }
        for status in OPEN {
            self.in_flight.with_label_values(&[status.as_str()]);
        }
        for of in LimitOf::ALL {
            for limit in Limit::ALL {
                self.over_limit_total
                    .with_label_values(&[of.as_str(), limit.as_str()]);
            }
        }
        for kind in BroadcastError::ALL {
            self.broadcast_errors_total
                .with_label_values(&[kind.as_str()]);
        }
    }

    pub(crate) fn answered(&self, route: &str, status: StatusCode) {
        let class = if status.is_success() {
            "2xx"
        } else if status.is_client_error() {
            "4xx"
        } else if status.is_server_error() {
            "5xx"
        } else {
            "other"
        };
        self.requests_total.with_label_values(&[route, class]).inc();
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

    pub(crate) fn settled_after(&self, created_at: Timestamp, now: Timestamp) {
        let seconds = now.duration_since(created_at).as_secs_f64();
        self.settle_seconds.observe(seconds.max(0.0));
    }

    pub(crate) fn broadcast_error(&self, kind: BroadcastError) {
        self.broadcast_errors_total
            .with_label_values(&[kind.as_str()])
            .inc();
    }

    pub(crate) fn over_limit(&self, of: LimitOf, limit: Limit) {
        self.over_limit_total
            .with_label_values(&[of.as_str(), limit.as_str()])
            .inc();
    }

    pub(crate) fn replaced(&self) {
        self.replacements_total.inc();
    }

    pub(crate) fn directory_is_at(&self, seq: u64) {
        self.directory_seq
            .set(i64::try_from(seq).unwrap_or(i64::MAX));
    }

    /// What every spender has left.
    pub(crate) fn gas_money(&self, all: &[Left]) {
        let least = all.iter().min_by_key(|left| left.wei);
        // Ether has as many decimals as MNEE. The text is for a dashboard; nobody reckons with it.
        let ether = least.and_then(|left| left.wei.to_string().parse().ok());
        self.lowest_gas_ether.set(ether.unwrap_or_default());
        let payments = least.map_or(0, |left| left.payments);
        self.lowest_gas_payments
            .set(i64::try_from(payments).unwrap_or(i64::MAX));
        let short = all.iter().filter(|left| left.payments == 0).count();
        self.spenders_without_gas
            .set(i64::try_from(short).unwrap_or(i64::MAX));
    }

    /// The ledger's count of open payments, as (status, count, oldest).
    pub(crate) fn open_payments(&self, open: &[(PaymentStatus, i64, Timestamp)], now: Timestamp) {
        for status in OPEN {
            let count = open
                .iter()
                .find(|row| row.0 == status)
                .map_or(0, |row| row.1);
            self.in_flight
                .with_label_values(&[status.as_str()])
                .set(count);
        }
        let oldest = open.iter().map(|row| row.2).min().unwrap_or(now);
        self.oldest_in_flight_seconds
            .set(now.duration_since(oldest).as_secs().max(0));
    }
}

#[cfg(test)]
mod tests {
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
            routes::ALL.len() * CLASSES.len()
        );
        assert_eq!(
            series("x402_gateway_payment_transitions_total"),
            PaymentStatus::ALL.len() + 1
        );
        assert_eq!(
            series("x402_gateway_payment_failures_total"),
            Denial::ALL.len() + PaymentFailure::ALL.len()
        );
    }
}
