//! The page that lists the metrics: made of the registries, so that it is never behind them.

use std::fmt::Write;

use prometheus::proto::MetricType;

use super::catalogue::{Catalogue, Metric};

/// What deliberately no dashboard shows and no rule reads, and why.
pub(super) const IN_NO_DASHBOARD: &[(&str, &str)] = &[
    (
        "process_start_time_seconds",
        "for whoever asks since when a process runs; a restart shows as a reset of counters",
    ),
    ("process_threads", "comes with the others; constant here"),
    (
        "process_virtual_memory_bytes",
        "comes with the others; says nothing where memory is mapped",
    ),
    (
        "x402_gateway_directory_seq",
        "to compare with a verifier's log when a revocation is in doubt",
    ),
    (
        "x402_gateway_funds_seen_timestamp_seconds",
        "the chain's endpoint being away shows in the error budget and in stuck payments first",
    ),
    (
        "x402_gateway_lowest_spender_balance_ether",
        "payments that it affords (lowest_spender_payments) say more than ether",
    ),
    (
        "x402_gateway_settled_mnee_total",
        "dashboards show exact sums, from ClickHouse; this is for whoever has Prometheus alone",
    ),
    (
        "x402_gateway_spenders_without_gas",
        "LowGas fires long before; says how many when it has come to that",
    ),
    (
        "x402_gateway_webhook_deliveries_waiting",
        "attempts and their outcomes are shown; one endpoint that is away keeps this up for a day",
    ),
    (
        "x402_indexer_endpoint_finalized_block",
        "to compare endpoints when one is suspected; their heads are shown",
    ),
    (
        "x402_indexer_new_heads_total",
        "tells whether the WebSocket works; without it only the poll is slower",
    ),
    (
        "x402_indexer_receipts_verified_total",
        "only with --verify-receipts; what matters is shown, receipts_mismatch_total",
    ),
    (
        "x402_verifier_index_tip_block",
        "the age of the tip is shown, and the indexer's own block",
    ),
    (
        "x402_verifier_request_duration_seconds",
        "includes waits that callers ask for; verify_duration_seconds is the verifier's own time",
    ),
];

/// More words than these are not listed but counted.
const LISTED_WORDS: usize = 12;

const SECTIONS: [(&str, &str); 4] = [
    ("Gateway", "x402_gateway_"),
    ("Verifier", "x402_verifier_"),
    ("Indexer", "x402_indexer_"),
    ("Every process", ""),
];

const INTRODUCTION: &str = "\
# Metrics

<!-- Written by X402_REGENERATE_METRICS=1 cargo test -p x402-tests --test e2e metrics -->

What `/metrics` on the admin port shows. Names and units follow Prometheus: seconds, `_total` for what only rises, moments as
`_timestamp_seconds` (0 means that there is none, so an age is `time() - (x > 0)`). Labels are words of a list, never an id or an address: who it was
stands in ClickHouse. Every series is there from the start, at zero. Amounts are rounded: exact sums are in ClickHouse.
";

pub(super) fn of(catalogue: &Catalogue) -> String {
    let mut page = INTRODUCTION.to_owned();
    for (title, prefix) in SECTIONS {
        write!(
            page,
            "\n## {title}\n\n| metric | type | labels | |\n|---|---|---|---|\n"
        )
        .unwrap();
        let others = SECTIONS.iter().filter(|(_, other)| !other.is_empty());
        let of_others = |name: &str| others.clone().any(|(_, other)| name.starts_with(other));
        let is_ours = |name: &str| {
            if prefix.is_empty() {
                !of_others(name)
            } else {
                name.starts_with(prefix)
            }
        };
        for (name, metric) in catalogue.metrics().filter(|(name, _)| is_ours(name)) {
            let (kind, labels) = (kind(metric.kind), labels(metric));
            writeln!(page, "| `{name}` | {kind} | {labels} | {} |", metric.help).unwrap();
        }
    }
    page.push_str("\n## In no dashboard and no rule\n\n");
    if IN_NO_DASHBOARD.is_empty() {
        page.push_str("None.\n");
    }
    for (name, reason) in IN_NO_DASHBOARD {
        writeln!(page, "- `{name}`: {reason}").unwrap();
    }
    page
}

fn kind(kind: MetricType) -> &'static str {
    match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY | MetricType::UNTYPED => "other",
    }
}

fn labels(metric: &Metric) -> String {
    let labels = metric.labels.iter().filter(|(name, _)| *name != "le");
    let labels = labels.map(|(name, words)| {
        if name == "version" {
            return format!("`{name}`");
        }
        if words.len() > LISTED_WORDS {
            return format!("`{name}`: {} words", words.len());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        format!("`{name}`: {}", words.join(", "))
    });
    labels.collect::<Vec<_>>().join("; ")
}
