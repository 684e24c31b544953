-- What was closed, summed by day and resource.
CREATE TABLE IF NOT EXISTS closed_days
(
    chain_id         UInt64,
    workspace_id     LowCardinality(String),
    day              Date,
    ledger           LowCardinality(String),
    closing          UInt64 COMMENT 'counts only if there is a row of day_closings with it',
    agent_id         LowCardinality(String),
    provider_id      LowCardinality(String),
    host             LowCardinality(String),
    resource         LowCardinality(String),
    payments         UInt64 COMMENT 'that moved money',
    amount           UInt256 COMMENT 'that they moved, base units',
    gas_wei          UInt256 COMMENT 'of these, and of those that were reverted',
    denied           UInt64 COMMENT 'quotes and payments',
    denied_amount    UInt256,
    failed           UInt64 COMMENT 'failed, expired or reverted',
    failed_amount    UInt256
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (chain_id, workspace_id, day)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
