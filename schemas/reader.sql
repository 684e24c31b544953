-- The same user as reader.xml, for a ClickHouse whose users are made by statements, as in ClickHouse Cloud.
CREATE SETTINGS PROFILE x402_reader SETTINGS readonly = 1, max_execution_time = 30 MAX 60 CHANGEABLE_IN_READONLY,
    max_result_rows = 1000000, max_memory_usage = 4000000000, max_threads = 2;
CREATE QUOTA x402_reader FOR INTERVAL 1 hour MAX queries = 20000, execution_time = 3600;
CREATE USER x402_reader IDENTIFIED WITH sha256_password BY 'the password' SETTINGS PROFILE x402_reader;
ALTER QUOTA x402_reader TO x402_reader;
GRANT SELECT ON x402.* TO x402_reader;
