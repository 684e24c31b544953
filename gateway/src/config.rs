//! What the gateway is told at start.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use alloy::primitives::Address;
use clap::Args;
use secrecy::SecretString;
use url::Url;
use x402_schemas::address;
use x402_service::clickhouse::ClickHouseConfig;

/// Settings of the gateway.
#[derive(Clone, Debug, Args)]
pub struct GatewayConfig {
    /// Where agents and owners reach the gateway.
    #[arg(long, env = "X402_GATEWAY_LISTEN", default_value = "127.0.0.1:4020")]
    pub listen: SocketAddr,

    /// The URL that agents, owners and proofs name the gateway by.
    #[arg(
        long,
        env = "X402_GATEWAY_PUBLIC_URL",
        default_value = "http://127.0.0.1:4020"
    )]
    pub public_url: Url,

    /// Folder of the ledger and of the encrypted master seed. Back both up together.
    #[arg(long, env = "X402_GATEWAY_DATA_DIR", default_value = ".x402/gateway")]
    pub data_dir: PathBuf,

    /// JSON-RPC endpoint of the chain; of several, separated by commas as the indexer takes them, the first over HTTP.
    #[arg(long, env = "X402_RPC_URL", default_value = "http://127.0.0.1:8545", value_parser = first_url)]
    pub rpc_url: Url,

    /// The index.
    #[command(flatten)]
    pub clickhouse: ClickHouseConfig,

    /// The token contract: MNEE.
    #[arg(long, env = "X402_TOKEN", default_value = "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF", value_parser = address::parse)]
    pub token: Address,

    /// Who has it may create workspaces. At least 16 characters.
    #[arg(long, env = "X402_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: SecretString,

    /// Shared by the services; verifiers follow the directory with it. At least 16 characters.
    #[arg(long, env = "X402_SERVICE_TOKEN", hide_env_values = true)]
    pub service_token: SecretString,

    /// Opens the encrypted master seed. At least 16 characters.
    #[arg(long, env = "X402_GATEWAY_PASSPHRASE", hide_env_values = true)]
    pub passphrase: SecretString,

    /// The verifier to hand `/verify` on to; without it the gateway has no such route.
    #[arg(long, env = "X402_VERIFIER_URL")]
    pub verifier_url: Option<Url>,

    /// How long a quote is good for, in seconds.
    #[arg(long, env = "X402_GATEWAY_QUOTE_TTL_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub quote_ttl_seconds: u32,

    /// How long an owner may take to approve a payment, in minutes.
    #[arg(long, env = "X402_GATEWAY_APPROVAL_TTL_MINUTES", default_value_t = 1_440, value_parser = clap::value_parser!(u32).range(1..=44_640))]
    pub approval_ttl_minutes: u32,

    /// How long a payment waits for a block before the gateway bids more for it, in seconds.
    #[arg(long, env = "X402_GATEWAY_STUCK_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub stuck_seconds: u32,

    /// The most that a payment may bid for one gas, in gwei.
    #[arg(long, env = "X402_GATEWAY_MAX_FEE_GWEI", default_value_t = 200)]
    pub max_fee_gwei: u64,

    /// Requests that one API key may make in a minute. An address that sends no valid key has as many.
    #[arg(long, env = "X402_GATEWAY_KEY_RATE_PER_MINUTE", default_value = "1000")]
    pub key_rate_per_minute: NonZeroU32,

    /// Requests that one API key, or an address without one, may have open at once, long ones included.
    #[arg(long, env = "X402_GATEWAY_KEY_CONCURRENCY", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub key_concurrency: u32,

    /// Connections that are open at once; more wait to be taken up.
    #[arg(long, env = "X402_GATEWAY_MAX_CONNECTIONS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// How often the index is asked for news when nothing wakes the gateway, in milliseconds.
    #[arg(long, env = "X402_GATEWAY_POLL_MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub poll_ms: u64,

    /// How often spend that cannot change any more is counted for good in ClickHouse, in seconds.
    #[arg(long, env = "X402_GATEWAY_CLOSE_SECONDS", default_value_t = 3_600, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub close_seconds: u32,
}

impl GatewayConfig {
    /// The name that proofs carry as their issuer.
    pub fn issuer(&self) -> String {
        self.public_url.as_str().trim_end_matches('/').to_owned()
    }
}

/// Sending must go where the nonce was read, so the gateway has one endpoint.
fn first_url(text: &str) -> Result<Url, String> {
    let first = text
        .split(',')
        .map(str::trim)
        .find(|url| url.starts_with("http://") || url.starts_with("https://"));
    let first = first.ok_or("none of the endpoints is http:// or https://")?;
    first.parse().map_err(|error| format!("not a URL: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_endpoints_the_gateway_takes_the_first_over_http() {
        let url = |text| first_url(text).map(String::from);
        assert_eq!(url("http://a/k,http://b/"), Ok("http://a/k".into()));
        assert_eq!(
            url("/run/node.ipc, ws://a,http://b/"),
            Ok("http://b/".into())
        );
        assert!(url("ws://a").is_err());
    }
}
