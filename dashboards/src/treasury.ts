// What workspaces can pay with, how long it lasts, and whether everything adds up.

import { MNEE, exactly, link, money, time, wide } from "./columns.ts";
import { dashboard } from "./dashboard.ts";
import { figures, lines, property, stacked, stat, table } from "./panels.ts";
import { now, points, rows } from "./queries.ts";
import { chosenOf, drawn, exact, hex, named } from "./sql.ts";
import { explorer, workspace } from "./variables.ts";

/** Days that a pace is taken from. */
const PACE_DAYS = 7;
const SECONDS = PACE_DAYS * 86400;

/** The newest sample of each treasury. */
const newest = `
  SELECT workspace_id, treasury, argMax(spender, at) AS spender, argMax(balance, at) AS balance, argMax(allowance, at) AS allowance,
    argMax(spender_gas_wei, at) AS gas, argMax(block_number, at) AS block, max(at) AS seen
  FROM treasury_states WHERE at <= $__toTime AND ${chosenOf("workspace")} GROUP BY workspace_id, treasury`;

/** What a workspace spent in the days that its pace is taken from. */
const pace = `
  SELECT workspace_id, sum(amount) AS moved FROM spend_hourly
  WHERE hour >= $__toTime - ${SECONDS} AND hour <= $__toTime AND ${chosenOf("workspace")} GROUP BY workspace_id`;

/** Treasuries with the days that they last: what they hold or allow, whichever is less, at the pace. */
const lasting = `
  SELECT t.*, moved, toFloat64(least(balance, allowance)) / (toFloat64(moved) / ${PACE_DAYS}) AS days
  FROM (${newest}) AS t LEFT JOIN (${pace}) AS p ON p.workspace_id = t.workspace_id`;

const state = {
  title: "Now",
  panels: [
    figures({
      title: "All treasuries",
      description: `As of the newest look at the chain. Usable: the least of balance and allowance of each. Ends first: days until the first treasury runs out at the pace of the last ${PACE_DAYS} days. Least gas: of the spender that has least, which pays the gas of its workspace's payments.`,
      width: 20,
      figures: {
        held: { unit: MNEE, decimals: 2 },
        usable: { unit: MNEE, decimals: 2 },
        "spent a day": { unit: MNEE, decimals: 2 },
        "ends first": { unit: "d", decimals: 1, base: "red", steps: [[3, "orange"], [14, "green"]] },
        "least gas": { unit: "suffix: ETH", decimals: 4, base: "red", steps: [[0.005, "orange"], [0.02, "green"]] },
      },
      queries: [
        rows(`
          SELECT ${drawn("sum(balance)")} AS held, ${drawn("sum(least(balance, allowance))")} AS usable, ${drawn("sum(moved)")} / ${PACE_DAYS} AS "spent a day",
            minIf(days, moved > 0) AS "ends first", ${drawn("min(gas)")} AS "least gas"
          FROM (${lasting})`),
      ],
    }),
    stat({
      title: "Differences",
      description: "Rows of the view reconciliation: where ledger, index, sums and treasuries on the chain did not agree when the gateway last looked, in all workspaces. It must be 0.",
      unit: "short",
      width: 4,
      decimals: 0,
      base: "green",
      steps: [[1, "red"]],
      queries: [now("max(x402_gateway_reconciliation_differences)", "differences")],
    }),
    table({
      title: "Treasuries",
      description: "Those that end first, first. A treasury pays until its balance, its allowance or its spender's gas is used up.",
      width: 24,
      overrides: {
        "balance (MNEE)": exactly,
        "allowance (MNEE)": exactly,
        "gas (ETH)": [...exactly, wide(175)],
        "a day": [...money, wide(120)],
        "days left": [property("unit", "none"), property("decimals", 1), wide(90)],
        treasury: link("address", 210),
        spender: link("address", 210),
        block: [wide(90)],
        seen: time,
      },
      queries: [
        rows(`
          SELECT ${named("workspace")} AS workspace, if(moved > 0, days, NULL) AS "days left", ${exact("balance")} AS "balance (MNEE)",
            ${exact("allowance")} AS "allowance (MNEE)", ${drawn("moved")} / ${PACE_DAYS} AS "a day", ${exact("gas")} AS "gas (ETH)",
            ${hex("treasury")} AS treasury, ${hex("spender")} AS spender, block, seen
          FROM (${lasting}) ORDER BY moved > 0 DESC, days LIMIT 100`),
      ],
    }),
  ],
};

