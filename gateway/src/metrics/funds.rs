//! What treasuries and spenders have left, of all workspaces together: the lowest of each.
//!
//! Whose it is stands in ClickHouse: no workspace is a label.

use jiff::Timestamp;
use prometheus::{Gauge, IntGauge};
use x402_schemas::amount::Amount;
use x402_service::metrics::{Registrar, whole};

use super::shown;
use crate::funds::Left;

/// Gauges of treasuries and spenders.
#[derive(Clone, Debug)]
pub(crate) struct FundsMetrics {
    treasuries: IntGauge,
    lowest_balance_mnee: Gauge,
    lowest_allowance_mnee: Gauge,
    lowest_runway_seconds: Gauge,
    lowest_spender_ether: Gauge,
    lowest_spender_payments: IntGauge,
    spenders_without_gas: IntGauge,
    seen_at: IntGauge,
    differences: IntGauge,
    reconciled_at: IntGauge,
}

impl FundsMetrics {
    /// Registers every series.
    pub(super) fn register(gateway: Registrar<'_>) -> prometheus::Result<Self> {
        let metrics = Self {
            treasuries: gateway.gauge("treasuries", "Treasuries that were looked at.")?,
            lowest_balance_mnee: gateway.level(
                "lowest_treasury_balance_mnee",
                "What the treasury has that has least.",
            )?,
            lowest_allowance_mnee: gateway.level(
                "lowest_treasury_allowance_mnee",
                "What may be moved of the treasury that allows least.",
            )?,
            lowest_runway_seconds: gateway.level(
                "lowest_treasury_runway_seconds",
                "How long the treasury that ends first lasts, by what it has and allows and what was spent in the last 7 days; +Inf while nothing is spent.",
            )?,
            lowest_spender_ether: gateway.level(
                "lowest_spender_balance_ether",
                "Gas money of the spender that has least.",
            )?,
            lowest_spender_payments: gateway.gauge(
                "lowest_spender_payments",
                "Payments that the spender that has least affords at the fee ceiling.",
            )?,
            spenders_without_gas: gateway.gauge(
                "spenders_without_gas",
                "Spenders that afford no payment at the fee ceiling.",
            )?,
            seen_at: gateway.gauge(
                "funds_seen_timestamp_seconds",
                "When treasuries and spenders were last looked at on the chain; 0 before.",
            )?,
            differences: gateway.gauge(
                "reconciliation_differences",
                "Rows of the view reconciliation: where ledger, index and treasuries on the chain differ.",
            )?,
            reconciled_at: gateway.gauge(
                "reconciled_timestamp_seconds",
                "When the view reconciliation was last read; 0 before.",
            )?,
        };
        metrics.lowest_runway_seconds.set(f64::INFINITY);
        Ok(metrics)
    }

    /// What every workspace has left.
    pub(crate) fn seen(&self, all: &[Left], now: Timestamp) {
        self.treasuries.set(whole(all.len()));
        let least = |of: fn(&Left) -> Amount| shown(all.iter().map(of).min().unwrap_or_default());
        self.lowest_balance_mnee.set(least(|left| left.balance));
        self.lowest_allowance_mnee.set(least(|left| left.allowance));
        self.lowest_spender_ether.set(least(|left| left.wei));
        let runway = all.iter().filter_map(Left::runway_seconds).min();
        self.lowest_runway_seconds
            .set(runway.map_or(f64::INFINITY, f64::from));
        let payments = all.iter().map(|left| left.payments).min();
        self.lowest_spender_payments
            .set(whole(payments.unwrap_or_default()));
        let short = all.iter().filter(|left| left.payments == 0).count();
        self.spenders_without_gas.set(whole(short));
        self.seen_at.set(now.as_second());
    }

    /// Ledger, index and treasuries were found to differ in so many ways.
    pub(crate) fn reconciled(&self, differences: u64, now: Timestamp) {
        self.differences.set(whole(differences));
        self.reconciled_at.set(now.as_second());
    }
}
