-- The gateway's ledger. Amounts are base units as 78 zero-padded digits, so that text order is number order;
-- sums are made in Rust, never here. Times are Unix milliseconds. Addresses and hashes are raw bytes.

-- What this ledger belongs to: network, token, a fingerprint of the master seed. Written once.
CREATE TABLE identity
(
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE workspaces
(
    number         INTEGER PRIMARY KEY, -- the spender's place in the derivation; never used again
    id             TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    monthly_budget TEXT    NOT NULL,
    treasury       BLOB, -- the attached one that pays now
    policy         TEXT, -- JSON; for all of its agents together, besides the budget
    paused_at      INTEGER,
    next_nonce     INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL
);

-- An address belongs to the workspace that attached it first, for ever.
CREATE TABLE treasuries
(
    address      BLOB PRIMARY KEY,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    attached_at  INTEGER NOT NULL
);

CREATE TABLE agents
(
    id           TEXT PRIMARY KEY,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    name         TEXT    NOT NULL,
    policy       TEXT, -- JSON; none allows nothing
    paused_at    INTEGER,
    created_at   INTEGER NOT NULL,
    revoked_at   INTEGER
);
CREATE INDEX agents_of_workspace ON agents (workspace_id, created_at);

CREATE TABLE providers
(
    id           TEXT PRIMARY KEY,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    name         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    revoked_at   INTEGER
);
CREATE INDEX providers_of_workspace ON providers (workspace_id, created_at);

-- An address belongs to one provider at a time, and to one workspace for ever.
CREATE TABLE payees
(
    provider_id  TEXT    NOT NULL REFERENCES providers (id),
    address      BLOB    NOT NULL,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    active       INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (provider_id, address)
);
CREATE UNIQUE INDEX payees_active ON payees (address) WHERE active = 1;
CREATE INDEX payees_by_address ON payees (address);

-- Keyed hashes; a key itself is never stored.
CREATE TABLE api_keys
(
    key_id       TEXT PRIMARY KEY,
    hash         BLOB    NOT NULL,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    agent_id     TEXT REFERENCES agents (id),
    provider_id  TEXT REFERENCES providers (id),
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    CHECK (agent_id IS NULL OR provider_id IS NULL)
);
CREATE INDEX api_keys_of_agent ON api_keys (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX api_keys_of_provider ON api_keys (provider_id) WHERE provider_id IS NOT NULL;
