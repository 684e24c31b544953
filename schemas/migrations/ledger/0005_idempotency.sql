-- What was asked with an Idempotency-Key, and what was answered. Kept for a day.
CREATE TABLE idempotency_keys
(
    caller     TEXT    NOT NULL, -- an agent's or a workspace's id, or the operator
    key        TEXT    NOT NULL,
    request    BLOB    NOT NULL CHECK (length(request) = 32), -- SHA-256 of the route and the body
    answer     BLOB,             -- encrypted; none where asking again is answered anew
    created_at INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
