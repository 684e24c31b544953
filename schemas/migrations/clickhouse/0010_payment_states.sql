-- Each payment, and each quote that was denied, as its newest event left it. The gateway writes a snapshot after the
-- events of a batch are acknowledged; the one with the highest number replaces the others, so a repetition changes nothing.
-- The sorting key never changes for a payment: FINAL has to look at one partition at a time, and at no merged part twice.
CREATE TABLE IF NOT EXISTS payment_states
(
    chain_id     UInt64,
    workspace_id LowCardinality(String),
    quoted_at    DateTime64(3, 'UTC') COMMENT 'when the quote was asked for',
    ledger       LowCardinality(String),
    quote_id     String,
    number       UInt64 COMMENT 'of the newest event',
    payment_id   String COMMENT 'empty where the quote was denied',
    agent_id     LowCardinality(String),
    provider_id  LowCardinality(String) COMMENT 'whose payee it was at the newest event; empty for nobody''s of this gateway',
    invoice_id   String,
    resource     String COMMENT 'method and URL without its query',
    host         LowCardinality(String),
    pay_to       FixedString(20),
    treasury     FixedString(20) COMMENT 'who pays; 20 zero bytes before it is signed',
    amount       UInt256 COMMENT 'base units, 10^-18 MNEE',
    status       LowCardinality(String),
    code         LowCardinality(String) COMMENT 'why no money moves; empty while it may',
    reason       String COMMENT 'why the newest event happened, in words',
    last_event   LowCardinality(String) COMMENT 'its type',
    changed_at   DateTime64(3, 'UTC') COMMENT 'when it happened',
    tx_hash      FixedString(32) COMMENT '32 zero bytes before it is signed',
    block_number UInt64 COMMENT '0 while it is not settled',
    log_index    UInt32,
    gas_wei      UInt256 COMMENT 'what the transaction cost; 0 while that is not known',
    asked_at     Nullable(DateTime64(3, 'UTC')) COMMENT 'when the agent asked to pay',
    reserved_at  Nullable(DateTime64(3, 'UTC')) COMMENT 'the first time',
    signed_at    Nullable(DateTime64(3, 'UTC')),
    broadcast_at Nullable(DateTime64(3, 'UTC')) COMMENT 'the first time',
    included_at  Nullable(DateTime64(3, 'UTC')) COMMENT 'the last time',
    settled_at   Nullable(DateTime64(3, 'UTC')) COMMENT 'the last time',
    ended_at     Nullable(DateTime64(3, 'UTC')) COMMENT 'when its block was final, or when it was certain that no money moves',
    ended        UInt64 COMMENT 'the number of the event that ended it; the highest number there is while nothing has'
)
ENGINE = ReplacingMergeTree(number)
PARTITION BY toYYYYMM(quoted_at)
ORDER BY (chain_id, workspace_id, quoted_at, ledger, quote_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
