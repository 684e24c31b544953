//! What the layer is told at its start.

use std::{fmt, sync::Arc, time::Duration};

use alloy_primitives::{Address, address};
use secrecy::SecretString;
use thiserror::Error;
use url::Url;
use x402_schemas::{amount::Amount, api::base_url::BaseUrlError, network::Network};

use crate::confirm::Confirmation;

/// How long an invoice asks to be paid.
pub const DEFAULT_INVOICE_TTL: Duration = Duration::from_mins(10);

/// The longest that an invoice may ask to be paid.
pub const MAX_INVOICE_TTL: Duration = Duration::from_hours(24);

/// How long one question to the verifier may take.
pub const DEFAULT_VERIFIER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the gateway's public keys count when they cannot be read again.
pub const DEFAULT_KEYS_MAX_AGE: Duration = Duration::from_mins(5);

/// The least time between two readings of the gateway's public keys.
pub const DEFAULT_KEYS_MIN_REFETCH: Duration = Duration::from_secs(10);

/// MNEE on mainnet.
pub const MNEE: Address = address!("8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF");

/// The longest description, in bytes.
pub const MAX_DESCRIPTION_LEN: usize = 200;

/// What the layer is told at its start. [`ServerConfig::new`] sets the defaults.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The verifier, or the gateway in front of it: https, or http on this machine only.
    pub verifier_url: Url,
    /// The provider's key, `x402_provider_…`. Sent to the verifier and nowhere else; a key derived
    /// from it makes and signs invoices, so rotating it ends those that are open.
    pub api_key: SecretString,
    /// The key before the last rotation. Only invoices that it signed are still recognised by it.
    pub previous_api_key: Option<SecretString>,
    /// Who is paid. Has to be a payee of the provider whose key this is.
    pub pay_to: Address,
    /// On which network.
    pub network: Network,
    /// In which token; MNEE unless the network is a test's. Signatures over invoices name it.
    pub token: Address,
    /// Scheme, host and path prefix that agents use for this API, whatever proxies do in between.
    pub public_url: Url,
    /// How long an invoice asks to be paid. One that was paid is redeemed for as long as its proof
    /// lives, and late payments are redeemed too: the money has come.
    pub invoice_ttl: Duration,
    /// Blocks that must stand on a payment, its own included.
    pub min_confirmations: u64,
    /// How long one question to the verifier may take. It is asked up to three times.
    pub verifier_timeout: Duration,
    /// Whether cheap requests are served before the verifier has answered; never unless given.
    pub offline: Option<OfflineConfig>,
}

/// Serving before the verifier has answered, by the gateway's public keys alone. Read the README on
/// what that risks. [`OfflineConfig::new`] sets the defaults.
#[derive(Clone, Debug)]
pub struct OfflineConfig {
    /// The dearest price that is served so: what one forged or repeated request may cost.
    pub up_to: Amount,
    /// The gateway's public URL, which its proofs name as their issuer.
    pub issuer: String,
    /// The token contract: MNEE.
    pub token: Address,
    /// Is told what the verifier said afterwards.
    pub hook: ConfirmationHook,
    /// How long the public keys count when they cannot be read again; for as long a key that the
    /// gateway has revoked may still be believed.
    pub keys_max_age: Duration,
    /// The least time between two readings of the public keys.
    pub keys_min_refetch: Duration,
}

/// Is told what the verifier said of a payment that was served before.
#[derive(Clone)]
pub struct ConfirmationHook(Arc<dyn Fn(Confirmation) + Send + Sync>);

impl ServerConfig {
    /// The configuration with defaults: ten minutes to pay, one confirmation.
    pub fn new(
        verifier_url: Url,
        api_key: SecretString,
        pay_to: Address,
        network: Network,
        public_url: Url,
    ) -> Self {
        Self {
            verifier_url,
            api_key,
            previous_api_key: None,
            pay_to,
            network,
            token: MNEE,
            public_url,
            invoice_ttl: DEFAULT_INVOICE_TTL,
            min_confirmations: 1,
            verifier_timeout: DEFAULT_VERIFIER_TIMEOUT,
            offline: None,
        }
    }
}

impl OfflineConfig {
    /// The configuration with defaults: keys count for five minutes and are read every ten seconds at most.
    pub fn new(up_to: Amount, issuer: &str, token: Address, hook: ConfirmationHook) -> Self {
        Self {
            up_to,
            issuer: issuer.to_owned(),
            token,
            hook,
            keys_max_age: DEFAULT_KEYS_MAX_AGE,
            keys_min_refetch: DEFAULT_KEYS_MIN_REFETCH,
        }
    }
}

impl ConfirmationHook {
    /// Calls this for each payment that was served before the verifier had answered. It must not block.
    pub fn new(hook: impl Fn(Confirmation) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    pub(crate) fn tell(&self, confirmation: Confirmation) {
        (self.0)(confirmation);
    }
}

impl fmt::Debug for ConfirmationHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfirmationHook")
    }
}

/// Why no paid API, or no layer of one, can be made.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The verifier's URL would show the key, or is none.
    #[error("the verifier's URL cannot be used")]
    VerifierUrl(#[source] BaseUrlError),
    /// The key is none that a gateway gives to providers.
    #[error("the API key is not x402_provider_… as it was shown; copy it again")]
    ApiKey,
    /// Paying it would destroy the money.
    #[error("pay_to is the zero address; set the address that is to be paid")]
    PayTo,
    /// Nothing that agents can ask for.
    #[error("public_url is an http(s) URL without user, query and fragment, as agents use it")]
    PublicUrl,
    /// No time to pay, or too much.
    #[error("invoice_ttl is between one second and 24 hours")]
    InvoiceTtl,
    /// Nothing to pay.
    #[error("a price is more than zero; leave free routes outside the layer")]
    Price,
    /// No header can carry it.
    #[error("a description is 1 to {MAX_DESCRIPTION_LEN} printable ASCII characters")]
    Description,
    /// TLS could not be set up.
    #[error("the HTTP client could not be made")]
    Http(#[source] reqwest::Error),
}
