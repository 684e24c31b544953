-- Each ledger begins with a closing of nothing, so that the least of all ledgers says what can be passed over.
INSERT INTO day_closings
SELECT DISTINCT chain_id, ledger, 0, 0, 0, now64(3, 'UTC')
FROM payment_states
WHERE (chain_id, ledger) NOT IN (SELECT chain_id, ledger FROM day_closings)
