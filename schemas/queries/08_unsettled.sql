-- Payments that hold money and have not settled, oldest first.
SELECT
    workspace_id, payment_id, status, toDecimal256(amount, 18) / toDecimal256('1000000000000000000', 0) AS mnee, host,
    dateDiff('second', reserved_at, now64(3)) AS age_seconds, concat('0x', lower(hex(tx_hash))) AS transaction
FROM open_payments
WHERE status IN ('reserved', 'signed', 'broadcast', 'included')
ORDER BY reserved_at
