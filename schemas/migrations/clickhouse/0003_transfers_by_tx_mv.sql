-- Row by row, so that tombstones pass through it like any other row.
CREATE MATERIALIZED VIEW IF NOT EXISTS transfers_by_tx_mv TO transfers_by_tx AS
SELECT * FROM transfers
