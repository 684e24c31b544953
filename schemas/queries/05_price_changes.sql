-- What a call of each resource costs now, and what it cost a month ago, where that differs or is new.
SELECT
    resource,
    count() AS calls,
    toDecimal256(argMin(amount, paid_at), 18) / toDecimal256('1000000000000000000', 0) AS first_price,
    toDecimal256(argMax(amount, paid_at), 18) / toDecimal256('1000000000000000000', 0) AS last_price,
    uniq(amount) AS prices,
    min(paid_at) AS first_at
FROM spend
WHERE paid_at >= now() - INTERVAL 30 DAY
GROUP BY host, resource
ORDER BY last_price / first_price DESC, calls DESC