/** The workspaces whose treasuries hold most, for charts. */
const shown = `workspace_id IN (SELECT workspace_id FROM (${newest}) ORDER BY balance DESC LIMIT 10)`;

function sampled(title: string, column: string, description: string, unit: string, decimals: number) {
  return lines({
    title,
    description: `${description} Of the ten workspaces that hold most.`,
    unit,
    width: 8,
    height: 9,
    decimals,
    interval: "1m",
    name: "${__field.labels.name}",
    queries: [
      points(`
        SELECT $__timeInterval(at) AS time, ${named("workspace")} AS name, argMax(${drawn(column)}, at) AS held
        FROM treasury_states WHERE $__timeFilter(at) AND ${chosenOf("workspace")} AND ${shown}
        GROUP BY time, name ORDER BY time`),
    ],
  });
}

const charts = {
  title: "Over time",
  panels: [
    sampled("Balance", "balance", "What the treasury holds.", MNEE, 2),
    sampled("Allowance", "allowance", "What the gateway may move; its owner sets it with x402 wallet approve.", MNEE, 2),
    sampled("Gas", "spender_gas_wei", "Ether of the spender.", "suffix: ETH", 4),
  ],
};

const verdict = [
  wide(80),
  property("custom.cellOptions", { type: "color-text" }),
  property("mappings", [{ type: "value", options: { holds: { color: "green", index: 0 }, differs: { color: "red", index: 1 } } }]),
];

const flows = {
  title: "Flows",
  panels: [
    stacked({
      title: "In and out",
      description: "MNEE that came into treasuries and that left them, by the index's transfers; what left without a payment of ours is one of its own.",
      unit: MNEE,
      width: 12,
      height: 9,
      decimals: 2,
      interval: "1m",
      name: "${__field.labels.flow}",
      queries: [
        points(`
          WITH treasuries AS (SELECT DISTINCT treasury FROM treasury_states WHERE ${chosenOf("workspace")})
          SELECT $__timeInterval(block_time) AS time,
            multiIf(recipient IN treasuries AND sender IN treasuries, 'between treasuries', recipient IN treasuries, 'in', memo = toFixedString('', 32), 'out, not by a payment', 'out, by payments') AS flow,
            ${drawn("sum(amount)")} AS moved
          FROM transfers FINAL
          WHERE version <= (SELECT max(seq) FROM commits) AND $__timeFilter(block_time) AND (recipient IN treasuries OR sender IN treasuries)
          GROUP BY time, flow ORDER BY time`),
      ],
    }),
    table({
      title: "Does it add up?",
      description:
        "Each check of the view reconciliation and what it found. Anything but 'holds' is worth waking somebody: see the runbook of TreasuryDrift.",
      width: 12,
      overrides: { check: [wide(130)], result: verdict, compares: [wide(330)] },
      queries: [
        rows(`
          SELECT c.name AS check, if(r.difference = '', 'holds', 'differs') AS result, c.compares AS compares,
            ${named("workspace", "r.workspace_id")} AS workspace, r.subject AS subject, r.expected AS expected, r.found AS found
          FROM (
            SELECT pair.1 AS name, pair.2 AS compares FROM (SELECT arrayJoin([
              ('ledger_spent', 'what the ledger spent with the payments here'),
              ('ledger_reserved', 'what the ledger reserved with the payments here'),
              ('transfers', 'settled payments with transfers on the chain'),
              ('closed', 'payments that are final with what is summed'),
              ('balance', 'balances with the transfers between two looks')]) AS pair)
          ) AS c
          LEFT JOIN (SELECT * FROM reconciliation WHERE ${chosenOf("workspace")}) AS r ON r.difference = c.name
          ORDER BY result, check LIMIT 100`),
      ],
    }),
  ],
};

export const treasury = dashboard({
  uid: "x402-treasury",
  title: "x402 / Treasury",
  description: "What workspaces can pay with, how long it lasts, and whether everything adds up.",
  from: "now-7d",
  refresh: "5m",
  sources: ["clickhouse", "prometheus"],
  variables: [workspace, explorer],
  rows: [state, charts, flows],
});
