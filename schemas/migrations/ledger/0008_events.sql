-- The outbox: what has happened, written in the change of the ledger that makes it so, for those who are told of it.
-- Each is a snapshot, so that telling it twice says the same. Added and never changed; goes when all have been told
-- and it is old.
CREATE TABLE events
(
    number       INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice, though old rows go
    kind         TEXT    NOT NULL,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    payment_id   TEXT REFERENCES payments (id),          -- none of a quote that was denied
    step         INTEGER UNIQUE REFERENCES payment_steps (number), -- the step that it tells of, if it is one
    provider_id  TEXT REFERENCES providers (id),         -- whose payee it was then; for the operator, not for tenants
    body         TEXT    NOT NULL,                       -- JSON
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_workspace ON events (workspace_id, number);
CREATE INDEX events_of_payment ON events (payment_id, number) WHERE payment_id IS NOT NULL;

-- How far each consumer has been told.
CREATE TABLE event_cursors
(
    consumer TEXT PRIMARY KEY,
    told     INTEGER NOT NULL DEFAULT 0, -- every event up to this one
    telling  INTEGER                     -- the last one of the batch that is being sent, if there is one
) STRICT;
INSERT INTO event_cursors (consumer) VALUES ('clickhouse'), ('webhooks');

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE (ABORT, 'events are only added to'); END;
CREATE TRIGGER events_stay_until_told BEFORE DELETE ON events
WHEN OLD.number > (SELECT min(told) FROM event_cursors)
BEGIN SELECT RAISE (ABORT, 'an event goes when every consumer has been told of it'); END;

-- Tells the events of this ledger from those of any other in the same ClickHouse.
INSERT INTO identity (name, value) VALUES ('ledger', 'led_' || lower(hex(randomblob(12))));
