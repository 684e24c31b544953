-- Outcomes that are not closed: of what ended since, and of payments whose transfer the index shows although it may still
-- be reorganised away, or although the gateway has yet to notice. Transfers are read exactly as `src/index/reader.rs` reads them.
CREATE VIEW IF NOT EXISTS open_outcomes AS
WITH
    (SELECT (groupArray(ledger), groupArray(up_to)) FROM (SELECT ledger, max(up_to) AS up_to FROM closings GROUP BY ledger)) AS closed,
    states AS
    (
        SELECT *
        FROM payment_states FINAL
        WHERE quoted_at >= (SELECT min(since) FROM (SELECT argMax(open_since, seq) AS since FROM closings GROUP BY ledger))
            AND ended > transform(toString(ledger), closed.1::Array(String), closed.2, toUInt64(0))
    ),
    canonical AS
    (
        SELECT
            chain_id, log_index, argMax(t.tx_hash, v) AS tx_hash, argMax(t.sender, v) AS sender, argMax(t.recipient, v) AS recipient,
            argMax(t.amount, v) AS amount, block_number, argMax(t.block_time, v) AS block_time
        FROM (SELECT *, version AS v FROM transfers
              WHERE block_number >= (SELECT min(first) FROM (SELECT argMax(open_from, seq) AS first FROM closings GROUP BY ledger))
                  AND version <= (SELECT max(seq) FROM commits)) AS t
        GROUP BY chain_id, block_number, log_index, block_hash
        HAVING argMax(t.is_deleted, v) = 0 AND argMax(t.kind, v) = 'payment'
    )
SELECT
    s.chain_id AS chain_id, s.workspace_id AS workspace_id, c.block_time AS at, s.ledger AS ledger, 'spent' AS outcome,
    s.agent_id AS agent_id, s.provider_id AS provider_id, s.host AS host, s.resource AS resource, s.payment_id AS payment_id,
    '' AS quote_id, s.pay_to AS pay_to, c.sender AS treasury, c.amount AS amount, s.code AS code, '' AS reason, s.gas_wei AS gas_wei, s.tx_hash AS tx_hash,
    c.block_number AS block_number, c.log_index AS log_index, s.quoted_at AS quoted_at, s.ended AS ended
FROM states AS s
INNER JOIN canonical AS c ON c.chain_id = s.chain_id AND c.tx_hash = s.tx_hash AND c.recipient = s.pay_to AND c.amount = s.amount
WHERE s.status IN ('signed', 'broadcast', 'included', 'settled')
UNION ALL
SELECT
    chain_id, workspace_id, toDateTime(ended_at, 'UTC'), ledger, status,
    agent_id, provider_id, host, resource, payment_id,
    quote_id, pay_to, treasury, amount, code, reason, gas_wei, tx_hash,
    block_number, log_index, quoted_at, ended
FROM states
WHERE status IN ('denied', 'expired', 'failed', 'reverted')
