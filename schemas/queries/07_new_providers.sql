-- Hosts and providers that a workspace bought from for the first time in the last 30 days.
SELECT workspace_id, host, provider_id, min(day) AS first_day, sum(s.payments) AS payments, toDecimal256(sum(s.amount), 18) / toDecimal256('1000000000000000000', 0) AS mnee
FROM spend_daily AS s
WHERE s.payments > 0
GROUP BY workspace_id, host, provider_id
HAVING first_day > today() - 30
ORDER BY first_day DESC, mnee DESC
