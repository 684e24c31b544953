-- What each agent has spent in the last 30 days, and at whom, exactly.
SELECT
    w.name AS workspace, a.name AS agent, if(p.name = '', 'unregistered', p.name) AS provider,
    sum(s.payments) AS payments, toDecimal256(sum(s.amount), 18) / toDecimal256('1000000000000000000', 0) AS mnee
FROM (SELECT * FROM spend_daily WHERE day > today() - 30 AND payments > 0) AS s
LEFT JOIN accounts AS w ON w.ledger = s.ledger AND w.id = s.workspace_id
LEFT JOIN accounts AS a ON a.ledger = s.ledger AND a.id = s.agent_id
LEFT JOIN accounts AS p ON p.ledger = s.ledger AND p.id = s.provider_id
GROUP BY workspace, agent, provider
ORDER BY mnee DESC
