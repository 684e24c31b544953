-- A view may feed this table, as a closing that fails anywhere is never vouched for and its rows never count.
CREATE MATERIALIZED VIEW IF NOT EXISTS closed_hours_mv TO closed_hours AS
SELECT
    chain_id, workspace_id, toStartOfHour(o.at) AS hour, ledger, closing, agent_id, provider_id, host,
    countIf(outcome = 'spent') AS payments,
    sumIf(o.amount, outcome = 'spent') AS amount,
    sum(o.gas_wei) AS gas_wei,
    countIf(outcome = 'denied') AS denied,
    sumIf(o.amount, outcome = 'denied') AS denied_amount,
    countIf(outcome IN ('failed', 'expired', 'reverted')) AS failed,
    sumIf(o.amount, outcome IN ('failed', 'expired', 'reverted')) AS failed_amount
FROM closed_outcomes AS o
GROUP BY chain_id, workspace_id, hour, ledger, closing, agent_id, provider_id, host
