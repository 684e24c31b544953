-- The indexer writes both tables itself, side by side: through the view the second insert waited for the first.
DROP VIEW IF EXISTS transfers_by_tx_mv
