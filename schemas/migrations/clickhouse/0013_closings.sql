-- How far the outcomes of a ledger's payments are closed: counted for good, because nothing can change any more. One row
-- vouches for what one closing has written, and is written last: rows of a closing that has none here are not there.
-- Of two rows with one number the first counts, as with commits.
CREATE TABLE IF NOT EXISTS closings
(
    chain_id   UInt64,
    ledger     LowCardinality(String),
    seq        UInt64 COMMENT '0 is where a ledger begins',
    closing    UInt64 COMMENT 'names the rows that it vouches for; another one for each try',
    up_to      UInt64 COMMENT 'the event up to which what has ended is closed',
    open_since DateTime64(3, 'UTC') COMMENT 'all others were quoted then or later',
    open_from  UInt64 COMMENT 'their transfers are in this block or later ones',
    closed_at  DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (chain_id, ledger, seq)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1
