-- The canonical Transfer logs. Both forks of a reorg can stand side by side (the block hash is in the
-- key) and each is retracted by a tombstone of its own: the same key, a higher version, is_deleted = 1.
-- Rows no commit vouches for are found by the index on the version: old parts have none and are passed over.
-- Small parts are one file, as every file costs an fsync, and parts are merged ten at a time instead of five:
-- merging is most of what an insert costs here.
CREATE TABLE IF NOT EXISTS transfers
(
    chain_id     UInt64,
    block_number UInt64,
    log_index    UInt32,
    block_hash   FixedString(32),
    block_time   DateTime('UTC'),
    tx_hash      FixedString(32),
    tx_index     UInt32,
    token        FixedString(20),
    sender       FixedString(20) COMMENT 'Transfer.from',
    recipient    FixedString(20) COMMENT 'Transfer.to',
    amount       UInt256 COMMENT 'base units, 10^-18 MNEE',
    memo         FixedString(32) COMMENT 'invoice hash from the calldata; 32 zero bytes when there is none',
    kind         Enum8('payment' = 1, 'mint' = 2, 'burn' = 3, 'confiscation' = 4, 'rescue' = 5),
    version      UInt64 COMMENT 'commits.seq of the batch that wrote the row',
    is_deleted   UInt8 COMMENT '1 in a tombstone: a reorg removed the log',
    INDEX versions version TYPE minmax GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (chain_id, block_number, log_index, block_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_wide_part = 67108864, merge_selector_base = 10
