-- What workspaces can pay with, as the chain had it at one block: a row when something has changed, and once an hour.
CREATE TABLE IF NOT EXISTS treasury_states
(
    chain_id        UInt64,
    workspace_id    LowCardinality(String),
    at              DateTime64(3, 'UTC') COMMENT 'when the gateway looked',
    ledger          LowCardinality(String),
    treasury        FixedString(20),
    spender         FixedString(20),
    block_number    UInt64,
    block_hash      FixedString(32),
    block_time      DateTime('UTC'),
    balance         UInt256 COMMENT 'of the treasury, base units',
    allowance       UInt256 COMMENT 'that the treasury leaves the spender, base units',
    spender_gas_wei UInt256 COMMENT 'what the spender has for gas'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (chain_id, workspace_id, at)
TTL toDateTime(at) + INTERVAL 13 MONTH
