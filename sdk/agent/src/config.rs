//! What the client is told at its start.

use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;
use url::Url;
use x402_schemas::{amount::Amount, api::base_url::BaseUrlError};

/// How long a payment may take before `fetch` hands it back as pending.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(90);

/// The longest silence within one answer of a provider; streamed answers may last longer in all.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// What the client is told at its start. [`AgentConfig::new`] sets the defaults.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The gateway: https, or http on this machine only.
    pub gateway_url: Url,
    /// The agent's key, `x402_agent_…`. Sent to the gateway and nowhere else.
    pub api_key: SecretString,
    /// The most that one request may cost. The gateway's policy may allow less.
    pub max_amount: Amount,
    /// How long paying and redeeming may take, from the 402 to the answer.
    pub deadline: Duration,
    /// The longest silence within one answer of a provider.
    pub idle_timeout: Duration,
}

impl AgentConfig {
    /// The configuration with default times.
    pub fn new(gateway_url: Url, api_key: SecretString, max_amount: Amount) -> Self {
        Self {
            gateway_url,
            api_key,
            max_amount,
            deadline: DEFAULT_DEADLINE,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
        }
    }
}

/// Why no client can be made.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The gateway's URL would show the key, or is none.
    #[error("the gateway's URL cannot be used")]
    GatewayUrl(#[source] BaseUrlError),
    /// The key has characters that no header can carry.
    #[error("the API key is empty or has characters outside ASCII; copy it again")]
    ApiKey,
    /// TLS could not be set up.
    #[error("the HTTP client could not be made")]
    Http(#[source] reqwest::Error),
}
