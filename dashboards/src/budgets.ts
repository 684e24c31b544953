// What is left of budgets and limits, and how long it lasts.

import { exactly, part } from "./columns.ts";
import type { Row } from "./dashboard.ts";
import { lines, table } from "./panels.ts";
import { points, rows } from "./queries.ts";
import { chosenOf, exact, named } from "./sql.ts";

/** Workspaces in the chart. */
const SHOWN = 8;

const month = "toStartOfMonth(toDate($__toTime))";
const elapsed = `dateDiff('second', toDateTime(${month}, 'UTC'), $__toTime)`;

/** Of an account's month and day so far. */
const spent = (kind: "workspace" | "agent") => `
  SELECT ${kind}_id AS spender, sum(amount) AS month, sumIf(amount, day = toDate($__toTime)) AS today
  FROM spend_daily WHERE day >= ${month} AND day <= toDate($__toTime) GROUP BY spender`;

/** Accounts with a monthly limit. */
const limited = (kind: "workspace" | "agent") => `
  SELECT id, workspace_id, name, assumeNotNull(monthly_limit) AS monthly, daily_limit AS daily
  FROM accounts WHERE kind = '${kind}' AND monthly_limit > 0 AND ${chosenOf("workspace")}`;

/** Accounts with a monthly limit, what they have spent of it, and when it ends at this pace. */
function pace(kind: "workspace" | "agent", name: string): string {
  return `
    SELECT ${name} AS ${kind}, used, ${exact("monthly")} AS "a month (MNEE)", ${exact("month")} AS "spent (MNEE)",
      toFloat64(today) / toFloat64(daily) AS "today, of the day's",
      multiIf(month >= monthly, 'used up', month = 0 OR ends > addMonths(${month}, 1), 'lasts the month', formatDateTime(ends, '%F %R')) AS "used up at this pace"
    FROM (
      SELECT id, workspace_id, name, monthly, daily, month, today, toFloat64(month) / toFloat64(monthly) AS used,
        $__toTime + toUInt32(least(${elapsed} * (1 / greatest(used, 1e-9) - 1), 1e8)) AS ends
      FROM (${limited(kind)}) AS a LEFT JOIN (${spent(kind)}) AS s ON s.spender = a.id
    )
    ORDER BY used DESC LIMIT 100`;
}

const columns = { used: part, "a month (MNEE)": exactly, "spent (MNEE)": exactly, "today, of the day's": part };

export const budgets: Row = {
  title: "Budgets",
  panels: [
    lines({
      title: "Left of the month's budget",
      description: `Part of each workspace's monthly budget that is left; the ${SHOWN} that have least. It starts anew with each UTC month.`,
      unit: "percentunit",
      width: 8,
      height: 9,
      max: 1,
      interval: "1h",
      name: "${__field.labels.name}",
      queries: [
        points(`
          WITH running AS (
            SELECT time, workspace_id, sum(moved) OVER (PARTITION BY workspace_id, toStartOfMonth(time) ORDER BY time) AS so_far
            FROM (
              SELECT $__timeInterval(hour) AS time, workspace_id, sum(amount) AS moved FROM spend_hourly
              WHERE hour >= toDateTime(toStartOfMonth($__fromTime), 'UTC') AND hour <= $__toTime AND ${chosenOf("workspace")}
              GROUP BY time, workspace_id
            )
          ),
          tightest AS (
            SELECT id, name, monthly FROM (${limited("workspace")}) AS a INNER JOIN (${spent("workspace")}) AS s ON s.spender = a.id
            ORDER BY toFloat64(month) / toFloat64(monthly) DESC LIMIT ${SHOWN}
          )
          SELECT time, name, 1 - toFloat64(so_far) / toFloat64(monthly) AS left
          FROM running INNER JOIN tightest ON id = workspace_id
          WHERE time >= $__timeInterval($__fromTime) ORDER BY time`),
      ],
    }),
    table({
      title: "Workspaces and their budgets",
      description: "This UTC month as of the end of the time shown. The pace is the month's so far.",
      width: 16,
      overrides: columns,
      queries: [rows(pace("workspace", "name"))],
    }),
    table({
      title: "Agents and their limits",
      description: "Agents with a monthly limit, those that used most of it first.",
      width: 24,
      overrides: columns,
      queries: [rows(pace("agent", `concat(${named("workspace")}, ' / ', name)`))],
    }),
  ],
};
