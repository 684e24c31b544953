// Is the index where the chain is, how fast does it get there, and what does it fight with?

import { dashboard } from "./dashboard.ts";
import { lines, ranking, stacked, stat } from "./panels.ts";
import { processes } from "./process.ts";
import { grown, quantile, rate } from "./promql.ts";
import { now, over } from "./queries.ts";

const state = {
  title: "Where the index is",
  panels: [
    stat({
      title: "Behind, in time",
      description: "Chain time between the last indexed block and the head. Verifiers answer PAYMENT_PENDING for what is not indexed yet.",
      unit: "s",
      width: 4,
      base: "green",
      steps: [[30, "orange"], [120, "red"]],
      queries: [now("max(x402_indexer_head_timestamp_seconds - x402_indexer_indexed_timestamp_seconds)", "behind")],
    }),
    stat({
      title: "Behind, in blocks",
      description: "Blocks between the last indexed one and the head.",
      unit: "short",
      width: 4,
      base: "green",
      steps: [[3, "orange"], [10, "red"]],
      queries: [now("max(x402_indexer_head_block - x402_indexer_indexed_block)", "behind")],
    }),
    stat({
      title: "Indexed block",
      description: "The last block in the index.",
      unit: "none",
      width: 4,
      decimals: 0,
      queries: [now("max(x402_indexer_indexed_block)", "block")],
    }),
    stat({
      title: "Gaps",
      description: "Blocks inside the index that no batch covers. Anything but 0 is a fault: run x402 audit --repair.",
      unit: "short",
      width: 4,
      decimals: 0,
      base: "green",
      steps: [[1, "red"]],
      queries: [now("max(x402_indexer_gap_blocks)", "gaps")],
    }),
    stat({
      title: "Reorgs",
      description: "Reorgs that took indexed blocks away, in the time shown. The index mends itself; many say that an endpoint follows a fork.",
      unit: "short",
      width: 4,
      decimals: 0,
      base: "green",
      steps: [[1, "orange"], [10, "red"]],
      queries: [now(grown("x402_indexer_reorgs_total"), "reorgs")],
    }),
    stat({
      title: "Endpoints ready",
      description: "Part of the chain endpoints that may be asked now. One rests after failures, longer each time.",
      unit: "percentunit",
      width: 4,
      decimals: 0,
      base: "red",
      steps: [[0.5, "orange"], [1, "green"]],
      queries: [now("avg(x402_indexer_endpoint_ready)", "ready")],
    }),
    lines({
      title: "Behind the head",
      description: "Blocks between the index and the head. A saw-tooth of one is a block being fetched; a slope is an indexer that stands still.",
      unit: "short",
      softMax: 5,
      width: 12,
      queries: [over("max(x402_indexer_head_block - x402_indexer_indexed_block)", "blocks behind")],
    }),
    lines({
      title: "Blocks that can still change",
      description: "Distance of the safe and the finalized block from the head. A finalized block that stays behind is trouble of the chain, or of the node.",
      unit: "short",
      width: 12,
      queries: [
        over("max(x402_indexer_head_block - (x402_indexer_safe_block > 0))", "since the safe block"),
        over("max(x402_indexer_head_block - (x402_indexer_finalized_block > 0))", "since the finalized block"),
      ],
    }),
  ],
};

