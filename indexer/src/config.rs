//! What an operator can set. Every field is a flag and an environment variable.

use alloy::primitives::{Address, address};
use url::Url;
use x402_schemas::network::Network;
use x402_service::clickhouse::ClickHouseConfig;

/// MNEE on Ethereum; the local chain places its token there too.
pub const MNEE: Address = address!("0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF");

/// Nothing of MNEE happened on Ethereum before this block.
pub const MNEE_FIRST_BLOCK: u64 = 19_482_225;

/// Settings of the indexer. The network is what the node says it is.
#[derive(Clone, clap::Args)]
pub struct IndexerConfig {
    /// JSON-RPC endpoint of the chain: http(s)://, ws(s):// or the path of a node's socket file. Several, comma-separated
    /// or the flag again, in order of preference: each takes over for the ones before it. An endpoint often carries a
    /// key, so it is never logged
    #[arg(long, env = "X402_RPC_URL", hide_env_values = true, required = true, value_delimiter = ',', num_args = 1, value_parser = endpoint_url)]
    pub rpc_url: Vec<Url>,
    /// WebSocket endpoint whose new heads end the wait between two looks at the chain; nothing else is read from it. By
    /// default the first WebSocket among the endpoints, if there is one
    #[arg(long, env = "X402_WS_URL", hide_env_values = true, value_parser = ws_url)]
    pub ws_url: Option<Url>,
    /// Most requests per second to each endpoint; by default as many as it answers
    #[arg(long, env = "X402_RPC_RATE", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rpc_rate: Option<u32>,
    /// Milliseconds that an endpoint may take for a whole reply
    #[arg(long, env = "X402_RPC_TIMEOUT_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(50..=600_000))]
    pub rpc_timeout_ms: u64,
    /// Longest reply that is read, in bytes; a range of logs that makes a longer one is read in parts
    #[arg(long, env = "X402_RPC_MAX_REPLY_BYTES", default_value_t = 33_554_432, value_parser = clap::value_parser!(u64).range(65_536..=1_073_741_824))]
    pub rpc_max_reply_bytes: u64,
    #[command(flatten)]
    /// Where the index is kept; its user may create the database and write
    pub clickhouse: ClickHouseConfig,
    /// Token contract whose transfers are indexed; one for each database. Its decimals must be 18
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
    /// Most ranges of blocks that a backfill reads side by side; halved while an endpoint has too much to do
    #[arg(long, env = "X402_FETCH_CONCURRENCY", default_value_t = 3, value_parser = fetch_concurrency)]
    pub fetch_concurrency: usize,
    /// Check the token's logs of every block against the block's receipts, and those against its header; a node that
    /// invents, hides or alters a log is named and not believed. Two or three requests more for each block with logs
    #[arg(long, env = "X402_VERIFY_RECEIPTS", action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value_t = false)]
    pub verify_receipts: bool,
}

impl IndexerConfig {
    /// Where new heads are told, if anywhere.
    pub fn new_heads_url(&self) -> Option<&Url> {
        let tells = |url: &&Url| matches!(url.scheme(), "ws" | "wss");
        self.ws_url
            .as_ref()
            .or_else(|| self.rpc_url.iter().find(tells))
    }

    /// The first block to read on `network`.
    pub fn first_block(&self, network: Network) -> u64 {
        self.from_block.unwrap_or(if network == Network::MAINNET {
            MNEE_FIRST_BLOCK
        } else {
            0
        })
    }
}

/// Most ranges read side by side: each is held in memory as a whole.
const MAX_FETCH_CONCURRENCY: usize = 64;

fn fetch_concurrency(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(ranges) if (1..=MAX_FETCH_CONCURRENCY).contains(&ranges) => Ok(ranges),
        _ => Err(format!("not a number from 1 to {MAX_FETCH_CONCURRENCY}")),
    }
}

/// An endpoint as it is set: a URL, or the absolute path of a socket file, which becomes a `file:` URL.
pub fn endpoint_url(text: &str) -> Result<Url, String> {
    if text.trim().starts_with('/') {
        return Url::from_file_path(text.trim()).map_err(|()| "not a path".to_owned());
    }
    url_with(text, &["http", "https", "ws", "wss", "file"])
}

