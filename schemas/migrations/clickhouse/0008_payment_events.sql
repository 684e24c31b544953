-- What happens to payments, and quotes that were denied: one row for each event of a gateway's outbox, never changed.
-- A batch whose acknowledgement was lost is sent again with the same token and dropped by the window; should the window
-- have forgotten it, the rows replace themselves. No materialized view belongs behind this table: one that fails
-- leaves the rows in and reports an error, and a replay would feed it twice.
CREATE TABLE IF NOT EXISTS payment_events
(
    chain_id     UInt64,
    workspace_id LowCardinality(String),
    at           DateTime64(3, 'UTC'),
    ledger       LowCardinality(String) COMMENT 'whose outbox: a gateway has one, made with its data folder',
    number       UInt64 COMMENT 'the event''s number in that outbox',
    type         LowCardinality(String) COMMENT 'quote.denied, payment.reserved, payment.settled, …',
    agent_id     LowCardinality(String),
    provider_id  LowCardinality(String) COMMENT 'whose payee it was at that moment; empty for nobody''s of this gateway',
    payment_id   String COMMENT 'empty where a quote was denied',
    quote_id     String,
    invoice_id   String,
    resource     String COMMENT 'method and URL without its query',
    host         LowCardinality(String) COMMENT 'of the resource',
    pay_to       FixedString(20),
    amount       UInt256 COMMENT 'base units, 10^-18 MNEE',
    status       LowCardinality(String) COMMENT 'of the payment after the event; denied for a quote',
    code         LowCardinality(String) COMMENT 'why no money moves; empty while it may',
    reason       String COMMENT 'why the event happened, in words',
    tx_hash      FixedString(32) COMMENT '32 zero bytes before it is signed',
    block_number UInt64 COMMENT '0 while it is not settled',
    log_index    UInt32 COMMENT 'of the transfer in that block',
    gas_wei      UInt256 COMMENT 'what the transaction cost; 0 while that is not known'
)
ENGINE = ReplacingMergeTree
ORDER BY (chain_id, workspace_id, at, ledger, number)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
