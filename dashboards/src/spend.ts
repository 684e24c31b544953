// Who spends how much on what, within which budgets, at which prices: from the index, so that only money that moved counts.

import { budgets } from "./budgets.ts";
import { MNEE, money, time, wide } from "./columns.ts";
import { dashboard } from "./dashboard.ts";
import { ledger } from "./ledger.ts";
import { property, ranking, stacked, stat, table } from "./panels.ts";
import { prices } from "./prices.ts";
import { points, rows } from "./queries.ts";
import { agentName, chosen, drawn, inDays, inHours, named, providerName, span } from "./sql.ts";
import { agent, explorer, provider, workspace } from "./variables.ts";

/** Series of a chart by name; the rest is one more. */
const SHOWN = 8;

const hours = `FROM spend_hourly WHERE ${inHours} AND ${chosen}`;
const before = `hour >= toStartOfHour($__fromTime) - ${span} AND hour <= $__toTime`;

const sums = {
  title: "Money that moved",
  panels: [
    stat({
      title: "Spent",
      description: "Payments whose transfer is on the chain now, by the index.",
      unit: MNEE,
      width: 4,
      decimals: 2,
      queries: [rows(`SELECT ${drawn("sum(amount)")} AS spent ${hours}`)],
    }),
    stat({
      title: "More than in the period before",
      description: "Against as much time right before the time shown. Negative: less was spent.",
      unit: MNEE,
      width: 4,
      decimals: 2,
      queries: [
        rows(`
          SELECT ${drawn("toInt256(sumIf(amount, hour >= toStartOfHour($__fromTime))) - toInt256(sumIf(amount, hour < toStartOfHour($__fromTime)))")} AS more
          FROM spend_hourly WHERE ${before} AND ${chosen}`),
      ],
    }),
    stat({
      title: "Payments",
      description: "How many moved money.",
      unit: "locale",
      width: 4,
      decimals: 0,
      queries: [rows(`SELECT sum(payments) AS payments ${hours}`)],
    }),
    stat({
      title: "Denied",
      description: "What agents asked for and policy said no to. The same purchase may be asked for again and again.",
      unit: MNEE,
      width: 4,
      decimals: 2,
      queries: [rows(`SELECT ${drawn("sum(denied_amount)")} AS denied ${hours}`)],
    }),
    stat({
      title: "Denied, of what was asked for",
      description: "Denied quotes and payments among all that ended.",
      unit: "percentunit",
      width: 4,
      decimals: 1,
      base: "green",
      steps: [[0.1, "orange"], [0.3, "red"]],
      queries: [rows(`SELECT sum(denied) / greatest(sum(payments) + sum(denied) + sum(failed), 1) AS denied ${hours}`)],
    }),
    stat({
      title: "Agents that paid",
      description: "Agents with a payment in the time shown.",
      unit: "locale",
      width: 4,
      decimals: 0,
      queries: [rows(`SELECT uniqExact(agent_id) AS agents ${hours} AND payments > 0`)],
    }),
  ],
};

/** Spending over time by something, the largest by name. */
function by(title: string, id: string, name: string, what: string) {
  return stacked({
    title,
    description: `Money that moved, by ${what}. The ${SHOWN} that spent most in the time shown have names.`,
    unit: MNEE,
    width: 12,
    height: 9,
    decimals: 2,
    interval: "1h",
    name: "${__field.labels.name}",
    queries: [
      points(`
        WITH largest AS (SELECT ${id} ${hours} GROUP BY ${id} ORDER BY sum(amount) DESC LIMIT ${SHOWN})
        SELECT $__timeInterval(hour) AS time, if(${id} IN largest, ${name}, 'all others') AS name, ${drawn("sum(amount)")} AS spent
        ${hours} GROUP BY time, name HAVING spent > 0 ORDER BY time`),
    ],
  });
}

const charts = {
  title: "Over time",
  panels: [
    by("By workspace", "workspace_id", named("workspace"), "workspace"),
    by("By agent", "agent_id", agentName, "agent"),
    by("By provider", "provider_id", providerName, "provider that was paid"),
    ranking({
      title: "By resource",
      description: "The ten resources (method and URL without query) that most was spent on, by whole UTC days.",
      unit: MNEE,
      width: 12,
      height: 9,
      decimals: 2,
      values: true,
      queries: [
        rows(`
          SELECT resource, ${drawn("sum(amount)")} AS spent FROM spend_daily
          WHERE ${inDays} AND ${chosen} GROUP BY resource HAVING spent > 0 ORDER BY spent DESC LIMIT 10`),
      ],
    }),
  ],
};

const denied = {
  title: "Denied",
  panels: [
    stacked({
      title: "Denied, by reason",
      description: "What was asked for and denied, by the first reason that held.",
      unit: MNEE,
      width: 12,
      height: 9,
      decimals: 2,
      interval: "1h",
      name: "${__field.labels.code}",
      queries: [
        points(`
          SELECT $__timeInterval(at) AS time, code, ${drawn("sum(amount)")} AS denied FROM outcomes
          WHERE $__timeFilter(at) AND outcome = 'denied' AND ${chosen} GROUP BY time, code ORDER BY time`),
      ],
    }),
    table({
      title: "Who is denied what",
      description: "Agents and reasons, the most frequent first. A limit that is hit all the time is too low, or the agent is out of control.",
      unit: "none",
      width: 12,
      overrides: { times: [property("unit", "locale"), wide(80)], asked: [...money, wide(150)], last: time, reason: [wide(230)] },
      queries: [
        rows(`
          SELECT ${agentName} AS agent, code AS reason, count() AS times, ${drawn("sum(amount)")} AS asked, max(at) AS last
          FROM outcomes WHERE $__timeFilter(at) AND outcome = 'denied' AND ${chosen}
          GROUP BY agent, reason ORDER BY times DESC LIMIT 100`),
      ],
    }),
  ],
};

export const spend = dashboard({
  uid: "x402-spend",
  title: "x402 / Agent spend",
  description: "Who spends how much on what, within which budgets, at which prices. Only money that moved counts, by the index of the chain.",
  from: "now-30d",
  refresh: "5m",
  sources: ["clickhouse"],
  variables: [workspace, agent, provider, explorer],
  rows: [sums, charts, denied, budgets, prices, ledger],
});
