//! Where ClickHouse is: the same settings for every service.

use clap::Args;
use clickhouse::Client;
use secrecy::{ExposeSecret, SecretString};

/// Settings of the connection to ClickHouse.
#[derive(Clone, Args)]
pub struct ClickHouseConfig {
    /// HTTP endpoint of ClickHouse
    #[arg(
        long,
        env = "X402_CLICKHOUSE_URL",
        default_value = "http://127.0.0.1:8123"
    )]
    pub clickhouse_url: url::Url,

    /// Database of the index; the indexer creates it when it is missing
    #[arg(long, env = "X402_CLICKHOUSE_DATABASE", default_value = "x402")]
    pub clickhouse_database: String,

    /// User of ClickHouse; the indexer makes the tables, the gateway also inserts what happens to payments, the verifier only reads
    #[arg(long, env = "X402_CLICKHOUSE_USER", default_value = "default")]
    pub clickhouse_user: String,

    /// Password of that user
    #[arg(
        long,
        env = "X402_CLICKHOUSE_PASSWORD",
        default_value = "",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub clickhouse_password: SecretString,
}

impl ClickHouseConfig {
    /// A client of the database.
    pub fn client(&self) -> Client {
        Client::default()
            .with_url(self.clickhouse_url.as_str())
            .with_database(&self.clickhouse_database)
            .with_user(&self.clickhouse_user)
            .with_password(self.clickhouse_password.expose_secret())
    }
}

impl std::fmt::Debug for ClickHouseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A URL may carry a password.
        f.debug_struct("ClickHouseConfig")
            .field("host", &self.clickhouse_url.host_str())
            .field("database", &self.clickhouse_database)
            .field("user", &self.clickhouse_user)
            .finish_non_exhaustive()
    }
}
