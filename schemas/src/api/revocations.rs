//! `GET /revocations`: what a provider was told was paid and a reorg took away. Bearer `x402_provider_…`.

use alloy_primitives::B256;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::invoice::InvoiceId;

/// The most entries of one answer.
pub const MAX_REVOCATIONS: u64 = 1_000;

/// The query of `GET /revocations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationsQuery {
    /// The newest number that the caller has; from the beginning when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most so many, 1 to 1,000; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// The caller's revocations, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Revocations {
    /// The next question's `after` is the last number of these; none when there is nothing newer.
    pub revocations: Vec<Revocation>,
}

/// One claimed payment that a reorg removed or brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Its place in the list; grows, with gaps.
    pub number: u64,
    /// What happened.
    pub event: RevocationEvent,
    /// The invoice that was served for it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub invoice_id: InvoiceId,
    /// The attempt that the payment was used up for, if it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
    /// The transaction.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub tx_hash: B256,
    /// Which log of its block.
    pub log_index: u32,
    /// When it was used up.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub claimed_at: Timestamp,
    /// When the verifier learned of it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
}

/// What a reorg did to a claimed payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub enum RevocationEvent {
    /// The payment is no longer on the chain.
    Revoked,
    /// It is on the chain again.
    Restored,
}
