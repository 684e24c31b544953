// Payments one by one: what is not settled, by age, and what was paid, to the last digit.

import { exactly, link, time, wide } from "./columns.ts";
import type { Row } from "./dashboard.ts";
import { OPEN } from "./on-the-way.ts";
import { ranking, table } from "./panels.ts";
import { rows } from "./queries.ts";
import { agentName, chosen, exact, hex, providerName } from "./sql.ts";

export const ledger: Row = {
  title: "Ledger",
  panels: [
    ranking({
      title: "Not settled yet, by age",
      description: "Payments of the last 30 days whose money may still move, as of now, approvals that wait included. Which ones: Gateway.",
      unit: "locale",
      width: 5,
      height: 10,
      decimals: 0,
      values: true,
      queries: [
        rows(`
          SELECT age, count() - 1 AS payments
          FROM (
            SELECT multiIf(seconds < 60, 1, seconds < 600, 2, seconds < 3600, 3, seconds < 86400, 4, 5) AS place
            FROM (
              SELECT dateDiff('second', quoted_at, now()) AS seconds FROM payments
              WHERE quoted_at > now() - INTERVAL 30 DAY AND status IN ${OPEN} AND ${chosen}
            )
            UNION ALL SELECT arrayJoin(range(1, 6))
          )
          GROUP BY place, ['under a minute', 'under 10 minutes', 'under an hour', 'under a day', 'older'][place] AS age
          ORDER BY place`),
      ],
    }),
    table({
      title: "Payments, exact",
      description: "The newest payments of the time shown whose transfer is on the chain. Amounts are text, to the last digit; floats never touch them. Older ones: export from spend, see schemas/README.md.",
      width: 19,
      height: 10,
      overrides: {
        "paid at": time,
        "amount (MNEE)": [...exactly, wide(150)],
        agent: [wide(240)],
        provider: [wide(130)],
        "gas (ETH)": [...exactly, wide(170)],
        transaction: link("tx"),
      },
      queries: [
        rows(`
          SELECT paid_at AS "paid at", ${agentName} AS agent, ${providerName} AS provider, resource,
            ${exact("amount")} AS "amount (MNEE)", ${exact("gas_wei")} AS "gas (ETH)", ${hex("tx_hash")} AS transaction
          FROM spend WHERE $__timeFilter(paid_at) AND ${chosen} ORDER BY paid_at DESC LIMIT 200`),
      ],
    }),
  ],
};
