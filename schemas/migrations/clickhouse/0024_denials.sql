-- What policy or an owner said no to, at the quote or when it was to be paid.
CREATE VIEW IF NOT EXISTS denials AS
SELECT
    chain_id, ledger, workspace_id, agent_id, provider_id, host, resource, quote_id, payment_id, at, pay_to, amount, code, reason,
    quoted_at, is_closed
FROM outcomes
WHERE outcome = 'denied'
