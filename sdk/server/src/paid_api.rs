//! A paid API and the layers of its routes.

use std::{sync::Arc, time::Duration};

use alloy_primitives::Address;
use http::HeaderValue;
use secrecy::ExposeSecret;
use url::Url;
use x402_schemas::{
    amount::Amount,
    api::base_url::BaseUrl,
    invoice::{InvoiceDomain, InvoiceSigner},
    network::Network,
};

use crate::{
    admission::Offer,
    attempts::Attempts,
    config::{ConfigError, MAX_DESCRIPTION_LEN, MAX_INVOICE_TTL, ServerConfig},
    invoice::InvoiceKeys,
    layer::PaidLayer,
    offline::Offline,
    verifier::Verifier,
};

/// One provider's paid API. Cheap to clone; clones share connections and memory.
#[derive(Clone, Debug)]
pub struct PaidApi {
    inner: Arc<Inner>,
}

/// What the layers of one API share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) keys: InvoiceKeys,
    pub(crate) signer: InvoiceSigner,
    pub(crate) domain: InvoiceDomain,
    pub(crate) verifier: Verifier,
    pub(crate) attempts: Attempts,
    pub(crate) pay_to: Address,
    pub(crate) network: Network,
    pub(crate) public_url: Url,
    pub(crate) invoice_ttl: Duration,
    pub(crate) min_confirmations: u64,
    pub(crate) offline: Option<Offline>,
}

impl PaidApi {
    /// Checks the configuration. Sends nothing.
    pub fn new(config: ServerConfig) -> Result<Self, ConfigError> {
        let base = BaseUrl::try_from(config.verifier_url).map_err(ConfigError::VerifierUrl)?;
        let verifier = Verifier::new(&base, &config.api_key, config.verifier_timeout)?;
        let signer = InvoiceSigner::of_api_key(config.api_key.expose_secret())
            .map_err(|_| ConfigError::ApiKey)?;
        if config.pay_to.is_zero() {
            return Err(ConfigError::PayTo);
        }
        if !is_public(&config.public_url) {
            return Err(ConfigError::PublicUrl);
        }
        if !(Duration::from_secs(1)..=MAX_INVOICE_TTL).contains(&config.invoice_ttl) {
            return Err(ConfigError::InvoiceTtl);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                signer,
                domain: InvoiceDomain::new(config.network, config.token),
                keys: InvoiceKeys::new(&config.api_key, config.previous_api_key.as_ref()),
                verifier,
                attempts: Attempts::new(),
                pay_to: config.pay_to,
                network: config.network,
                public_url: config.public_url,
                invoice_ttl: config.invoice_ttl,
                min_confirmations: config.min_confirmations,
                offline: config.offline.map(Offline::new),
            }),
        })
    }

    /// Waits until the verifier has confirmed, or not, whatever was served before it had answered. Worth
    /// waiting for before the process ends: what is not confirmed was not claimed.
    pub async fn confirmed(&self) {
        if let Some(offline) = &self.inner.offline {
            offline.confirmed().await;
        }
    }

    /// The layer of routes that cost `price` for each request. The description is what buyers read.
    /// Put it on what exists only (axum: `get(handler).route_layer(layer)`), or buyers pay for 404s.
    pub fn layer(&self, price: Amount, description: &str) -> Result<PaidLayer, ConfigError> {
        if price.is_zero() {
            return Err(ConfigError::Price);
        }
        let printable = (1..=MAX_DESCRIPTION_LEN).contains(&description.len())
            && description
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte));
        if !printable {
            return Err(ConfigError::Description);
        }
        let description =
            HeaderValue::from_str(description).map_err(|_| ConfigError::Description)?;
        let offer = Offer { price, description };
        Ok(PaidLayer::new(Arc::clone(&self.inner), Arc::new(offer)))
    }
}

fn is_public(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}
