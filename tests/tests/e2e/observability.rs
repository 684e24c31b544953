//! The demo's traffic, scraped by the real Prometheus with our rules.

use clickhouse::Client;
use x402_service::clock;
use x402_tests::{
    demo::Demo,
    prometheus::Prometheus,
    shared::{run, shared},
    world::eventually,
};

use super::EXE;

/// What operators and analysts see of it.
mod dashboards;

/// What the traffic is to bring before anything is looked at.
const SEEN: [&str; 7] = [
    "x402_gateway_payment_transitions_total{status=\"settled\"} >= 8",
    "x402_gateway_payment_transitions_total{status=\"awaiting_approval\"} >= 1",
    "x402_gateway_quotes_total{outcome=\"AGENT_REQUEST_LIMIT\"} >= 1",
    "x402_gateway_quotes_total{outcome=\"RECIPIENT_NOT_REGISTERED\"} >= 1",
    "x402_verifier_verdicts_total{verdict=\"ALREADY_CLAIMED\"} >= 1",
    "x402_verifier_verdicts_total{verdict=\"INVALID_PROOF\"} >= 1",
    "x402_indexer_reorgs_total >= 1",
];

/// A counter is raised so much after the event that it counts, seconds, at most.
const COUNTED_WITHIN: &str = "3";
/// A scrape takes so much, seconds, at most.
const SCRAPED_WITHIN: &str = "2";

/// Counters, the events that they count, and what counts some of them again.
const COUNTED: [(&str, &str, &str); 2] = [
    (
        "x402_gateway_quotes_total{outcome!~\"allowed|APPROVAL_REQUIRED\"}",
        "quote.denied",
        "vector(0)",
    ),
    (
        "x402_gateway_payment_transitions_total{status=\"settled\"}",
        "payment.settled",
        "x402_gateway_payment_transitions_total{status=\"reorged\"}",
    ),
];

#[test]
fn prometheus_scrapes_the_demos_traffic_every_rule_holds_and_counters_equal_clickhouse() {
    run(async {
        let begin = clock::now();
        let demo = Demo::start(EXE).await;
        let launcher = &shared(EXE).await.launcher;
        let prometheus = Prometheus::start(launcher, &demo.admin).await;
        for seen in SEEN {
            eventually(seen, async || !prometheus.query(seen).await.is_empty()).await;
        }
        let targets = prometheus.targets().await;
        assert_eq!(targets.len(), 1);
        assert!(
            targets.iter().all(|target| target.health == "up"),
            "{targets:?}"
        );
        every_rule_was_evaluated(&prometheus).await;
        for counted in COUNTED {
            agrees(&prometheus, &demo.database(), counted).await;
        }
        // One scrape of ten may be too slow on a busy machine.
        let failed = prometheus.query("avg_over_time(up[10m]) < 0.9").await;
        assert!(failed.is_empty(), "{failed:?}");
        dashboards::all_show_something(&demo, &prometheus, begin).await;
        assert!(demo.stop().await, "the demo ends in order");
    });
}

async fn every_rule_was_evaluated(prometheus: &Prometheus) {
    let rules = prometheus.rules().await;
    assert!(rules.len() > 40, "the rules were read: {}", rules.len());
    for rule in &rules {
        assert_eq!(rule.health, "ok", "{}: {}", rule.name, rule.last_error);
        if rule.kind == "recording" {
            let recorded = prometheus.query(&rule.name).await;
            assert!(!recorded.is_empty(), "{} has no value", rule.name);
        }
    }
}

/// A counter at a scrape equals what ClickHouse was told had happened by then. What happened just before may be counted
/// by the next scrape only.
async fn agrees(
    prometheus: &Prometheus,
    database: &Client,
    (counter, kind, again): (&str, &str, &str),
) {
    let scrape = prometheus.query("timestamp(x402_build_info)").await;
    let scrape = scrape.first().unwrap().value.1.as_str();
    let at_scrape = async |metric: &str| {
        let sum = format!("sum({metric})");
        prometheus.count_at(&sum, scrape).await.unwrap()
    };
    let (count, again) = (at_scrape(counter).await, at_scrape(again).await);
    let told = format!("SELECT max(at) > toDateTime64({scrape}, 3) + 3 FROM payment_events");
    eventually(
        "ClickHouse is told of what came after the scrape",
        async || database.query(&told).fetch_one::<u8>().await.unwrap() == 1,
    )
    .await;
    let by = async |moment: &str| {
        // A payment that settles anew after a reorg is one payment.
        let query = format!(
            "SELECT if(type = 'payment.settled', uniqExact(payment_id), count()) FROM payment_events FINAL \
             WHERE type = '{kind}' AND at <= toDateTime64({moment}, 3) GROUP BY type"
        );
        let found = database.query(&query).fetch_optional::<u64>().await;
        found.unwrap().unwrap_or_default()
    };
    let before = by(&format!("{scrape} - {COUNTED_WITHIN}")).await;
    let until = by(&format!("{scrape} + {SCRAPED_WITHIN}")).await;
    assert!(
        (before..=until.saturating_add(again)).contains(&count),
        "{counter} at {scrape}: {before} <= {count} <= {until} + {again}"
    );
}
