-- Headers of the unfinalized window, so that a fork while the indexer was down is found at start: those that no commit ends at.
CREATE TABLE IF NOT EXISTS blocks
(
    chain_id    UInt64,
    number      UInt64,
    hash        FixedString(32),
    parent_hash FixedString(32),
    time        DateTime('UTC'),
    version     UInt64,
    is_deleted  UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (chain_id, number, hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
