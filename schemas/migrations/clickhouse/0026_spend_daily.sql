-- Sums by day: those that are closed, united with what is open now. One day of one agent may have several rows: add them up.
CREATE VIEW IF NOT EXISTS spend_daily AS
WITH (SELECT (groupArray(ledger), groupArray(up_to)) FROM (SELECT ledger, max(up_to) AS up_to FROM day_closings GROUP BY ledger)) AS closed
SELECT
    chain_id, ledger, workspace_id, day, agent_id, provider_id, host, resource,
    payments, amount, gas_wei, denied, denied_amount, failed, failed_amount
FROM closed_days
WHERE closing IN (SELECT closing FROM day_closings)
UNION ALL
SELECT
    chain_id, ledger, workspace_id, toDate(o.at) AS day, agent_id, provider_id, host, resource,
    countIf(outcome = 'spent'),
    sumIf(o.amount, outcome = 'spent'),
    sum(o.gas_wei),
    countIf(outcome = 'denied'),
    sumIf(o.amount, outcome = 'denied'),
    countIf(outcome IN ('failed', 'expired', 'reverted')),
    sumIf(o.amount, outcome IN ('failed', 'expired', 'reverted'))
FROM
(
    SELECT * FROM open_outcomes
    UNION ALL
    SELECT * EXCEPT closing
    FROM closed_outcomes
    WHERE closing IN (SELECT closing FROM closings)
        AND ended > (SELECT min(up_to) FROM (SELECT max(up_to) AS up_to FROM day_closings GROUP BY ledger))
        AND ended > transform(toString(ledger), closed.1::Array(String), closed.2, toUInt64(0))
) AS o
GROUP BY chain_id, ledger, workspace_id, day, agent_id, provider_id, host, resource
