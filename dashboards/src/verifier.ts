// What providers are told, how fast, from how fresh an index, and who tries what.

import { dashboard } from "./dashboard.ts";
import { lines, ranking, stacked, stat } from "./panels.ts";
import { processes } from "./process.ts";
import { grown, quantile, rate, since } from "./promql.ts";
import { now, over } from "./queries.ts";

const answers = {
  title: "Answers",
  panels: [
    stat({
      title: "Verdicts",
      description: "Proofs judged a second, at the end of the time shown.",
      unit: "suffix:/s",
      width: 4,
      graph: true,
      queries: [over(rate("x402_verifier_verdicts_total"), "verdicts")],
    }),
    stat({
      title: "Verified",
      description: "Part of the verdicts in the time shown that say: paid. Replays and dust lower it; a fall without an attack is a fault of a client or of the index.",
      unit: "percentunit",
      width: 4,
      decimals: 1,
      base: "red",
      steps: [[0.5, "orange"], [0.9, "green"]],
      queries: [
        now(`${grown('x402_verifier_verdicts_total{verdict="verified"}')} / ${grown("x402_verifier_verdicts_total")}`, "verified"),
      ],
    }),
    stat({
      title: "Within 5 ms",
      description: "Part of the proofs answered within the objective of 5 ms, waits that the caller asked for left out.",
      unit: "percentunit",
      width: 4,
      decimals: 2,
      base: "red",
      steps: [[0.95, "orange"], [0.99, "green"]],
      queries: [
        now(
          `${grown('x402_verifier_verify_duration_seconds_bucket{le="0.005"}')} / ${grown("x402_verifier_verify_duration_seconds_count")}`,
          "within 5 ms",
        ),
      ],
    }),
    stat({
      title: "Served without fault",
      description: "Part of the requests in the time shown that were not answered with a 5xx. A stale index and an overload are faults to whoever asks.",
      unit: "percentunit",
      width: 4,
      decimals: 3,
      base: "red",
      steps: [[0.99, "orange"], [0.999, "green"]],
      queries: [
        now(
          `1 - ${grown('x402_verifier_requests_total{class="5xx"}')} / ${grown("x402_verifier_requests_total")}`,
          "without fault",
        ),
      ],
    }),
    stat({
      title: "Replays refused",
      description: "Proofs whose transfer somebody else had claimed, or whose use was over, in the time shown. Providers are told ALREADY_CLAIMED.",
      unit: "short",
      width: 4,
      decimals: 0,
      base: "green",
      steps: [[1, "orange"], [100, "red"]],
      queries: [now(grown('x402_verifier_verdicts_total{verdict="ALREADY_CLAIMED"}'), "replays")],
    }),
    stat({
      title: "Age of the index",
      description: "Age of the last block that verdicts are given from. Past --max-index-age-secs there are none: 503 INDEX_STALE.",
      unit: "s",
      width: 4,
      base: "green",
      steps: [[60, "orange"], [300, "red"]],
      queries: [now(`max(${since("x402_verifier_index_tip_timestamp_seconds")})`, "age")],
    }),
    stacked({
      title: "Verdicts",
      description: "Proofs judged a second by verdict. PAYMENT_PENDING is an agent that was faster than the chain; the others are refusals for good.",
      unit: "suffix:/s",
      width: 12,
      total: "mean",
      queries: [over(`${rate("x402_verifier_verdicts_total", "verdict")} > 0`, "{{verdict}}")],
    }),
    lines({
      title: "Time to answer one proof",
      description: "Waits that the caller asked for (waitMs) left out. The objective is 5 ms.",
      unit: "s",
      width: 12,
      queries: [
        over(quantile(0.5, "x402_verifier_verify_duration_seconds"), "p50"),
        over(quantile(0.95, "x402_verifier_verify_duration_seconds"), "p95"),
        over(quantile(0.99, "x402_verifier_verify_duration_seconds"), "p99"),
      ],
    }),
    ranking({
      title: "Refusals",
      description: "Verdicts other than verified in the time shown, by code.",
      unit: "short",
      width: 12,
      decimals: 0,
      base: "orange",
      queries: [
        now('sum by (verdict) (increase(x402_verifier_verdicts_total{verdict!="verified"}[$__range])) > 0', "{{verdict}}"),
      ],
    }),
    lines({
      title: "Claims",
      description: "Granted: a proof bought something. Repeated: the caller asked again and got the same answer. Refused: another caller or invoice had the transfer.",
      unit: "suffix:/s",
      softMax: 1,
      width: 12,
      queries: [over(rate("x402_verifier_claims_total", "outcome"), "{{outcome}}")],
    }),
  ],
};

