-- A statement of the last day: every payment that moved money, with its transaction.
SELECT
    paid_at, workspace_id, agent_id, host, resource, toDecimal256(amount, 18) / toDecimal256('1000000000000000000', 0) AS mnee, toString(amount) AS base_units,
    concat('0x', lower(hex(pay_to))) AS paid_to, concat('https://etherscan.io/tx/0x', lower(hex(tx_hash))) AS transaction,
    block_number, log_index, is_closed AS is_final
FROM spend
WHERE paid_at >= now() - INTERVAL 1 DAY
ORDER BY paid_at DESC, block_number DESC, log_index DESC
