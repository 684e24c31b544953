//! What the indexer reports about itself. Registered once at start; every series exists at zero.

use prometheus::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};
use x402_service::metrics::Registrar;

/// Edges of depths of reorgs, blocks.
const DEPTHS: [f64; 8] = [1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 32.0, 64.0];

/// Edges of times to publish a batch, seconds.
const PUBLISH_SECONDS: [f64; 11] = [
    0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

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
    pub head_at: IntGauge,
    pub safe_block: IntGauge,
    pub finalized_block: IntGauge,
    pub indexed_block: IntGauge,
    pub indexed_at: IntGauge,
    pub committed_at: IntGauge,
    pub gap_blocks: IntGauge,
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
    pub publish_duration_seconds: Histogram,
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
    duration_seconds: HistogramVec,
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
        let indexer = Registrar::new(registry, "indexer");
        let gauge = |name, help| indexer.gauge(name, help);
        let counter = |name, help| indexer.counter(name, help);
        Ok(Self {
            head_block: gauge("head_block", "The chain's newest block, as the node says.")?,
            head_at: gauge(
                "head_timestamp_seconds",
                "Time of the chain's newest block; 0 before the first look.",
            )?,
            safe_block: gauge(
                "safe_block",
                "The chain's safe block: no honest majority leaves it. 0 while the node has not said.",
            )?,
            finalized_block: gauge(
                "finalized_block",
                "The chain's finalized block: no reorg reaches it.",
            )?,
            indexed_block: gauge("indexed_block", "The last block in the index.")?,
            indexed_at: gauge(
                "indexed_timestamp_seconds",
                "Time of the last block in the index; 0 before the first look.",
            )?,
            committed_at: gauge(
                "last_commit_timestamp_seconds",
                "When the last batch was published; 0 before.",
            )?,
            gap_blocks: gauge(
                "gap_blocks",
                "Blocks between the index's first and last that no commit covers.",
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
            reorg_depth_blocks: indexer.histogram(
                "reorg_depth_blocks",
                "Indexed blocks that a reorg took away.",
                &DEPTHS,
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
            publish_duration_seconds: indexer.histogram(
                "publish_duration_seconds",
                "Time to publish a batch: its rows, then its commit.",
                &PUBLISH_SECONDS,
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
            rpc: RpcMetrics::register(indexer)?,
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
        self.rpc
            .duration_seconds
            .with_label_values(&[method.as_str()])
    }
}

impl RpcMetrics {
    fn register(indexer: Registrar<'_>) -> prometheus::Result<Self> {
        let requests_total = indexer.counters_by(
            "rpc_requests_total",
            "JSON-RPC requests by method and outcome; a retry counts again.",
            &["method", "outcome"],
        )?;
        for method in Method::ALL {
            for outcome in Outcome::ALL {
                requests_total.with_label_values(&[method.as_str(), outcome.as_str()]);
            }
        }
        let by_endpoint = |name, help| indexer.gauges(name, help, "endpoint", []);
        Ok(Self {
            requests_total,
            duration_seconds: indexer.histograms(
                "rpc_duration_seconds",
                "Time of one JSON-RPC request, by method.",
                prometheus::DEFAULT_BUCKETS,
                "method",
                Method::ALL.map(Method::as_str),
            )?,
            endpoint_head: by_endpoint("endpoint_head_block", "Each endpoint's newest block.")?,
            endpoint_finalized: by_endpoint(
                "endpoint_finalized_block",
                "Each endpoint's finalized block.",
            )?,
            endpoint_ready: by_endpoint(
                "endpoint_ready",
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
