-- Each ledger begins with a closing of nothing, so that the lowest of all ledgers' closings says what can be passed over.
INSERT INTO closings
SELECT DISTINCT chain_id, ledger, 0, 0, 0, 0, now64(3)
FROM payment_states
WHERE (chain_id, ledger) NOT IN (SELECT chain_id, ledger FROM closings)
