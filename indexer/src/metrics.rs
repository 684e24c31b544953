//! What the indexer reports about itself. Registered once at start; every series exists at zero.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// A JSON-RPC method that we call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `eth_chainId`
    ChainId,
    /// `eth_getCode`
    GetCode,
    /// `eth_call`
    Call,
    /// `eth_getBlockByNumber`
    GetBlockByNumber,
    /// `eth_getBlockByHash`
    GetBlockByHash,
    /// `eth_getLogs`
    GetLogs,
    /// `eth_getTransactionByHash`
    GetTransaction,
}

/// How a JSON-RPC request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Ok,
    /// With an error from the node, or a reply that is none.
    Refused,
    /// Without an answer.
    Unreachable,
}

/// The indexer's metrics.
#[derive(Debug)]
#[expect(missing_docs, reason = "each has its help text below")]
pub struct Metrics {
    pub head_block: IntGauge,
    pub finalized_block: IntGauge,
    pub indexed_block: IntGauge,
    pub lag_blocks: IntGauge,
    pub lag_seconds: IntGauge,
    pub range_blocks: IntGauge,
    pub rows_total: IntCounter,
    pub retracted_total: IntCounter,
    pub commits_total: IntCounter,
    pub reorgs_total: IntCounter,
    pub reorg_depth_blocks: Histogram,
    pub empty_with_positive_bloom: IntCounter,
    pub insert_seconds: Histogram,
    pub insert_retries_total: IntCounter,
    rpc_requests_total: IntCounterVec,
    rpc_seconds: HistogramVec,
}

impl Metrics {
    /// Registers everything.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let metric = IntGauge::new(format!("x402_indexer_{name}"), help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let metric = IntCounter::new(format!("x402_indexer_{name}"), help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let histogram =
            |name: &str, help: &str, buckets: &[f64]| -> prometheus::Result<Histogram> {
                let options = HistogramOpts::new(format!("x402_indexer_{name}"), help)
                    .buckets(buckets.to_vec());
                let metric = Histogram::with_opts(options)?;
                registry.register(Box::new(metric.clone()))?;
                Ok(metric)
            };
        let rpc_requests_total = IntCounterVec::new(
            Opts::new(
                "x402_indexer_rpc_requests_total",
                "JSON-RPC requests by method and outcome; a retry counts again.",
            ),
            &["method", "outcome"],
        )?;
        let rpc_seconds = HistogramVec::new(
            HistogramOpts::new(
                "x402_indexer_rpc_seconds",
                "Time of one JSON-RPC request, by method.",
            ),
            &["method"],
        )?;
        registry.register(Box::new(rpc_requests_total.clone()))?;
        registry.register(Box::new(rpc_seconds.clone()))?;
        for method in Method::ALL {
            rpc_seconds.with_label_values(&[method.as_str()]);
            for outcome in Outcome::ALL {
                rpc_requests_total.with_label_values(&[method.as_str(), outcome.as_str()]);
            }
        }
        Ok(Self {
            head_block: gauge("head_block", "The chain's newest block, as the node says.")?,
            finalized_block: gauge(
                "finalized_block",
                "The chain's finalized block: no reorg reaches it.",
            )?,
            indexed_block: gauge("indexed_block", "The last block in the index.")?,
            lag_blocks: gauge("lag_blocks", "Blocks between the index and the head.")?,
            lag_seconds: gauge(
                "lag_seconds",
                "Chain time between the last indexed block and the head.",
            )?,
            range_blocks: gauge("range_blocks", "Blocks per request for logs in backfill.")?,
            rows_total: counter("rows_total", "Transfers added to the index.")?,
            retracted_total: counter(
                "retracted_total",
                "Transfers removed from the index because their block left the chain.",
            )?,
            commits_total: counter("commits_total", "Batches published.")?,
            reorgs_total: counter("reorgs_total", "Reorgs that took indexed blocks away.")?,
            reorg_depth_blocks: histogram(
                "reorg_depth_blocks",
                "Indexed blocks that a reorg took away.",
                &[1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 32.0, 64.0],
            )?,
            empty_with_positive_bloom: counter(
                "empty_with_positive_bloom_total",
                "Empty replies for blocks whose bloom may hold the token's logs; each was asked again.",
            )?,
            insert_seconds: histogram(
                "insert_seconds",
                "Time to publish a batch: its rows, then its commit.",
                &[
                    0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
                ],
            )?,
            insert_retries_total: counter(
                "insert_retries_total",
                "Inserts that ClickHouse did not acknowledge and that were tried again.",
            )?,
            rpc_requests_total,
            rpc_seconds,
        })
    }

    /// Counts one JSON-RPC request.
    pub fn count_rpc(&self, method: Method, outcome: Outcome) {
        self.rpc_requests_total
            .with_label_values(&[method.as_str(), outcome.as_str()])
            .inc();
    }

    /// The times of one method's requests.
    pub fn rpc_seconds(&self, method: Method) -> Histogram {
        self.rpc_seconds.with_label_values(&[method.as_str()])
    }
}

impl Method {
    const ALL: [Self; 7] = [
        Self::ChainId,
        Self::GetCode,
        Self::Call,
        Self::GetBlockByNumber,
        Self::GetBlockByHash,
        Self::GetLogs,
        Self::GetTransaction,
    ];

    /// The method's name on the wire and as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChainId => "eth_chainId",
            Self::GetCode => "eth_getCode",
            Self::Call => "eth_call",
            Self::GetBlockByNumber => "eth_getBlockByNumber",
            Self::GetBlockByHash => "eth_getBlockByHash",
            Self::GetLogs => "eth_getLogs",
            Self::GetTransaction => "eth_getTransactionByHash",
        }
    }
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Ok, Self::Refused, Self::Unreachable];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A block number as a gauge shows it.
pub fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_outcome_is_reported_before_the_first_request() {
        let registry = Registry::new();
        Metrics::register(&registry).unwrap();
        let families = registry.gather();
        let requests = families
            .iter()
            .find(|family| family.name() == "x402_indexer_rpc_requests_total");
        assert_eq!(
            requests.unwrap().get_metric().len(),
            Method::ALL.len() * Outcome::ALL.len()
        );
        assert!(
            families
                .iter()
                .all(|family| family.name().starts_with("x402_indexer_"))
        );
    }
}
