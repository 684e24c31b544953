-- Each workspace's last 30 days against the 30 before.
SELECT
    workspace_id,
    toDecimal256(sumIf(s.amount, day > today() - 30), 18) / toDecimal256('1000000000000000000', 0) AS mnee,
    toDecimal256(sumIf(s.amount, day <= today() - 30), 18) / toDecimal256('1000000000000000000', 0) AS mnee_before,
    sumIf(s.payments, day > today() - 30) AS payments,
    sumIf(s.payments, day <= today() - 30) AS payments_before
FROM spend_daily AS s
WHERE day > today() - 60
GROUP BY workspace_id
ORDER BY mnee DESC
