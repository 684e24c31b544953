-- Who has used up which transfer. The primary key is the rule: one transfer, one claim, for ever.
CREATE TABLE claims
(
    chain_id    INTEGER NOT NULL,
    tx_hash     BLOB    NOT NULL CHECK (length(tx_hash) = 32),
    log_index   INTEGER NOT NULL,
    provider_id TEXT    NOT NULL,
    invoice_id  TEXT    NOT NULL,
    attempt     TEXT,             -- the served request that it was claimed for, if the provider named it
    claimed_at  INTEGER NOT NULL, -- Unix milliseconds
    PRIMARY KEY (chain_id, tx_hash, log_index)
) STRICT, WITHOUT ROWID;
