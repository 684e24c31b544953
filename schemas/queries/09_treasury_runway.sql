-- What each treasury holds and allows, and for how many days that lasts at the pace of the last 7.
SELECT
    t.workspace_id AS workspace_id, concat('0x', lower(hex(t.treasury))) AS treasury,
    toDecimal256(t.balance, 18) / toDecimal256('1000000000000000000', 0) AS balance, toDecimal256(t.allowance, 18) / toDecimal256('1000000000000000000', 0) AS allowance,
    toDecimal256(s.amount, 18) / toDecimal256('1000000000000000000', 0) / 7 AS mnee_a_day,
    if(s.amount = 0, NULL, toFloat64(toDecimal256(least(t.balance, t.allowance), 0) / toDecimal256(s.amount, 0)) * 7) AS days_left
FROM
(
    SELECT ledger, workspace_id, treasury, argMax(balance, at) AS balance, argMax(allowance, at) AS allowance
    FROM treasury_states
    WHERE at >= now() - INTERVAL 2 DAY
    GROUP BY ledger, workspace_id, treasury
) AS t
LEFT JOIN
(
    SELECT ledger, workspace_id, sum(amount) AS amount FROM spend_hourly WHERE hour >= now() - INTERVAL 7 DAY GROUP BY ledger, workspace_id
) AS s ON s.ledger = t.ledger AND s.workspace_id = t.workspace_id
ORDER BY days_left
