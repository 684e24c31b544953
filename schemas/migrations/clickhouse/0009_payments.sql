-- Payments as their newest event left them. Exact however often a row was written: maxima do not count.
CREATE VIEW IF NOT EXISTS payments AS
SELECT
    e.chain_id AS chain_id,
    e.ledger AS ledger,
    e.payment_id AS payment_id,
    any(e.workspace_id) AS workspace_id,
    any(e.agent_id) AS agent_id,
    any(e.quote_id) AS quote_id,
    any(e.invoice_id) AS invoice_id,
    any(e.resource) AS resource,
    any(e.host) AS host,
    any(e.pay_to) AS pay_to,
    any(e.amount) AS amount,
    argMax(e.provider_id, e.number) AS provider_id,
    argMax(e.status, e.number) AS status,
    argMax(e.code, e.number) AS code,
    argMax(e.tx_hash, e.number) AS tx_hash,
    argMax(e.block_number, e.number) AS block_number,
    argMax(e.log_index, e.number) AS log_index,
    argMax(e.gas_wei, e.number) AS gas_wei,
    argMax(e.type, e.number) AS last_event,
    max(e.number) AS number,
    min(e.at) AS quoted_at,
    max(e.at) AS changed_at
FROM payment_events AS e
WHERE e.payment_id != ''
GROUP BY e.chain_id, e.ledger, e.payment_id
