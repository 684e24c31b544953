-- With it a commit holds the whole header of the block that it ends at, and a batch of one block needs no row of `blocks`.
ALTER TABLE commits ADD COLUMN IF NOT EXISTS
    tip_parent FixedString(32) COMMENT 'the tip''s parent hash; 32 zero bytes where it is not known' AFTER tip_hash
