-- How every payment and denied quote ended, closed or not.
CREATE VIEW IF NOT EXISTS outcomes AS
SELECT
    chain_id, workspace_id, at, ledger, outcome, agent_id, provider_id, host, resource, payment_id, quote_id, pay_to, treasury, amount,
    code, reason, gas_wei, tx_hash, block_number, log_index, quoted_at, ended, true AS is_closed
FROM closed_outcomes
WHERE closing IN (SELECT closing FROM closings)
UNION ALL
SELECT
    chain_id, workspace_id, at, ledger, outcome, agent_id, provider_id, host, resource, payment_id, quote_id, pay_to, treasury, amount,
    code, reason, gas_wei, tx_hash, block_number, log_index, quoted_at, ended, false
FROM open_outcomes
