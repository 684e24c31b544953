-- Answers to POST /quote, denials included.
CREATE TABLE quotes
(
    id           TEXT PRIMARY KEY,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    agent_id     TEXT    NOT NULL REFERENCES agents (id),
    invoice_id   TEXT    NOT NULL,
    pay_to       BLOB    NOT NULL,
    amount       TEXT    NOT NULL,
    network      TEXT    NOT NULL,
    resource     TEXT    NOT NULL,
    description  TEXT,
    denial       TEXT,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
);
CREATE INDEX quotes_by_expiry ON quotes (expires_at);

CREATE TABLE payments
(
    id             TEXT PRIMARY KEY,
    workspace_id   TEXT    NOT NULL REFERENCES workspaces (id),
    agent_id       TEXT    NOT NULL REFERENCES agents (id),
    quote_id       TEXT    NOT NULL UNIQUE REFERENCES quotes (id),
    invoice_id     TEXT    NOT NULL,
    pay_to         BLOB    NOT NULL,
    amount         TEXT    NOT NULL,
    resource       TEXT    NOT NULL,
    memo           BLOB    NOT NULL, -- the invoice's EIP-712 hash
    status         TEXT    NOT NULL CHECK (status IN ('reserved', 'signed', 'broadcast', 'settled', 'failed')),
    failure        TEXT,
    failure_detail TEXT,
    payer          BLOB REFERENCES treasuries (address),
    nonce          INTEGER,
    raw_tx         BLOB,
    tx_hash        BLOB UNIQUE,
    gas_wei        TEXT,             -- the most that the transaction may cost
    block_number   INTEGER,
    block_hash     BLOB,
    log_index      INTEGER,
    final          INTEGER NOT NULL DEFAULT 0,
    proof          TEXT,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
);
-- At most one payment of an invoice that moves money or may still move it. A failed one stands aside:
-- it was never signed, or its transaction is final and reverted.
CREATE UNIQUE INDEX payments_of_invoice ON payments (workspace_id, invoice_id, pay_to) WHERE status <> 'failed';
CREATE UNIQUE INDEX payments_nonce ON payments (workspace_id, nonce) WHERE nonce IS NOT NULL;
CREATE INDEX payments_in_flight ON payments (status, updated_at) WHERE status IN ('reserved', 'signed', 'broadcast');
CREATE INDEX payments_unfinal ON payments (id) WHERE status = 'settled' AND final = 0;
CREATE INDEX payments_of_workspace ON payments (workspace_id, created_at, id);

-- Reserved and spent together, for each limit that is kept: an agent's UTC day and month, a workspace's
-- UTC month. Written in the transaction that reserves or releases, so it always equals the payments.
CREATE TABLE held
(
    holder TEXT NOT NULL, -- an agent's or a workspace's id
    period TEXT NOT NULL, -- 2026-11-22 or 2026-11, of the payment's creation
    amount TEXT NOT NULL,
    PRIMARY KEY (holder, period)
);
