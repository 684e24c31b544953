-- How payments and denied quotes ended, once nothing can change any more: what `open_outcomes` said of them then.
CREATE TABLE IF NOT EXISTS closed_outcomes
(
    chain_id     UInt64,
    workspace_id LowCardinality(String),
    at           DateTime('UTC') COMMENT 'the time of the block where money moved, else when it ended',
    ledger       LowCardinality(String),
    closing      UInt64 COMMENT 'counts only if there is a row of closings with it',
    outcome      LowCardinality(String) COMMENT 'spent, denied, expired, failed or reverted',
    agent_id     LowCardinality(String),
    provider_id  LowCardinality(String),
    host         LowCardinality(String),
    resource     String,
    payment_id   String COMMENT 'empty where the quote was denied',
    quote_id     String COMMENT 'where no money moved; empty otherwise',
    pay_to       FixedString(20),
    treasury     FixedString(20),
    amount       UInt256 COMMENT 'of the transfer where money moved, else what was asked for; base units',
    code         LowCardinality(String),
    reason       String COMMENT 'in words, where no money moved; empty otherwise',
    gas_wei      UInt256,
    tx_hash      FixedString(32),
    block_number UInt64,
    log_index    UInt32,
    quoted_at    DateTime64(3, 'UTC'),
    ended        UInt64 COMMENT 'the number of the event that ended it',
    INDEX ends ended TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (chain_id, workspace_id, at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
