-- The same rows ordered for look-ups by transaction, which proofs ask for.
CREATE TABLE IF NOT EXISTS transfers_by_tx AS transfers
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (chain_id, tx_hash, log_index, block_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_wide_part = 67108864, merge_selector_base = 10
