-- Who spends and who is paid, with the newest names and limits.
CREATE VIEW IF NOT EXISTS accounts AS
SELECT ledger, kind, id, workspace_id, name, daily_limit, monthly_limit, total_limit, payment_limit, is_active, at AS changed_at
FROM account_states FINAL
