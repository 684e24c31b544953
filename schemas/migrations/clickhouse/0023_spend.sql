-- Money that moved: payments whose transfer is canonical in the index now.
CREATE VIEW IF NOT EXISTS spend AS
SELECT
    chain_id, ledger, workspace_id, agent_id, provider_id, host, resource, payment_id, at AS paid_at, pay_to, treasury, amount,
    gas_wei, tx_hash, block_number, log_index, quoted_at, is_closed
FROM outcomes
WHERE outcome = 'spent'
