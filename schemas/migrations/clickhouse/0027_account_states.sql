-- Who spends and who is paid, with their limits: a row whenever something of it has changed. Read `accounts`.
CREATE TABLE IF NOT EXISTS account_states
(
    ledger         LowCardinality(String),
    kind           LowCardinality(String) COMMENT 'workspace, agent or provider',
    id             String,
    at             DateTime64(3, 'UTC') COMMENT 'when the gateway wrote it',
    workspace_id   LowCardinality(String),
    name           String,
    daily_limit    Nullable(UInt256) COMMENT 'base units in a UTC day; none for no limit of that kind',
    monthly_limit  Nullable(UInt256) COMMENT 'base units in a UTC month; of a workspace its budget',
    total_limit    Nullable(UInt256) COMMENT 'base units for ever',
    payment_limit  Nullable(UInt256) COMMENT 'base units for each payment',
    is_active      Bool COMMENT 'neither paused nor revoked'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (ledger, kind, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
