// What a call costs, how that changes, and who is paid for the first time.

import { MNEE, count, money, wide } from "./columns.ts";
import type { Row } from "./dashboard.ts";
import { lines, property, table } from "./panels.ts";
import { points, rows } from "./queries.ts";
import { chosen, drawn, inDays, providerName } from "./sql.ts";

/** Resources in the chart. */
const SHOWN = 8;

const days = `FROM spend_daily WHERE ${inDays} AND ${chosen}`;
const price = [property("unit", MNEE), property("decimals", 4), wide(130)];

export const prices: Row = {
  title: "Prices and providers",
  panels: [
    lines({
      title: "Price of a call",
      description: `What a payment cost on average each UTC day; the ${SHOWN} resources that most was spent on.`,
      unit: MNEE,
      width: 12,
      height: 9,
      decimals: 4,
      interval: "1d",
      name: "${__field.labels.resource}",
      queries: [
        points(`
          WITH largest AS (SELECT resource ${days} GROUP BY resource ORDER BY sum(amount) DESC LIMIT ${SHOWN})
          SELECT $__timeInterval(day) AS time, resource, ${drawn("sum(amount)")} / sum(payments) AS price
          ${days} AND resource IN largest GROUP BY time, resource HAVING sum(payments) > 0 ORDER BY time`),
      ],
    }),
    table({
      title: "Changes of prices",
      description: "The first and the last day's average of each resource in the time shown, the largest changes first.",
      width: 12,
      overrides: {
        first: price,
        last: price,
        change: [property("unit", "percentunit"), property("decimals", 1), wide(90)],
        calls: count(90),
      },
      queries: [
        rows(`
          SELECT resource, argMin(price, day) AS first, argMax(price, day) AS last, last / first - 1 AS change, sum(calls) AS calls
          FROM (
            SELECT resource, day, ${drawn("sum(amount)")} / calls AS price, sum(payments) AS calls
            ${days} GROUP BY resource, day HAVING calls > 0
          )
          GROUP BY resource ORDER BY abs(change) DESC, calls DESC LIMIT 100`),
      ],
    }),
    table({
      title: "Paid for the first time",
      description: "Hosts by the day of their first payment, the newest first. One that nobody expected is worth a look: narrow the policy with --deny-host.",
      width: 24,
      height: 8,
      overrides: { "times paid": count(110), spent: [...money, wide(170)], "first paid": [wide(120)] },
      queries: [
        rows(`
          SELECT toString(min(day)) AS "first paid", host, ${providerName} AS provider, sum(payments) AS "times paid", ${drawn("sum(amount)")} AS spent
          FROM spend_daily WHERE day <= toDate($__toTime) AND payments > 0 AND ${chosen}
          GROUP BY host, provider ORDER BY "first paid" DESC, spent DESC LIMIT 50`),
      ],
    }),
  ],
};
