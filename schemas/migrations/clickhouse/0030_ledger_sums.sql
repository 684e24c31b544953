-- What a ledger's accounts sum to as of one of its events; the newest row of each workspace. Written once all events up
-- to that one are here, so that it can be compared with them.
CREATE TABLE IF NOT EXISTS ledger_sums
(
    chain_id      UInt64,
    ledger        LowCardinality(String),
    workspace_id  LowCardinality(String),
    number        UInt64 COMMENT 'the event',
    settled_to    UInt64 COMMENT 'every transfer up to this block of the index was settled by then',
    reserved      UInt256 COMMENT 'base units',
    spent         UInt256 COMMENT 'base units',
    at            DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(number)
ORDER BY (chain_id, ledger, workspace_id)
