-- Whatever differs between the ledgers, the payments here, the transfers of the index and the treasuries' balances on the
-- chain. Empty when all is right, also while one of them is behind: each is compared as of where all of them have been.
-- Blocks are compared below the finalized one only, where FINAL is exact: no batch that is not committed reaches there.
CREATE VIEW IF NOT EXISTS reconciliation AS
WITH
    (SELECT (groupArray(ledger), groupArray(number), groupArray(settled_to))
     FROM (SELECT ledger, max(number) AS number, min(settled_to) AS settled_to FROM ledger_sums FINAL GROUP BY ledger)) AS told,
    (SELECT argMax(finalized, seq) FROM commits) AS finalized_block,
    (SELECT max(seq) FROM commits) AS last_seq,
    -- Payments as they were at the event that the ledger was summed at.
    later AS
    (
        SELECT chain_id, ledger, workspace_id, payment_id, quoted_at
        FROM payment_states FINAL
        WHERE payment_id != '' AND number > transform(toString(ledger), told.1::Array(String), told.2, toUInt64(0))
    ),
    as_of AS
    (
        SELECT chain_id, ledger, workspace_id, status, amount
        FROM payment_states FINAL
        WHERE payment_id != '' AND number <= transform(toString(ledger), told.1::Array(String), told.2, toUInt64(0))
        UNION ALL
        SELECT e.chain_id, e.ledger, e.workspace_id, argMax(e.status, e.number), any(e.amount)
        FROM payment_events AS e
        WHERE e.at >= (SELECT min(quoted_at) FROM later)
            AND (e.ledger, e.payment_id) IN (SELECT ledger, payment_id FROM later)
            AND e.number <= transform(toString(e.ledger), told.1::Array(String), told.2, toUInt64(0))
        GROUP BY e.chain_id, e.ledger, e.workspace_id, e.payment_id
    ),
    here AS
    (
        SELECT
            chain_id, ledger, workspace_id,
            sumIf(amount, status = 'settled') AS spent,
            sumIf(amount, status IN ('reserved', 'signed', 'broadcast', 'included')) AS reserved
        FROM as_of
        WHERE ledger IN (SELECT ledger FROM ledger_sums)
        GROUP BY chain_id, ledger, workspace_id
    ),
    -- The treasuries of each ledger, and between which blocks their transfers are compared.
    treasuries AS
    (
        SELECT
            t.chain_id AS chain_id, t.ledger AS ledger, any(t.workspace_id) AS workspace_id, t.treasury AS treasury, min(t.block_number) AS from_block,
            least(transform(toString(t.ledger), told.1::Array(String), told.3, toUInt64(0)), finalized_block) AS to_block
        FROM treasury_states AS t
        GROUP BY t.chain_id, t.ledger, t.treasury
    ),
    settled AS
    (
        SELECT p.chain_id AS chain_id, p.ledger AS ledger, t.workspace_id AS workspace_id, p.treasury AS treasury, p.pay_to AS pay_to, count() AS n, sum(p.amount) AS amount
        FROM payment_states AS p FINAL
        INNER JOIN treasuries AS t ON t.chain_id = p.chain_id AND t.ledger = p.ledger AND t.treasury = p.treasury
        WHERE p.status = 'settled' AND p.block_number > t.from_block AND p.block_number <= t.to_block
        GROUP BY p.chain_id, p.ledger, t.workspace_id, p.treasury, p.pay_to
    ),
    moved AS
    (
        SELECT f.chain_id AS chain_id, t.ledger AS ledger, t.workspace_id AS workspace_id, f.sender AS treasury, f.recipient AS pay_to, count() AS n, sum(f.amount) AS amount
        FROM transfers AS f FINAL
        INNER JOIN treasuries AS t ON t.chain_id = f.chain_id AND t.treasury = f.sender
        WHERE f.kind = 'payment' AND f.memo != toFixedString('', 32) AND f.block_number > t.from_block AND f.block_number <= t.to_block
        GROUP BY f.chain_id, t.ledger, t.workspace_id, f.sender, f.recipient
    ),
    -- What payments are counted for good must be what the payments say.
    closed AS
    (
        SELECT chain_id, ledger, workspace_id, countIf(outcome = 'spent') AS n, sumIf(amount, outcome = 'spent') AS amount
        FROM closed_outcomes
        WHERE closing IN (SELECT closing FROM closings)
        GROUP BY chain_id, ledger, workspace_id
    ),
    closable AS
    (
        WITH (SELECT (groupArray(ledger), groupArray(up_to)) FROM (SELECT ledger, max(up_to) AS up_to FROM closings GROUP BY ledger)) AS done
        SELECT chain_id, ledger, workspace_id, countIf(status = 'settled') AS n, sumIf(amount, status = 'settled') AS amount
        FROM payment_states FINAL
        WHERE ended <= transform(toString(ledger), done.1::Array(String), done.2, toUInt64(0))
        GROUP BY chain_id, ledger, workspace_id
    ),
    -- Of a treasury the first and the newest sample whose block is the one that the index has at that height.
    standing AS
    (
        SELECT chain_id, tip_number, tip_hash
        FROM (SELECT *, min(from_block) OVER (PARTITION BY chain_id ORDER BY seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS later_from, max(seq) OVER (PARTITION BY chain_id) AS newest FROM commits)
        WHERE seq = newest OR later_from > tip_number
    ),
    spans AS
    (
        SELECT
            s.chain_id AS chain_id, s.ledger AS ledger, any(s.workspace_id) AS workspace_id, s.treasury AS treasury,
            min(s.block_number) AS first_block, max(s.block_number) AS last_block,
            argMin(s.balance, s.block_number) AS first_balance, argMax(s.balance, s.block_number) AS last_balance
        FROM treasury_states AS s
        WHERE (s.chain_id, s.block_number, s.block_hash) IN (SELECT chain_id, tip_number, tip_hash FROM standing) AND s.block_number <= finalized_block
        GROUP BY s.chain_id, s.ledger, s.treasury
    ),
    flows AS
    (
        SELECT
            t.chain_id AS chain_id, t.ledger AS ledger, t.treasury AS treasury,
            sumIf(f.amount, f.recipient = t.treasury) AS received, sumIf(f.amount, f.sender = t.treasury) AS sent
        FROM (SELECT chain_id, block_number, sender, recipient, amount, arrayDistinct([sender, recipient]) AS parties FROM transfers FINAL WHERE version <= last_seq) AS f
        ARRAY JOIN parties AS party
        INNER JOIN spans AS t ON t.chain_id = f.chain_id AND t.treasury = party
        WHERE f.block_number > t.first_block AND f.block_number <= t.last_block
        GROUP BY t.chain_id, t.ledger, t.treasury
    )
SELECT 'ledger_spent' AS difference, ledger, workspace_id, '' AS subject, toString(l.spent) AS expected, toString(here.spent) AS found
FROM (SELECT * FROM ledger_sums FINAL) AS l FULL JOIN here USING (chain_id, ledger, workspace_id)
WHERE l.spent != here.spent
UNION ALL
SELECT 'ledger_reserved', ledger, workspace_id, '', toString(l.reserved), toString(here.reserved)
FROM (SELECT * FROM ledger_sums FINAL) AS l FULL JOIN here USING (chain_id, ledger, workspace_id)
WHERE l.reserved != here.reserved
UNION ALL
SELECT
    'transfers', ledger, workspace_id, concat('from 0x', lower(hex(treasury)), ' to 0x', lower(hex(pay_to))),
    concat(toString(settled.amount), ' in ', toString(settled.n)), concat(toString(moved.amount), ' in ', toString(moved.n))
FROM settled FULL JOIN moved USING (chain_id, ledger, workspace_id, treasury, pay_to)
WHERE settled.amount != moved.amount OR settled.n != moved.n
UNION ALL
SELECT 'closed', ledger, workspace_id, '', concat(toString(closable.amount), ' in ', toString(closable.n)), concat(toString(closed.amount), ' in ', toString(closed.n))
FROM closable FULL JOIN closed USING (chain_id, ledger, workspace_id)
WHERE closable.amount != closed.amount OR closable.n != closed.n
UNION ALL
SELECT
    'balance', spans.ledger, spans.workspace_id, concat('0x', lower(hex(spans.treasury)), ' at block ', toString(last_block)),
    toString(toInt256(first_balance) + toInt256(flows.received) - toInt256(flows.sent)), toString(last_balance)
FROM spans LEFT JOIN flows ON flows.chain_id = spans.chain_id AND flows.ledger = spans.ledger AND flows.treasury = spans.treasury
WHERE toInt256(first_balance) + toInt256(flows.received) - toInt256(flows.sent) != toInt256(last_balance)
