-- Proof keys by their number in the derivation; the newest signs.
CREATE TABLE proof_keys
(
    number          INTEGER PRIMARY KEY,
    kid             TEXT    NOT NULL UNIQUE,
    jwk             TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    published_until INTEGER -- when the last proof it signed has expired; none while it signs
);

-- One row: grows with every change of what verifiers follow.
CREATE TABLE directory
(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL
);
INSERT INTO directory (one, seq) VALUES (1, 0);

-- Verifiers that may act on an older directory, so that a revocation waits for them after a restart too.
CREATE TABLE verifiers
(
    name       TEXT PRIMARY KEY,
    first_seen INTEGER NOT NULL
);
