//! What the indexer reports about itself. Registered once at start; every series exists at zero.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
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
    /// `eth_getBlockReceipts`
    GetBlockReceipts,
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
    /// With "too many requests", or another word that the node is busy.
    Busy,
    /// Without an answer.
    Unreachable,
    /// With a reply longer than we read.
    TooLong,
}

impl serde::Serialize for Method {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The indexer's metrics.
#[derive(Debug)]
#[expect(missing_docs, reason = "each has its help text below")]
pub struct Metrics {
    pub head_block: IntGauge,
    pub safe_block: IntGauge,
    pub finalized_block: IntGauge,
    pub indexed_block: IntGauge,
    pub lag_blocks: IntGauge,
    pub lag_seconds: IntGauge,
    pub range_blocks: IntGauge,
    pub range_width: IntGauge,
    pub rows_total: IntCounter,
    pub retracted_total: IntCounter,
    pub commits_total: IntCounter,
    pub reorgs_total: IntCounter,
    pub reorg_depth_blocks: Histogram,
    pub empty_with_positive_bloom: IntCounter,
    pub receipts_verified_total: IntCounter,
    pub receipts_mismatch_total: IntCounter,
    pub insert_seconds: Histogram,
    pub insert_retries_total: IntCounter,
    pub failovers_total: IntCounter,
    pub contradictions_total: IntCounter,
    pub new_heads_total: IntCounter,
    rpc: RpcMetrics,
}

/// The metrics with a method or an endpoint as label.
#[derive(Debug)]
struct RpcMetrics {
    requests_total: IntCounterVec,
    seconds: HistogramVec,
    endpoint_head: IntGaugeVec,
    endpoint_finalized: IntGaugeVec,
    endpoint_ready: IntGaugeVec,
}

/// One endpoint's metrics; endpoints are told apart by their place in the settings.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each has its help text below")]
pub struct EndpointMetrics {
    pub head: IntGauge,
    pub finalized: IntGauge,
    pub ready: IntGauge,
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
        Ok(Self {
            head_block: gauge("head_block", "The chain's newest block, as the node says.")?,
            safe_block: gauge(
                "safe_block",
                "The chain's safe block: no honest majority leaves it. 0 while the node has not said.",
            )?,
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
            range_width: gauge("range_width", "Requests for logs side by side in backfill.")?,
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
            receipts_verified_total: counter(
                "receipts_verified_total",
                "Blocks whose logs were found in receipts that their header vouches for.",
            )?,
            receipts_mismatch_total: counter(
                "receipts_mismatch_total",
                "Blocks whose header, receipts and logs did not fit together; their node is named in the log.",
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
            failovers_total: counter(
                "failovers_total",
                "Reads that went on to the next endpoint because one gave no answer that could be believed.",
            )?,
            contradictions_total: counter(
                "contradictions_total",
                "Replies that contradicted themselves, or that another endpoint proved wrong.",
            )?,
            new_heads_total: counter("new_heads_total", "New heads told over WebSocket.")?,
            rpc: RpcMetrics::register(registry)?,
        })
    }

    /// Counts JSON-RPC requests that ended together.
    pub fn count_rpc(&self, method: Method, outcome: Outcome) {
        self.rpc
            .requests_total
            .with_label_values(&[method.as_str(), outcome.as_str()])
            .inc();
    }

    /// The metrics of the endpoint at this place in the settings.
    pub fn endpoint(&self, index: usize) -> EndpointMetrics {
        let index = index.to_string();
        let of = |metric: &IntGaugeVec| metric.with_label_values(&[index.as_str()]);
        EndpointMetrics {
            head: of(&self.rpc.endpoint_head),
            finalized: of(&self.rpc.endpoint_finalized),
            ready: of(&self.rpc.endpoint_ready),
        }
    }

    /// The times of one method's requests.
    pub fn rpc_seconds(&self, method: Method) -> Histogram {
        self.rpc.seconds.with_label_values(&[method.as_str()])
    }
}

impl RpcMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let requests_total = IntCounterVec::new(
            Opts::new(
                "x402_indexer_rpc_requests_total",
                "JSON-RPC requests by method and outcome; a retry counts again.",
            ),
            &["method", "outcome"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "x402_indexer_rpc_seconds",
                "Time of one JSON-RPC request, by method.",
            ),
            &["method"],
        )?;
        registry.register(Box::new(requests_total.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        let by_endpoint = |name: &str, help: &str| -> prometheus::Result<IntGaugeVec> {
            let options = Opts::new(format!("x402_indexer_endpoint_{name}"), help);
            let metric = IntGaugeVec::new(options, &["endpoint"])?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        for method in Method::ALL {
            seconds.with_label_values(&[method.as_str()]);
            for outcome in Outcome::ALL {
                requests_total.with_label_values(&[method.as_str(), outcome.as_str()]);
            }
        }
        Ok(Self {
            requests_total,
            seconds,
            endpoint_head: by_endpoint("head_block", "Each endpoint's newest block.")?,
            endpoint_finalized: by_endpoint("finalized_block", "Each endpoint's finalized block.")?,
            endpoint_ready: by_endpoint(
                "ready",
                "1 while the endpoint may be asked, 0 while it rests.",
            )?,
        })
    }
}

impl Method {
    const ALL: [Self; 8] = [
        Self::ChainId,
        Self::GetCode,
        Self::Call,
        Self::GetBlockByNumber,
        Self::GetBlockByHash,
        Self::GetLogs,
        Self::GetBlockReceipts,
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
            Self::GetBlockReceipts => "eth_getBlockReceipts",
            Self::GetTransaction => "eth_getTransactionByHash",
        }
    }
}

impl Outcome {
    const ALL: [Self; 5] = [
        Self::Ok,
        Self::Refused,
        Self::Busy,
        Self::Unreachable,
        Self::TooLong,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
            Self::TooLong => "too_long",
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
