// Payments between quote and settlement, one by one: what counters cannot name.

import { link, time, wide } from "./columns.ts";
import type { Row } from "./dashboard.ts";
import { lines, property, table } from "./panels.ts";
import { points, rows } from "./queries.ts";
import { exact, hex, named } from "./sql.ts";

/** Statuses of payments whose money may still move. */
export const OPEN = "('awaiting_approval', 'reserved', 'signed', 'broadcast', 'included')";

const took = (from: string, to: string, name: string) =>
  `quantile(0.95)(dateDiff('millisecond', ${from}, ${to})) / 1000 AS "${name}"`;

export const onTheWay: Row = {
  title: "Payments on their way",
  panels: [
    lines({
      title: "Time of each step, p95",
      description: "Of payments quoted then and settled since. Broadcast to block is the chain's, block to settled the index's and ours.",
      unit: "s",
      width: 10,
      height: 9,
      interval: "1m",
      queries: [
        points(`
          SELECT $__timeInterval(quoted_at) AS time,
            ${took("asked_at", "signed_at", "asked to signed")},
            ${took("signed_at", "broadcast_at", "signed to broadcast")},
            ${took("broadcast_at", "included_at", "broadcast to block")},
            ${took("included_at", "settled_at", "block to settled")}
          FROM payments
          WHERE $__timeFilter(quoted_at) AND status = 'settled'
          GROUP BY time ORDER BY time`),
      ],
    }),
    table({
      title: "Not settled yet, oldest first",
      description: "Payments of the last 30 days whose money may still move, as of now, whatever time is shown. Signed ones that are minutes old are stuck; those that await approval wait for a person.",
      width: 14,
      overrides: {
        "quoted at": time,
        age: [property("unit", "s"), wide(100)],
        transaction: link("tx"),
        payment: [wide(210)],
      },
      queries: [
        rows(`
          SELECT quoted_at AS "quoted at", dateDiff('second', quoted_at, now()) AS age, status,
            ${named("workspace")} AS workspace, ${named("agent")} AS agent,
            ${exact("amount")} AS "amount (MNEE)", payment_id AS payment,
            if(signed_at IS NULL, '', ${hex("tx_hash")}) AS transaction
          FROM payments
          WHERE quoted_at > now() - INTERVAL 30 DAY AND status IN ${OPEN}
          ORDER BY quoted_at LIMIT 100`),
      ],
    }),
  ],
};