const index = {
  title: "Reading the index",
  panels: [
    lines({
      title: "Found in memory",
      description: "Part of the transfers that needed no query to ClickHouse. A fall costs milliseconds on each verdict.",
      unit: "percentunit",
      width: 8,
      max: 1,
      queries: [
        over(
          `${rate("x402_verifier_cache_hits_total")} / (${rate("x402_verifier_cache_hits_total")} + ${rate("x402_verifier_cache_misses_total")})`,
          "hit ratio",
        ),
      ],
    }),
    lines({
      title: "Look-ups in ClickHouse",
      description: "Queries by outcome, and the look-ups that shared another one's query. Errors are answered with 503, never with a verdict.",
      unit: "suffix:/s",
      softMax: 1,
      width: 8,
      queries: [
        over(rate("x402_verifier_index_queries_total", "outcome"), "{{outcome}}"),
        over(rate("x402_verifier_coalesced_look_ups_total"), "coalesced"),
      ],
    }),
    lines({
      title: "Age of what it knows",
      description: "Of the index's last block, and of the gateway's directory of keys: without news for its lease the verifier answers 503.",
      unit: "s",
      softMax: 10,
      width: 8,
      queries: [
        over(`max(${since("x402_verifier_index_tip_timestamp_seconds")})`, "index"),
        over(`max(${since("x402_verifier_directory_refreshed_timestamp_seconds")})`, "directory"),
      ],
    }),
    lines({
      title: "Proofs read",
      description: "From memory, by a digest that the gateway published, or by checking the signature, which costs most.",
      unit: "suffix:/s",
      width: 8,
      queries: [over(rate("x402_verifier_proofs_total", "source"), "{{source}}")],
    }),
    lines({
      title: "In memory",
      description: "Entries of the bounded memories. They do not decide a verdict, only how fast it comes.",
      unit: "short",
      width: 8,
      queries: [
        over("sum(x402_verifier_cache_entries)", "transfers"),
        over("sum(x402_verifier_proof_entries)", "proofs"),
        over("sum(x402_verifier_claim_entries)", "claims"),
        over("sum(x402_verifier_issued_digests)", "issued digests"),
      ],
    }),
    lines({
      title: "Time to store claims",
      description: "One group of claims on disk, before any of them is answered.",
      unit: "s",
      width: 8,
      queries: [
        over(quantile(0.5, "x402_verifier_claim_commit_duration_seconds"), "p50"),
        over(quantile(0.99, "x402_verifier_claim_commit_duration_seconds"), "p99"),
      ],
    }),
  ],
};

const load = {
  title: "Load",
  panels: [
    stacked({
      title: "Requests by status",
      description: "HTTP requests a second by class of status. 4xx are malformed or unauthorized, or over a limit.",
      unit: "reqps",
      width: 8,
      total: "mean",
      queries: [over(`${rate("x402_verifier_requests_total", "class")} > 0`, "{{class}}")],
    }),
    lines({
      title: "Under way",
      description: "Requests without an answer, proofs being judged, and requests that wait for their payment because they asked to.",
      unit: "short",
      softMax: 5,
      width: 8,
      queries: [
        over("sum(x402_verifier_requests_in_flight)", "requests"),
        over("sum(x402_verifier_proofs_in_hand)", "proofs"),
        over("sum(x402_verifier_requests_waiting)", "waiting for a payment"),
      ],
    }),
    lines({
      title: "Refused by limits",
      description: "A provider's rate, its open requests, or all providers together (OVERLOADED): more verifiers help with the last.",
      unit: "reqps",
      softMax: 1,
      width: 8,
      queries: [over(rate("x402_verifier_refused_total", "limit"), "{{limit}}")],
    }),
    lines({
      title: "At work",
      description: "Proofs and batches that are being answered at a time, on average: seconds of answering in each second.",
      unit: "short",
      width: 12,
      queries: [
        over(rate("x402_verifier_verify_duration_seconds_sum"), "one by one"),
        over(rate("x402_verifier_batch_duration_seconds_sum"), "in batches"),
      ],
    }),
    stacked({
      title: "Answers that a reorg changed",
      description: "Payments that were verified and that a reorg removed, or brought back. Providers read them at GET /revocations.",
      unit: "short",
      width: 12,
      interval: "1m",
      queries: [
        over("sum by (event) (increase(x402_verifier_revocations_total[$__rate_interval]))", "{{event}}"),
      ],
    }),
  ],
};

export const verifier = dashboard({
  uid: "x402-verifier",
  title: "x402 / Verifier",
  description: "What providers are told, how fast, and from how fresh an index.",
  from: "now-6h",
  refresh: "30s",
  sources: ["prometheus"],
  rows: [answers, index, load, processes()],
});
