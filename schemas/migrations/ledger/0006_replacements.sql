-- Transactions that were replaced by one with the same nonce and higher fees. A payment's row has the newest, or the
-- one that settled; any of them may still turn out to be that one.
CREATE TABLE replaced_transactions
(
    tx_hash     BLOB PRIMARY KEY,
    payment_id  TEXT    NOT NULL REFERENCES payments (id),
    raw_tx      BLOB    NOT NULL,
    replaced_at INTEGER NOT NULL
);
CREATE INDEX replaced_transactions_of_payment ON replaced_transactions (payment_id, replaced_at);

-- What the transaction that ended the payment cost in gas.
ALTER TABLE payments ADD COLUMN gas_paid_wei TEXT;
CREATE INDEX payments_unpriced ON payments (updated_at) WHERE gas_paid_wei IS NULL AND status IN ('settled', 'reverted');
