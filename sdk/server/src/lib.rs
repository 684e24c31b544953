//! A tower layer that makes routes paid.
//!
//! Without a proof a request is answered 402 with an invoice; with one the verifier is asked, its
//! answer is compared with the invoice here, and the handler gets a [`VerifiedPayment`]. Invoices
//! are signed and stored nowhere, so any instance, restarted or not, redeems what another issued.
//! Decides nothing about the chain: whether money moved is the verifier's to say.

/// What the layer is told at its start.
pub mod config;

/// A paid API and the layers of its routes.
pub mod paid_api;

/// In: a request. Out: the handler's answer, or ours.
pub mod layer;

/// Invoice ids: issued and recognised with a key, never stored.
mod invoice;

/// In: what a request presents. Out: a verified payment, or why it is turned away.
mod admission;

/// Asking the verifier, again if need be.
mod verifier;

/// Serving before the verifier has answered, where the provider wants that.
mod offline;

/// The gateway's public keys, read again when they change.
mod keys;

/// What the verifier says afterwards of what was served.
pub mod confirm;

/// In: the verifier's answer. Out: a payment that fits the invoice, or the contradiction.
mod judge;

/// Which attempt a payment was claimed for, so that a failed one can be repeated.
mod attempts;

/// Requests that are turned away, as HTTP.
mod answer;

/// The time, asked for at the edge only.
mod clock;

/// A payment that was verified for this very request.
pub mod payment;

pub use alloy_primitives::{Address, B256};
pub use config::{ConfigError, ConfirmationHook, MNEE, OfflineConfig, ServerConfig};
pub use confirm::{Confirmation, Outcome};
pub use layer::{PaidLayer, PaidService};
pub use paid_api::PaidApi;
pub use payment::VerifiedPayment;
pub use secrecy::SecretString;
pub use url::Url;
pub use x402_schemas::{
    amount::Amount,
    codes::Refusal,
    invoice::{InvoiceId, Resource},
    network::Network,
};

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
