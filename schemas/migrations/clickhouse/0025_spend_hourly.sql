-- Sums by hour: those that are closed, united with what is open now. One hour of one agent may have several rows: add them up.
CREATE VIEW IF NOT EXISTS spend_hourly AS
SELECT
    chain_id, ledger, workspace_id, hour, agent_id, provider_id, host,
    payments, amount, gas_wei, denied, denied_amount, failed, failed_amount
FROM closed_hours
WHERE closing IN (SELECT closing FROM closings)
UNION ALL
SELECT
    chain_id, ledger, workspace_id, toStartOfHour(o.at) AS hour, agent_id, provider_id, host,
    countIf(outcome = 'spent'),
    sumIf(o.amount, outcome = 'spent'),
    sum(o.gas_wei),
    countIf(outcome = 'denied'),
    sumIf(o.amount, outcome = 'denied'),
    countIf(outcome IN ('failed', 'expired', 'reverted')),
    sumIf(o.amount, outcome IN ('failed', 'expired', 'reverted'))
FROM open_outcomes AS o
GROUP BY chain_id, ledger, workspace_id, hour, agent_id, provider_id, host
