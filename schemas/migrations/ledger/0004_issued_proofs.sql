-- Digests of issued proofs, which verifiers follow. Kept a little longer than the proofs live.
CREATE TABLE issued_proofs
(
    number    INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice, though old rows go
    digest    BLOB    NOT NULL CHECK (length(digest) = 32),
    issued_at INTEGER NOT NULL
) STRICT;

-- How settled a payment to this provider must be before it verifies.
ALTER TABLE providers ADD COLUMN min_confirmations INTEGER NOT NULL DEFAULT 1;
ALTER TABLE providers ADD COLUMN finalized INTEGER NOT NULL DEFAULT 0;
