// Whether agents are served, what becomes of payments on their way, and what the gateway owes to others.

import { dashboard } from "./dashboard.ts";
import { onTheWay } from "./on-the-way.ts";
import { lines, ranking, stacked, stat } from "./panels.ts";
import { processes } from "./process.ts";
import { grown, quantile, rate, since } from "./promql.ts";
import { now, over } from "./queries.ts";
import { explorer } from "./variables.ts";

/** Part of the requests that may be answered with a 5xx. */
const BUDGET = 0.001;
const faults = `${grown('x402_gateway_requests_total{class="5xx"}')} / ${grown("x402_gateway_requests_total")}`;

const state = {
  title: "Is it well",
  panels: [
    stat({
      title: "Error budget left",
      description: "Of the 0.1% of requests in the time shown that may be answered with a 5xx, the part that has not been. Below 0 the objective is missed.",
      unit: "percentunit",
      width: 4,
      decimals: 0,
      base: "red",
      steps: [[0, "orange"], [0.5, "green"]],
      queries: [now(`1 - ${faults} / ${BUDGET}`, "left")],
    }),
    stat({
      title: "Settled",
      description: "Payments that the index confirmed, in the time shown.",
      unit: "short",
      width: 4,
      decimals: 0,
      queries: [now(grown('x402_gateway_payment_transitions_total{status="settled"}'), "settled")],
    }),
    stat({
      title: "Quotes allowed",
      description: "Part of the quotes in the time shown that policy allowed. A fall is a policy that is too narrow, a budget that is used up, or an agent gone wild.",
      unit: "percentunit",
      width: 4,
      decimals: 1,
      base: "red",
      steps: [[0.5, "orange"], [0.8, "green"]],
      queries: [
        now(`${grown('x402_gateway_quotes_total{outcome="allowed"}')} / ${grown("x402_gateway_quotes_total")}`, "allowed"),
      ],
    }),
    stat({
      title: "In flight",
      description: "Payments that are neither settled nor void, those that wait for approval included.",
      unit: "short",
      width: 4,
      decimals: 0,
      queries: [now("sum(x402_gateway_payments_in_flight)", "in flight")],
    }),
    stat({
      title: "Oldest on the chain",
      description: "Age of the oldest payment that is signed and not settled. Past a minute or two: look at the index's lag, at fees and at the spender's gas.",
      unit: "s",
      width: 4,
      decimals: 0,
      base: "green",
      steps: [[60, "orange"], [300, "red"]],
      queries: [
        now(`max(${since('x402_gateway_oldest_payment_timestamp_seconds{status=~"signed|broadcast|included"}')})`, "oldest"),
      ],
    }),
    stat({
      title: "Lowest gas",
      description: "Payments that the spender that has least affords at the fee ceiling. At 0 its workspace is refused: x402 wallet top-up.",
      unit: "suffix: payments",
      width: 4,
      decimals: 0,
      base: "red",
      steps: [[1, "orange"], [20, "green"]],
      queries: [now("min(x402_gateway_lowest_spender_payments)", "payments")],
    }),
  ],
};

const requests = {
  title: "Requests",
  panels: [
    stacked({
      title: "Requests by status",
      description: "HTTP requests a second by class of status. 4xx are refusals with a reason.",
      unit: "reqps",
      width: 8,
      total: "mean",
      queries: [over(`${rate("x402_gateway_requests_total", "class")} > 0`, "{{class}}")],
    }),
    stacked({
      title: "Requests by route",
      description: "HTTP requests a second by route.",
      unit: "reqps",
      width: 8,
      total: "mean",
      queries: [over(`${rate("x402_gateway_requests_total", "route")} > 0`, "{{route}}")],
    }),
    lines({
      title: "Time to answer, p95",
      description: "By route, of those that were asked. POST /pay waits for settlement as long as the agent lets it (waitMs); what verifiers follow is left out, as they wait for news.",
      unit: "s",
      width: 8,
      queries: [over(`${quantile(0.95, "x402_gateway_request_duration_seconds", ", route", '{route!~"/internal/.*"}')} >= 0`, "{{route}}")],
    }),
    lines({
      title: "Requests with a fault",
      description: "Part of the requests answered with a 5xx. The objective allows 0.1%.",
      unit: "percentunit",
      softMax: 0.01,
      width: 8,
      steps: [[BUDGET, "orange"], [0.0144, "red"]],
      queries: [
        over(`${rate('x402_gateway_requests_total{class="5xx"}')} / ${rate("x402_gateway_requests_total")}`, "with a fault"),
      ],
    }),
    lines({
      title: "Refused by limits",
      description: "Requests over the rate or over the open requests of a key, or of an address that sends no valid key (somebody guessing).",
      unit: "reqps",
      softMax: 1,
      width: 8,
      queries: [over(rate("x402_gateway_over_limit_total", "of, limit"), "{{of}}: {{limit}}")],
    }),
    lines({
      title: "Under way",
      description: "Requests without an answer yet, and open streams of events.",
      unit: "short",
      width: 8,
      queries: [
        over("sum(x402_gateway_requests_in_flight)", "requests"),
        over("sum(x402_gateway_event_streams)", "streams"),
      ],
    }),
  ],
};

const step = (status: string, name: string) =>
  now(grown(`x402_gateway_payment_transitions_total{status="${status}"}`), name);

