-- Payments that have not ended, found by when they were quoted instead of among all of them.
CREATE VIEW IF NOT EXISTS open_payments AS
SELECT
    chain_id, ledger, payment_id, workspace_id, agent_id, quote_id, invoice_id, resource, host, pay_to, treasury, amount,
    provider_id, status, code, reason, tx_hash, block_number, log_index, gas_wei, last_event, number,
    quoted_at, asked_at, reserved_at, signed_at, broadcast_at, included_at, settled_at, changed_at
FROM payment_states FINAL
WHERE quoted_at >= (SELECT min(since) FROM (SELECT argMax(open_since, seq) AS since FROM closings GROUP BY ledger))
    AND payment_id != '' AND ended_at IS NULL
