-- One row publishes one batch, and is written last: rows whose version is past max(seq) are not there yet.
CREATE TABLE IF NOT EXISTS commits
(
    chain_id   UInt64,
    seq        UInt64,
    from_block UInt64 COMMENT 'first block whose rows this batch changed',
    to_block   UInt64 COMMENT 'last block whose rows this batch changed',
    tip_number UInt64 COMMENT 'the index ends here after this batch',
    tip_hash   FixedString(32),
    tip_time   DateTime('UTC'),
    finalized  UInt64 COMMENT 'the chain''s finalized block as the batch was written',
    rows       UInt64 COMMENT 'transfers added',
    retracted  UInt64 COMMENT 'transfers removed by a reorg',
    written_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (chain_id, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