const payments = {
  title: "From quote to settlement",
  panels: [
    ranking({
      title: "Funnel",
      description: "Steps taken in the time shown. What is quoted and not reserved was not asked to be paid; what is broadcast and not settled is stuck or failed.",
      unit: "short",
      width: 8,
      decimals: 0,
      queries: [
        now(grown("x402_gateway_quotes_total"), "asked for a quote"),
        now(grown('x402_gateway_quotes_total{outcome="allowed"}'), "allowed"),
        step("reserved", "reserved"),
        step("signed", "signed"),
        step("broadcast", "broadcast"),
        step("settled", "settled"),
      ],
    }),
    stacked({
      title: "Denials by reason",
      description: "Quotes that policy denied, a second. No money moved; the amounts are in Agent spend.",
      unit: "suffix:/s",
      width: 8,
      total: "mean",
      queries: [over(`${rate('x402_gateway_quotes_total{outcome!="allowed"}', "outcome")} > 0`, "{{outcome}}")],
    }),
    lines({
      title: "From reservation to settlement",
      description: "Mostly the chain's time to a block and the index's to read it.",
      unit: "s",
      width: 8,
      queries: [
        over(quantile(0.5, "x402_gateway_settle_duration_seconds"), "p50"),
        over(quantile(0.95, "x402_gateway_settle_duration_seconds"), "p95"),
        over(quantile(0.99, "x402_gateway_settle_duration_seconds"), "p99"),
      ],
    }),
    stacked({
      title: "In flight by status",
      description: "Payments between quote and settlement. Awaiting approval is a person's time; all others are seconds.",
      unit: "short",
      width: 8,
      total: "lastNotNull",
      queries: [over("sum by (status) (x402_gateway_payments_in_flight) > 0", "{{status}}")],
    }),
    lines({
      title: "Oldest by status",
      description: "Age of the oldest payment in each status. A line that climbs with the clock is a payment that is stuck.",
      unit: "s",
      softMax: 10,
      width: 8,
      queries: [over(`max by (status) (${since("x402_gateway_oldest_payment_timestamp_seconds")})`, "{{status}}")],
    }),
    stacked({
      title: "Payments that came to nothing",
      description: "Failed, refused on payment, or reverted, by code; and what a reorg took out of the chain, which is sent again.",
      unit: "short",
      width: 8,
      interval: "1m",
      queries: [
        over("sum by (code) (increase(x402_gateway_payment_failures_total[$__rate_interval])) > 0", "{{code}}"),
        over('sum(increase(x402_gateway_payment_transitions_total{status="reorged"}[$__rate_interval])) > 0', "reorged"),
      ],
    }),
  ],
};

const chainside = {
  title: "The chain and the treasuries",
  panels: [
    lines({
      title: "Gas",
      description: "Ether that payments' transactions cost, an hour. Exact by workspace in Agent spend.",
      unit: "suffix: ETH/h",
      width: 8,
      queries: [over(`${rate("x402_gateway_gas_ether_total")} * 3600`, "gas")],
    }),
    lines({
      title: "Trouble with broadcasting",
      description: "Transactions that the node refused or did not answer for, and those replaced by one that bids more.",
      unit: "ops",
      softMax: 1,
      width: 8,
      queries: [
        over(rate("x402_gateway_broadcast_errors_total", "kind"), "{{kind}}"),
        over(rate("x402_gateway_replacements_total"), "replaced"),
      ],
    }),
    lines({
      title: "Least that a treasury has and allows",
      description: "Of all workspaces the lowest balance and the lowest allowance. Which one: Treasury.",
      unit: "suffix: MNEE",
      width: 8,
      queries: [
        over("min(x402_gateway_lowest_treasury_balance_mnee)", "balance"),
        over("min(x402_gateway_lowest_treasury_allowance_mnee)", "allowance"),
      ],
    }),
  ],
};

const outbox = {
  title: "Telling others",
  panels: [
    lines({
      title: "Events not told yet",
      description: "Events in the ledger that ClickHouse or the webhooks have not had. Payments go on meanwhile; dashboards are behind by this much.",
      unit: "short",
      softMax: 10,
      width: 8,
      queries: [over("sum by (consumer) (x402_gateway_events_backlog)", "{{consumer}}")],
    }),
    lines({
      title: "Age of the oldest of them",
      description: "How far behind each consumer is.",
      unit: "s",
      softMax: 10,
      width: 8,
      queries: [over(`max by (consumer) (${since("x402_gateway_events_oldest_timestamp_seconds")})`, "{{consumer}}")],
    }),
    lines({
      title: "Told",
      description: "Events that ClickHouse took, batches sent to it again, and attempts to reach webhooks.",
      unit: "suffix:/s",
      width: 8,
      queries: [
        over(rate("x402_gateway_events_exported_total"), "to ClickHouse"),
        over(rate("x402_gateway_events_export_retries_total"), "to ClickHouse, again"),
        over(rate("x402_gateway_webhook_attempts_total", "outcome"), "webhooks: {{outcome}}"),
      ],
    }),
  ],
};

export const gateway = dashboard({
  uid: "x402-gateway",
  title: "x402 / Gateway",
  description: "Whether agents are served, what becomes of payments on their way, and what the gateway owes to others.",
  from: "now-6h",
  refresh: "30s",
  sources: ["prometheus", "clickhouse"],
  variables: [explorer],
  rows: [state, requests, payments, onTheWay, chainside, outbox, processes()],
});
