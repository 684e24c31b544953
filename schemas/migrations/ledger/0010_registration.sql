-- Hosts that providers sell from. What one provider has, no other has at the same time.
CREATE TABLE hosts
(
    provider_id TEXT    NOT NULL REFERENCES providers (id),
    host        TEXT    NOT NULL, -- without the * of a pattern
    below       INTEGER NOT NULL, -- every host below it, and not itself
    port        INTEGER,          -- none: any
    active      INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX hosts_active ON hosts (host) WHERE active = 1;
CREATE INDEX hosts_of_provider ON hosts (provider_id);

-- With what the invoices of a provider's API key are checked.
CREATE TABLE signing_keys
(
    key_id     TEXT PRIMARY KEY REFERENCES api_keys (key_id),
    public_key BLOB NOT NULL CHECK (length(public_key) = 32)
);

-- The provider whose signature over the invoice was right when it was quoted.
ALTER TABLE quotes ADD COLUMN signed_by TEXT REFERENCES providers (id);
