-- How much of each workspace's budget of this UTC month is spent, and on which day it is used up at the month's pace.
WITH dateDiff('second', toStartOfMonth(now()), now()) + 1 AS seconds_gone
SELECT
    w.name AS workspace,
    toDecimal256(any(w.monthly_limit), 18) / toDecimal256('1000000000000000000', 0) AS budget,
    toDecimal256(sum(s.amount), 18) / toDecimal256('1000000000000000000', 0) AS spent,
    toDecimal256(greatest(toInt256(any(w.monthly_limit)) - toInt256(sum(s.amount)), 0), 18) / toDecimal256('1000000000000000000', 0) AS left,
    if(sum(s.amount) = 0, NULL,
        toStartOfMonth(now()) + toIntervalSecond(least(intDiv(any(assumeNotNull(w.monthly_limit)) * toUInt256(seconds_gone), sum(s.amount)), toUInt256(315360000))::UInt64)) AS used_up_at
FROM accounts AS w
LEFT JOIN (SELECT * FROM spend_daily WHERE day >= toStartOfMonth(now())) AS s ON s.ledger = w.ledger AND s.workspace_id = w.id
WHERE w.kind = 'workspace'
GROUP BY w.ledger, w.id, w.name
ORDER BY used_up_at
