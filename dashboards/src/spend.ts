// Who spends how much on what, within which budgets, at which prices: from the index, so that only money that moved counts.

import { budgets } from "./budgets.ts";
import { MNEE, count, money, time, wide } from "./columns.ts";
import { dashboard } from "./dashboard.ts";
import { ledger } from "./ledger.ts";
import { figures, property, ranking, stacked, table } from "./panels.ts";
import { prices } from "./prices.ts";
import { points, rows } from "./queries.ts";
import { agentName, agentNamed, chosen, drawn, inDays, inHours, named, providerName, span } from "./sql.ts";
import { agent, explorer, provider, workspace } from "./variables.ts";

/** Series of a chart by name; the rest is one more. */
const SHOWN = 8;
const OTHERS = "all others";

const inBefore = "sumIf(amount, hour < toStartOfHour($__fromTime))";
const isShown = "hour >= toStartOfHour($__fromTime)";

const sums = {
  title: "Money that moved",
  panels: [
    figures({
      title: "In the time shown",
      description:
        "Spent: payments whose transfer is on the chain now, by the index. Before: in as much time right before. Denied: what policy said no to, where the same purchase may be asked for again and again.",
      width: 24,
      figures: {
        spent: { unit: MNEE, decimals: 2 },
        before: { unit: MNEE, decimals: 2, base: "text" },
        "payments made": { unit: "locale", decimals: 0 },
        "agents that paid": { unit: "locale", decimals: 0 },
        "asked for and denied": { unit: MNEE, decimals: 2, base: "orange" },
        "part denied": { unit: "percentunit", decimals: 1, base: "green", steps: [[0.1, "orange"], [0.3, "red"]] },
      },
      queries: [
        rows(`
          SELECT ${drawn(`sumIf(amount, ${isShown})`)} AS spent, ${drawn(inBefore)} AS before,
            sumIf(payments, ${isShown}) AS "payments made", uniqExactIf(agent_id, payments > 0 AND ${isShown}) AS "agents that paid",
            ${drawn(`sumIf(denied_amount, ${isShown})`)} AS "asked for and denied",
            sumIf(denied, ${isShown}) / greatest(sumIf(payments + denied + failed, ${isShown}), 1) AS "part denied"
          FROM spend_hourly
          WHERE hour >= toStartOfHour($__fromTime) - ${span} AND hour <= $__toTime AND ${chosen}`),
      ],
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
    overrides: { [OTHERS]: [property("color", { mode: "fixed", fixedColor: "#5a6270" })] },
    queries: [
      points(`
        SELECT time, if(place <= ${SHOWN}, ${name}, '${OTHERS}') AS name, ${drawn("sum(moved)")} AS spent
        FROM (
          SELECT time, owner, ${id}, moved, dense_rank() OVER (ORDER BY total DESC, ${id}) AS place
          FROM (
            SELECT $__timeInterval(hour) AS time, any(workspace_id) AS owner, ${id}, sum(amount) AS moved, sum(moved) OVER (PARTITION BY ${id}) AS total
            FROM spend_hourly WHERE ${inHours} AND payments > 0 AND ${chosen} GROUP BY time, ${id}
          )
        )
        GROUP BY time, name ORDER BY time`),
    ],
  });
}

const charts = {
  title: "Over time",
  panels: [
    by("By workspace", "workspace_id", named("workspace"), "workspace"),
    by("By agent", "agent_id", agentNamed("owner"), "agent"),
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
          SELECT replaceRegexpOne(resource, 'https?:.{2}', '') AS what, ${drawn("sum(amount)")} AS spent FROM spend_daily
          WHERE ${inDays} AND ${chosen} GROUP BY what HAVING spent > 0 ORDER BY spent DESC LIMIT 10`),
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
      width: 12,
      overrides: { times: count(65), asked: [...money, wide(115)], last: time, reason: [wide(220)] },
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