const throughput = {
  title: "Throughput",
  panels: [
    lines({
      title: "Blocks",
      description: "Blocks a second that the index advances by: in backfill thousands, then as fast as the chain makes them.",
      unit: "suffix:blocks/s",
      width: 8,
      queries: [over("max(deriv(x402_indexer_indexed_block[$__rate_interval]))", "indexed")],
    }),
    lines({
      title: "Transfers",
      description: "Transfers a second that were added, and those that reorgs removed again.",
      unit: "suffix:rows/s",
      width: 8,
      queries: [
        over(rate("x402_indexer_rows_total"), "added"),
        over(rate("x402_indexer_retracted_total"), "removed by reorgs"),
      ],
    }),
    lines({
      title: "Backfill",
      description: "How many blocks one request for logs asks for, and how many requests are under way side by side. Both shrink when nodes complain.",
      unit: "short",
      width: 8,
      queries: [
        over("max(x402_indexer_range_blocks)", "blocks a request"),
        over("max(x402_indexer_range_width)", "requests side by side"),
      ],
    }),
    lines({
      title: "Time to publish a batch",
      description: "Its rows, then the commit that makes them visible in ClickHouse.",
      unit: "s",
      width: 8,
      queries: [
        over(quantile(0.5, "x402_indexer_publish_duration_seconds"), "p50"),
        over(quantile(0.95, "x402_indexer_publish_duration_seconds"), "p95"),
        over(quantile(0.99, "x402_indexer_publish_duration_seconds"), "p99"),
      ],
    }),
    lines({
      title: "Batches",
      description: "Batches published, and inserts that ClickHouse did not acknowledge and that were sent again. A repetition changes nothing in the index.",
      unit: "ops",
      width: 8,
      queries: [
        over(rate("x402_indexer_commits_total"), "published"),
        over(rate("x402_indexer_insert_retries_total"), "sent again"),
      ],
    }),
    stacked({
      title: "Blocks taken away by reorgs",
      description: "Indexed blocks that left the chain. Alerts look at the depth of one reorg; deeper than finality halts the indexer.",
      unit: "short",
      width: 8,
      interval: "1m",
      queries: [over("sum(increase(x402_indexer_reorg_depth_blocks_sum[$__rate_interval]))", "blocks")],
    }),
  ],
};

const endpoints = {
  title: "Chain endpoints",
  panels: [
    stacked({
      title: "Requests by method",
      description: "JSON-RPC requests a second. A retry counts again: this is what a provider bills.",
      unit: "reqps",
      width: 8,
      total: "mean",
      queries: [over(`${rate("x402_indexer_rpc_requests_total", "method")} > 0`, "{{method}}")],
    }),
    lines({
      title: "Time of a request, p95",
      description: "JSON-RPC requests by method, those that were called.",
      unit: "s",
      width: 8,
      queries: [over(`${quantile(0.95, "x402_indexer_rpc_duration_seconds", ", method")} >= 0`, "{{method}}")],
    }),
    lines({
      title: "Requests without a result",
      description: "By how they ended: refused by the node, busy (429), unreachable, or with a reply longer than we read.",
      unit: "reqps",
      softMax: 1,
      width: 8,
      queries: [over(rate('x402_indexer_rpc_requests_total{outcome!="ok"}', "outcome"), "{{outcome}}")],
    }),
    lines({
      title: "Failovers and doubts",
      description:
        "Reads that went on to the next endpoint, replies that were proved wrong, receipts that did not fit their header, and empty replies that a bloom filter spoke against. The log names the endpoint.",
      unit: "ops",
      softMax: 1,
      width: 12,
      queries: [
        over(rate("x402_indexer_failovers_total"), "failovers"),
        over(rate("x402_indexer_contradictions_total"), "contradictions"),
        over(rate("x402_indexer_receipts_mismatch_total"), "receipts that do not fit"),
        over(rate("x402_indexer_empty_with_positive_bloom_total"), "empty against the bloom"),
      ],
    }),
    ranking({
      title: "Endpoints behind the best",
      description: "Blocks that each endpoint's head is behind the newest. Endpoints are numbered in the order of --rpc-url.",
      unit: "short",
      width: 12,
      base: "green",
      steps: [[3, "orange"], [10, "red"]],
      queries: [
        now(
          "scalar(max(x402_indexer_endpoint_head_block)) - max by (endpoint) (x402_indexer_endpoint_head_block)",
          "endpoint {{endpoint}}",
        ),
      ],
    }),
  ],
};

export const indexer = dashboard({
  uid: "x402-indexer",
  title: "x402 / Indexer",
  description: "Whether the index is where the chain is, how fast it gets there, and what stands in its way.",
  from: "now-6h",
  refresh: "30s",
  sources: ["prometheus"],
  rows: [state, throughput, endpoints, processes()],
});
