//! Client of agents that buy from paid APIs.
//!
//! [`AgentClient::fetch`] sends a request; when it is answered 402 it has the gateway pay within the
//! caller's price limit and sends the request again with the proof. One call pays at most once.
//! Knows no chain and holds no wallet key: the gateway pays, the provider has the proof verified.

/// What the client is told at its start.
pub mod config;

/// In: the headers of a 402 answer. Out: the invoice, or what is wrong with it.
pub mod payment_required;

/// The gateway's routes: quote, pay, look up.
pub mod gateway;

/// Proofs as the gateway hands them out, and the payments that they stand for.
pub mod proof;

/// In: a request. Out: its answer, paid for if need be.
pub mod fetch;

/// In: a quote. Out: a settled payment with its proof.
mod settle;

/// In: a paid invoice and the request. Out: what was bought.
mod redeem;

/// A purchase's place in the caller's trace.
mod trace;

/// What a caller may watch while a request is fetched.
pub mod step;

/// Why a request was not answered, or a payment not made.
pub mod errors;

/// Reading bodies up to a bound.
mod body;

pub use alloy_primitives::{Address, B256};
pub use config::{AgentConfig, ConfigError};
pub use errors::{FetchError, GatewayError, NotServed, PayError, PayFailure, QuoteError};
pub use fetch::{AgentClient, Fetched};
pub use gateway::PayOutcome;
pub use payment_required::{HeaderError, PaymentRequired};
pub use proof::{PaidWith, Proof, ProofProblem};
pub use reqwest;
pub use secrecy::SecretString;
pub use step::Step;
pub use url::Url;
pub use x402_schemas::{
    amount::Amount,
    api::agent::{PayPending, PaySettled, PaymentView, QuoteAllowed, QuoteRequest},
    codes::{Denial, PaymentFailure},
    invoice::{Invoice, InvoiceId, Resource},
    network::Network,
};

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
