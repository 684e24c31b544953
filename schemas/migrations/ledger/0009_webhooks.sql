-- Where workspaces want to be told of events. A secret is encrypted under a key derived from the master seed.
CREATE TABLE webhooks
(
    id            TEXT PRIMARY KEY,
    workspace_id  TEXT    NOT NULL REFERENCES workspaces (id),
    url           TEXT    NOT NULL,
    kinds         TEXT    NOT NULL, -- JSON list of types of events; empty for all
    secret        BLOB    NOT NULL,
    former_secret BLOB,             -- the one before the last rotation, which signs too for a while
    former_until  INTEGER,
    after_event   INTEGER NOT NULL, -- it is told of later events only
    created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_of_workspace ON webhooks (workspace_id, created_at);

-- One event on its way to one webhook. Goes with either.
CREATE TABLE webhook_deliveries
(
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id  TEXT    NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event       INTEGER NOT NULL REFERENCES events (number) ON DELETE CASCADE,
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER,             -- none once it has arrived or failed
    outcome     TEXT CHECK (outcome IN ('delivered', 'failed')),
    last_status INTEGER,             -- HTTP status of the last answer, if there was one
    last_error  TEXT,                -- why the last attempt did not arrive
    last_at     INTEGER,
    created_at  INTEGER NOT NULL,
    UNIQUE (event, webhook_id),
    CHECK ((next_at IS NULL) = (outcome IS NOT NULL))
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (webhook_id, number);
