//! What an operator can set. Every field is a flag and an environment variable.

use alloy::primitives::{Address, address};
use clickhouse::Client;
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use x402_schemas::network::Network;

/// MNEE on Ethereum; the local chain places its token there too.
pub const MNEE: Address = address!("0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF");

/// Nothing of MNEE happened on Ethereum before this block.
pub const MNEE_FIRST_BLOCK: u64 = 19_482_225;

/// Settings of the indexer. The network is what the node says it is.
#[derive(Clone, clap::Args)]
pub struct IndexerConfig {
    /// JSON-RPC endpoint of the chain (HTTP); often carries a key, so it is never logged
    #[arg(long, env = "X402_RPC_URL", hide_env_values = true)]
    pub rpc_url: Url,
    /// HTTP endpoint of ClickHouse
    #[arg(
        long,
        env = "X402_CLICKHOUSE_URL",
        default_value = "http://127.0.0.1:8123"
    )]
    pub clickhouse_url: Url,
    /// Database of the index; created if it is missing
    #[arg(long, env = "X402_CLICKHOUSE_DATABASE", default_value = "x402")]
    pub clickhouse_database: String,
    /// ClickHouse user, if it asks for one
    #[arg(long, env = "X402_CLICKHOUSE_USER")]
    pub clickhouse_user: Option<String>,
    /// That user's password
    #[arg(long, env = "X402_CLICKHOUSE_PASSWORD", hide_env_values = true)]
    pub clickhouse_password: Option<SecretString>,
    /// Token contract whose transfers are indexed
    #[arg(long, env = "X402_TOKEN", default_value_t = MNEE, value_parser = x402_schemas::address::parse)]
    pub token: Address,
    /// First block to read; by default MNEE's first on mainnet and 0 elsewhere. Counts on an empty index only
    #[arg(long, env = "X402_FROM_BLOCK")]
    pub from_block: Option<u64>,
    /// Milliseconds between two looks at the chain's head
    #[arg(long, env = "X402_POLL_MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub poll_ms: u64,
    /// Most blocks that one request for logs covers; halved when the node refuses
    #[arg(long, env = "X402_MAX_RANGE", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub max_range: u64,
}

impl IndexerConfig {
    /// The first block to read on `network`.
    pub fn first_block(&self, network: Network) -> u64 {
        self.from_block.unwrap_or(if network == Network::MAINNET {
            MNEE_FIRST_BLOCK
        } else {
            0
        })
    }

    /// A client of the index's database.
    pub fn clickhouse(&self) -> Client {
        let client = Client::default()
            .with_url(self.clickhouse_url.as_str())
            .with_database(&self.clickhouse_database)
            // A batch is one insert and is on disk when it is acknowledged: nothing waits to be flushed together.
            .with_setting("async_insert", "0");
        let client = match &self.clickhouse_user {
            Some(user) => client.with_user(user),
            None => client,
        };
        match &self.clickhouse_password {
            Some(password) => client.with_password(password.expose_secret()),
            None => client,
        }
    }
}

impl std::fmt::Debug for IndexerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexerConfig")
            .field("rpc_host", &self.rpc_url.host_str())
            .field("clickhouse_host", &self.clickhouse_url.host_str())
            .field("clickhouse_database", &self.clickhouse_database)
            .field("token", &self.token)
            .field("from_block", &self.from_block)
            .field("poll_ms", &self.poll_ms)
            .field("max_range", &self.max_range)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        indexer: IndexerConfig,
    }

    fn parse(flags: &[&str]) -> Result<IndexerConfig, clap::Error> {
        let words = ["x402", "--rpc-url", "http://user:secret@node.test/key-123"]
            .iter()
            .chain(flags);
        Command::try_parse_from(words).map(|command| command.indexer)
    }

    #[test]
    fn mnee_is_read_from_its_first_block_on_mainnet_and_from_the_start_elsewhere() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.token, MNEE);
        assert_eq!(config.first_block(Network::MAINNET), MNEE_FIRST_BLOCK);
        assert_eq!(config.first_block(Network::DEVNET), 0);
        assert_eq!(
            parse(&["--from-block", "7"])
                .unwrap()
                .first_block(Network::MAINNET),
            7
        );
    }

    #[test]
    fn a_token_with_a_wrong_checksum_is_refused() {
        let typo = MNEE.to_string().replace("dbAe", "dbae");
        assert!(parse(&["--token", &typo]).is_err());
    }

    #[test]
    fn keys_in_urls_and_passwords_are_not_shown() {
        let shown = format!(
            "{:?}",
            parse(&["--clickhouse-password", "hunter2"]).unwrap()
        );
        for secret in ["secret", "key-123", "hunter2"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
