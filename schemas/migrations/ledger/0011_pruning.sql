-- Up to when sums of hours have been removed; those from then on are there, and equal the payments.
CREATE TABLE pruned
(
    span   TEXT PRIMARY KEY CHECK (span = 'hour'),
    before TEXT NOT NULL -- a period: 2026-11-22T13
);
CREATE INDEX held_hours ON held (period) WHERE span = 'hour';

-- What is removed is found without walking over what stays.
DROP INDEX quotes_by_expiry;
CREATE INDEX quotes_allowed_by_expiry ON quotes (expires_at) WHERE denial IS NULL;
CREATE INDEX quotes_denied_by_expiry ON quotes (expires_at) WHERE denial IS NOT NULL;
