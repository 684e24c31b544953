//! HTTP messages, by who sends them. JSON, camelCase, unknown fields refused in requests.

use serde::{Deserialize, Serialize};

/// Agents ask the gateway: quote, pay, look up.
pub mod agent;

/// Providers ask the verifier: is this proof good?
pub mod provider;

/// Owners ask the gateway: workspaces, agents, providers, treasuries.
pub mod owner;

/// Members ask the gateway: who else is one, with which role?
pub mod members;

/// Members ask the gateway: which keys are there?
pub mod keys;

/// Owners ask the gateway: what would this policy do, may this payment go on?
pub mod policy;

/// Workspaces are told by the gateway: what happens to their payments.
pub mod events;

/// Owners ask the gateway: where to send events.
pub mod webhooks;

/// Verifiers follow the gateway: providers, their keys, the proof keys.
pub mod directory;

/// Verifiers follow the gateway: digests of issued proofs.
pub mod issued;

/// How settled a payment must be.
pub mod confirmations;

/// Providers ask the verifier: what was revoked?
pub mod revocations;

/// Where a service may be reached with a key.
pub mod base_url;

/// Which trace a request belongs to.
pub mod trace_context;

/// The body of every answer that is neither a result nor a refusal with a body of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// A stable code.
    #[cfg_attr(feature = "openapi", schema(example = "INVALID_REQUEST"))]
    pub error: String,
    /// What is wrong and what to do about it.
    pub message: String,
}
