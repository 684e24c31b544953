//! What the verifier is told at start.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use alloy_primitives::Address;
use clap::Args;
use secrecy::SecretString;
use url::Url;
use x402_schemas::network::Network;
use x402_service::clickhouse::ClickHouseConfig;

/// Settings of the verifier.
#[derive(Args, Clone, Debug)]
pub struct VerifierConfig {
    /// Address that providers reach the verifier at; port 0 takes a free one.
    #[arg(long, env = "X402_VERIFIER_LISTEN", default_value = "127.0.0.1:4030")]
    pub listen: SocketAddr,

    /// Folder of the claims. Losing it lets proofs be used twice.
    #[arg(long, env = "X402_VERIFIER_DATA_DIR", default_value = ".x402/verifier")]
    pub data_dir: PathBuf,

    /// The gateway whose proofs are verified and whose providers may ask.
    #[arg(
        long,
        env = "X402_GATEWAY_URL",
        default_value = "http://127.0.0.1:4020"
    )]
    pub gateway_url: Url,

    /// The token that the services share, for following the gateway's directory.
    #[arg(long, env = "X402_SERVICE_TOKEN", hide_env_values = true)]
    pub service_token: SecretString,

    /// The index.
    #[command(flatten)]
    pub clickhouse: ClickHouseConfig,

    /// Network of the payments: mainnet, sepolia, devnet or a CAIP-2 id.
    #[arg(long, env = "X402_NETWORK", default_value = "mainnet")]
    pub network: Network,

    /// The token contract: MNEE.
    #[arg(
        long,
        env = "X402_TOKEN",
        default_value = "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF",
        value_parser = x402_schemas::address::parse
    )]
    pub token: Address,

    /// Transfers kept in memory; about 400 bytes each.
    #[arg(long, env = "X402_VERIFIER_CACHE_ENTRIES", default_value_t = 200_000)]
    pub cache_entries: u64,

    /// Proofs that are repeated, or whose signatures were checked, kept in memory so that a repeat costs a digest;
    /// about 1,500 bytes each.
    #[arg(long, env = "X402_VERIFIER_PROOF_ENTRIES", default_value_t = 100_000)]
    pub proof_entries: u64,

    /// Claims that were asked for again and are kept in memory; about 400 bytes each.
    #[arg(long, env = "X402_VERIFIER_CLAIM_ENTRIES", default_value_t = 100_000)]
    pub claim_entries: u64,

    /// Digests of issued proofs that are kept in memory, so that their signatures need no check; about
    /// 40 bytes each.
    #[arg(
        long,
        env = "X402_VERIFIER_ISSUED_ENTRIES",
        default_value_t = 1_000_000
    )]
    pub issued_entries: usize,

    /// Proofs a second that one provider may ask about; an item of a batch counts as one.
    #[arg(long, env = "X402_VERIFIER_PROVIDER_RATE", default_value = "20000")]
    pub provider_rate: NonZeroU32,

    /// Requests that one provider may have open at once.
    #[arg(
        long,
        env = "X402_VERIFIER_PROVIDER_CONCURRENCY",
        default_value_t = 1_024
    )]
    pub provider_concurrency: usize,

    /// Proofs of all providers that are in hand at once; more are refused with 503. At least 1,000.
    #[arg(long, env = "X402_VERIFIER_MAX_IN_HAND", default_value_t = 4_096)]
    pub max_in_hand: usize,

    /// Seconds after which the index's last block is too old to answer from; 0 for never. 300 on
    /// mainnet and sepolia unless given, never elsewhere.
    #[arg(long, env = "X402_VERIFIER_MAX_INDEX_AGE_SECS")]
    pub max_index_age_secs: Option<u64>,

    /// Milliseconds between looks at the index for new commits, when nothing else announces them.
    #[arg(
        long,
        env = "X402_VERIFIER_POLL_MS",
        default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(10..=60_000)
    )]
    pub poll_ms: u64,

    /// Milliseconds between blocks of the chain, from which waiting times are told.
    #[arg(
        long,
        env = "X402_BLOCK_TIME_MS",
        default_value_t = 12_000,
        value_parser = clap::value_parser!(u64).range(1..=600_000)
    )]
    pub block_time_ms: u64,
}

const SEPOLIA: Network = Network::from_chain_id(11_155_111);

/// What counts as a stale index on chains that always have blocks.
const PUBLIC_MAX_INDEX_AGE_SECS: u64 = 300;

impl VerifierConfig {
    /// How old the index's last block may be, seconds.
    pub(crate) fn max_index_age(&self) -> Option<u64> {
        let public = [Network::MAINNET, SEPOLIA].contains(&self.network);
        let usual = if public { PUBLIC_MAX_INDEX_AGE_SECS } else { 0 };
        Some(self.max_index_age_secs.unwrap_or(usual)).filter(|seconds| *seconds > 0)
    }
}
