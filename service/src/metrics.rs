//! Makes and registers metrics: one name space for each service, every series there from the start.
//!
//! Names follow Prometheus: base units, `_total` for what only rises, moments as `_timestamp_seconds` (0 while there is
//! none). Labels are words of a list, never an id or an address: those belong to ClickHouse.

use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
    core::{Collector, MetricVec, MetricVecBuilder},
};

type Made<T> = prometheus::Result<T>;

/// Registers the metrics of one service.
#[derive(Clone, Copy, Debug)]
pub struct Registrar<'a> {
    registry: &'a Registry,
    service: &'static str,
}

impl<'a> Registrar<'a> {
    /// Of metrics that are named `x402_<service>_…`.
    pub const fn new(registry: &'a Registry, service: &'static str) -> Self {
        Self { registry, service }
    }

    /// What only rises.
    pub fn counter(&self, name: &str, help: &str) -> Made<IntCounter> {
        self.keep(IntCounter::with_opts(self.named(name, help))?)
    }

    /// The same in fractions.
    pub fn sum(&self, name: &str, help: &str) -> Made<Counter> {
        self.keep(Counter::with_opts(self.named(name, help))?)
    }

    /// Counters of one name, one for each word of the label.
    pub fn counters<'w>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        words: impl IntoIterator<Item = &'w str>,
    ) -> Made<IntCounterVec> {
        let counters = self.counters_by(name, help, &[label])?;
        start(&counters, words);
        Ok(counters)
    }

    /// The same, for whoever looks no label up while counting: the counters in the order of the words.
    pub fn each<const N: usize>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        words: [&str; N],
    ) -> Made<[IntCounter; N]> {
        let counters = self.counters_by(name, help, &[label])?;
        Ok(words.map(|word| counters.with_label_values(&[word])))
    }

    /// Counters with these labels; whoever asks for them makes the series.
    pub fn counters_by(&self, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
        self.keep(IntCounterVec::new(self.named(name, help), labels)?)
    }

    /// What rises and falls.
    pub fn gauge(&self, name: &str, help: &str) -> Made<IntGauge> {
        self.keep(IntGauge::with_opts(self.named(name, help))?)
    }

    /// The same in fractions.
    pub fn level(&self, name: &str, help: &str) -> Made<Gauge> {
        self.keep(Gauge::with_opts(self.named(name, help))?)
    }

    /// Gauges of one name, one for each word of the label.
    pub fn gauges<'w>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        words: impl IntoIterator<Item = &'w str>,
    ) -> Made<IntGaugeVec> {
        let gauges = self.keep(IntGaugeVec::new(self.named(name, help), &[label])?)?;
        start(&gauges, words);
        Ok(gauges)
    }

    /// How often which size was seen, by the buckets' upper edges.
    pub fn histogram(&self, name: &str, help: &str, edges: &[f64]) -> Made<Histogram> {
        self.keep(Histogram::with_opts(self.spread(name, help, edges))?)
    }

    /// Histograms of one name, one for each word of the label.
    pub fn histograms<'w>(
        &self,
        name: &str,
        help: &str,
        edges: &[f64],
        label: &str,
        words: impl IntoIterator<Item = &'w str>,
    ) -> Made<HistogramVec> {
        let options = self.spread(name, help, edges);
        let histograms = self.keep(HistogramVec::new(options, &[label])?)?;
        start(&histograms, words);
        Ok(histograms)
    }

    fn spread(&self, name: &str, help: &str, edges: &[f64]) -> HistogramOpts {
        HistogramOpts::from(self.named(name, help)).buckets(edges.to_vec())
    }

    fn named(&self, name: &str, help: &str) -> Opts {
        Opts::new(format!("x402_{}_{name}", self.service), help)
    }

    fn keep<C: Collector + Clone + 'static>(&self, metric: C) -> Made<C> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn start<'w, B: MetricVecBuilder>(
    metrics: &MetricVec<B>,
    words: impl IntoIterator<Item = &'w str>,
) {
    for word in words {
        metrics.with_label_values(&[word]);
    }
}

/// A count as a gauge shows it.
pub fn whole(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
