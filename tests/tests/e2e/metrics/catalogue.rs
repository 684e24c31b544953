//! What the services register, read from their registries.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::{Registry, TextEncoder, proto::MetricType};
use x402_service::admin::{self, Readiness};

use super::promql::{Asked, Wanted};

/// What Prometheus itself puts on every series of ours.
const OF_THE_TARGET: [&str; 2] = ["job", "instance"];
/// What Prometheus makes of every scrape.
const UP: &str = "up";
/// The samples of a histogram.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// One metric.
pub(super) struct Metric {
    pub(super) kind: MetricType,
    pub(super) help: String,
    /// Each label's values.
    pub(super) labels: BTreeMap<String, BTreeSet<String>>,
}

/// All metrics of a process that runs the three services.
pub(super) struct Catalogue(BTreeMap<String, Metric>);

fn registry() -> Registry {
    let registry = Registry::new();
    let indexer = x402_indexer::metrics::Metrics::register(&registry).unwrap();
    // Endpoints are in the settings; a service has at least one.
    indexer.endpoint(0);
    x402_gateway::metrics::GatewayMetrics::register(&registry).unwrap();
    x402_verifier::metrics::VerifierMetrics::register(&registry).unwrap();
    let services = ["indexer", "gateway", "verifier"];
    let services = services.map(|name| (name, Readiness::starting("starting")));
    drop(admin::routes(registry.clone(), services.to_vec()).unwrap());
    registry
}

impl Catalogue {
    pub(super) fn of_all_services() -> Self {
        let families = registry().gather();
        let metrics = families.iter().map(|family| {
            let kind = family.get_field_type();
            let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            let mut add = |name: &str, value: String| {
                labels.entry(name.to_owned()).or_default().insert(value);
            };
            for metric in family.get_metric() {
                for label in metric.get_label() {
                    add(label.name(), label.value().to_owned());
                }
                for bucket in metric.get_histogram().get_bucket() {
                    add("le", bucket.upper_bound().to_string());
                }
            }
            let help = family.help().to_owned();
            (family.name().to_owned(), Metric { kind, help, labels })
        });
        Self(metrics.collect())
    }

    /// As `/metrics` shows it.
    pub(super) fn text() -> String {
        TextEncoder::new()
            .encode_to_string(&registry().gather())
            .unwrap()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn metrics(&self) -> impl Iterator<Item = (&str, &Metric)> {
        self.0.iter().map(|(name, metric)| (name.as_str(), metric))
    }

    /// The metric that a sample is of.
    pub(super) fn base<'a>(&self, sample: &'a str) -> &'a str {
        let whole = PARTS.iter().find_map(|part| {
            let whole = sample.strip_suffix(part)?;
            let metric = self.0.get(whole)?;
            (metric.kind == MetricType::HISTOGRAM).then_some(whole)
        });
        whole.unwrap_or(sample)
    }

    /// Whether there are series that a selector can mean.
    pub(super) fn check(&self, asked: &Asked, recorded: &BTreeSet<&str>) -> Result<(), String> {
        let name = asked.metric.as_str();
        if recorded.contains(name) || name == UP {
            return Ok(());
        }
        let metric = self.0.get(self.base(name));
        let metric = metric.ok_or_else(|| format!("no service has {name}"))?;
        if metric.kind == MetricType::HISTOGRAM && self.base(name) == name {
            return Err(format!("{name} is a histogram: one of its parts is meant"));
        }
        for Wanted { label, values } in &asked.wanted {
            if OF_THE_TARGET.contains(&label.as_str()) {
                continue;
            }
            let there = metric.labels.get(label);
            let there = there.ok_or_else(|| format!("{name} has no label {label}"))?;
            if let Some(values) = values
                && !there.iter().any(|value| values.is_match(value))
            {
                return Err(format!("{name} has no {label} like {values}"));
            }
        }
        Ok(())
    }
}
