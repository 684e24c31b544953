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
CREATE INDEX quotes_denied ON quotes (workspace_id, created_at) WHERE denial IS NOT NULL;

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
    status         TEXT    NOT NULL CHECK (status IN ('quoted', 'awaiting_approval', 'reserved', 'signed', 'broadcast',
                                                      'included', 'settled', 'denied', 'expired', 'failed', 'reverted')),
    failure        TEXT,             -- a code, once it is void
    failure_detail TEXT,
    reserved_at    INTEGER,          -- since when it counts against limits
    approval_until INTEGER,          -- set if an owner has to approve it
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
-- At most one payment of an invoice that moves money or may still move it. A void one stands aside: it was never
-- signed, or its transaction is final and reverted. So does a quoted one, which moves on before it is committed.
CREATE UNIQUE INDEX payments_of_invoice ON payments (workspace_id, invoice_id, pay_to)
    WHERE status NOT IN ('quoted', 'denied', 'expired', 'failed', 'reverted');
CREATE UNIQUE INDEX payments_nonce ON payments (workspace_id, nonce) WHERE nonce IS NOT NULL;
CREATE INDEX payments_in_flight ON payments (status, updated_at)
    WHERE status IN ('reserved', 'signed', 'broadcast', 'included');
CREATE INDEX payments_unfinal ON payments (id) WHERE status = 'settled' AND final = 0;
CREATE INDEX payments_awaiting ON payments (workspace_id, approval_until) WHERE status = 'awaiting_approval';
CREATE INDEX payments_of_workspace ON payments (workspace_id, created_at, id);
-- What limits ask for: sums, counts and same purchases, of an agent or a workspace.
CREATE INDEX payments_of_agent_in_time ON payments (agent_id, reserved_at);
CREATE INDEX payments_of_workspace_in_time ON payments (workspace_id, reserved_at);
CREATE INDEX payments_of_agent_by_purchase ON payments (agent_id, pay_to, amount, reserved_at);
CREATE INDEX payments_of_workspace_by_purchase ON payments (workspace_id, pay_to, amount, reserved_at);

-- The history: every step of every payment, added and never changed.
CREATE TABLE payment_steps
(
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    payment_id TEXT    NOT NULL REFERENCES payments (id),
    status     TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL
);
CREATE INDEX payment_steps_of_payment ON payment_steps (payment_id, number);

-- Double entry: a step that moves a payment's money debits one account and credits another, of its workspace, agent
-- and payee alike. Added and never changed.
CREATE TABLE postings
(
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    step    INTEGER NOT NULL REFERENCES payment_steps (number),
    account TEXT    NOT NULL CHECK (account IN ('available', 'reserved', 'spent')),
    side    TEXT    NOT NULL CHECK (side IN ('debit', 'credit')),
    amount  TEXT    NOT NULL,
    UNIQUE (step, side)
);

CREATE TRIGGER payment_steps_are_not_changed BEFORE UPDATE ON payment_steps
BEGIN SELECT RAISE (ABORT, 'the history of payments is only added to'); END;
CREATE TRIGGER payment_steps_are_not_removed BEFORE DELETE ON payment_steps
BEGIN SELECT RAISE (ABORT, 'the history of payments is only added to'); END;
CREATE TRIGGER postings_are_not_changed BEFORE UPDATE ON postings
BEGIN SELECT RAISE (ABORT, 'postings are only added to'); END;
CREATE TRIGGER postings_are_not_removed BEFORE DELETE ON postings
BEGIN SELECT RAISE (ABORT, 'postings are only added to'); END;

-- Reserved and spent together, of agents and workspaces, in the UTC hour, day and month of the reservation and for
-- ever. Written in the transaction that reserves or releases, so it always equals the payments.
CREATE TABLE held
(
    holder TEXT NOT NULL, -- an agent's or a workspace's id
    span   TEXT NOT NULL CHECK (span IN ('hour', 'day', 'month', 'ever')),
    period TEXT NOT NULL, -- 2026-11-22T13, 2026-11-22, 2026-11 or nothing
    amount TEXT NOT NULL,
    PRIMARY KEY (holder, span, period)
);
