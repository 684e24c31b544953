-- Why purchases were denied in the last 30 days, to whom, and what they would have cost.
SELECT code, agent_id, count() AS denials, uniq(host) AS hosts, toDecimal256(sum(amount), 18) / toDecimal256('1000000000000000000', 0) AS mnee, max(at) AS last_at
FROM denials
WHERE at >= now() - INTERVAL 30 DAY
GROUP BY code, agent_id
ORDER BY denials DESC