fn ws_url(text: &str) -> Result<Url, String> {
    url_with(text, &["ws", "wss"])
}

fn url_with(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let url: Url = text
        .trim()
        .parse()
        .map_err(|error| format!("not a URL: {error}"))?;
    if schemes.contains(&url.scheme()) {
        return Ok(url);
    }
    Err(format!("not a URL of {}", schemes.join("://, ") + "://"))
}

impl std::fmt::Debug for IndexerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<_> = self.rpc_url.iter().map(Url::host_str).collect();
        f.debug_struct("IndexerConfig")
            .field("rpc_hosts", &hosts)
            .field("ws_host", &self.ws_url.as_ref().and_then(Url::host_str))
            .field("rpc_rate", &self.rpc_rate)
            .field("rpc_timeout_ms", &self.rpc_timeout_ms)
            .field("rpc_max_reply_bytes", &self.rpc_max_reply_bytes)
            .field("clickhouse", &self.clickhouse)
            .field("token", &self.token)
            .field("from_block", &self.from_block)
            .field("poll_ms", &self.poll_ms)
            .field("max_range", &self.max_range)
            .field("fetch_concurrency", &self.fetch_concurrency)
            .field("verify_receipts", &self.verify_receipts)
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
    fn endpoints_come_comma_separated_or_one_by_one_in_order_of_preference() {
        let words = [
            "x402",
            "--rpc-url",
            "http://a.test/k1, https://b.test",
            "--rpc-url",
            "http://c.test",
        ];
        let config = Command::try_parse_from(words).unwrap().indexer;
        let hosts: Vec<_> = config.rpc_url.iter().filter_map(Url::host_str).collect();
        assert_eq!(hosts, ["a.test", "b.test", "c.test"]);
    }

    #[test]
    fn a_default_from_the_settings_file_may_name_several_endpoints() {
        let command = <Command as clap::CommandFactory>::command().mut_arg("rpc_url", |flag| {
            flag.default_value("http://a.test,http://b.test")
                .required(false)
        });
        let matches = command.try_get_matches_from(["x402"]).unwrap();
        let config = <Command as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
        assert_eq!(config.indexer.rpc_url.len(), 2);
    }

    #[test]
    fn an_endpoint_may_be_a_web_socket_or_a_socket_file() {
        let config = parse(&["--rpc-url", "ws://b.test,/run/node.ipc"]).unwrap();
        let schemes: Vec<_> = config.rpc_url.iter().map(Url::scheme).collect();
        assert_eq!(schemes, ["http", "ws", "file"]);
        assert_eq!(config.new_heads_url(), Some(&config.rpc_url[1]));
        let other = parse(&["--rpc-url", "ws://b.test", "--ws-url", "ws://c.test"]).unwrap();
        assert_eq!(other.new_heads_url(), other.ws_url.as_ref());
    }

    #[test]
    fn an_endpoint_of_another_scheme_is_refused() {
        let told = |flags: &[&str]| parse(flags).unwrap_err().to_string();
        assert!(told(&["--rpc-url", "ftp://node.test"]).contains("http://"));
        assert!(told(&["--rpc-url", "node.ipc"]).contains("not a URL"));
        assert!(told(&["--ws-url", "http://node.test"]).contains("ws://"));
    }

    #[test]
    fn a_token_with_a_wrong_checksum_is_refused() {
        let typo = MNEE.to_string().replace("dbAe", "dbae");
        assert!(parse(&["--token", &typo]).is_err());
    }

    #[test]
    fn receipts_are_verified_when_asked_for_with_or_without_a_value() {
        let verifies = |flags: &[&str]| parse(flags).unwrap().verify_receipts;
        assert!(!verifies(&[]));
        assert!(verifies(&["--verify-receipts"]));
        assert!(verifies(&["--verify-receipts", "true"]));
        assert!(!verifies(&["--verify-receipts", "false"]));
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
