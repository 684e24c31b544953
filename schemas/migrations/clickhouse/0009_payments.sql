-- Payments as their newest event left them. Exact however often a row was written: maxima do not count.
CREATE VIEW IF NOT EXISTS payments AS
SELECT
    chain_id,
    ledger,
    payment_id,
    any(workspace_id) AS workspace_id,
    any(agent_id) AS agent_id,
    any(quote_id) AS quote_id,
    any(invoice_id) AS invoice_id,
    any(resource) AS resource,
    any(host) AS host,
    any(pay_to) AS pay_to,
    any(amount) AS amount,
    argMax(provider_id, number) AS provider_id,
    argMax(status, number) AS status,
    argMax(code, number) AS code,
    argMax(tx_hash, number) AS tx_hash,
    argMax(block_number, number) AS block_number,
    argMax(log_index, number) AS log_index,
    argMax(gas_wei, number) AS gas_wei,
    argMax(type, number) AS last_event,
    max(number) AS number,
    min(at) AS quoted_at,
    max(at) AS changed_at
FROM payment_events
WHERE payment_id != ''
GROUP BY chain_id, ledger, payment_id
