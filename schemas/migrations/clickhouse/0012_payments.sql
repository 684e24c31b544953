-- Payments as their newest event left them.
CREATE OR REPLACE VIEW payments AS
SELECT
    chain_id, ledger, payment_id, workspace_id, agent_id, quote_id, invoice_id, resource, host, pay_to, treasury, amount,
    provider_id, status, code, reason, tx_hash, block_number, log_index, gas_wei, last_event, number,
    quoted_at, asked_at, reserved_at, signed_at, broadcast_at, included_at, settled_at, ended_at, changed_at
FROM payment_states FINAL
WHERE payment_id != ''
