-- How far closed outcomes are summed by day as well. Vouches as `closings` does.
CREATE TABLE IF NOT EXISTS day_closings
(
    chain_id  UInt64,
    ledger    LowCardinality(String),
    seq       UInt64,
    closing   UInt64,
    up_to     UInt64,
    closed_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (chain_id, ledger, seq)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
