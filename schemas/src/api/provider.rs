//! What providers ask the verifier. Bearer `x402_provider_…`.

use alloy_primitives::{Address, B256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    address::checksummed,
    amount::Amount,
    codes::Refusal,
    invoice::{InvoiceId, Resource},
    network::Network,
};

/// The most items of one `POST /verify/batch`.
pub const MAX_BATCH: usize = 1_000;

/// `POST /verify`: does this proof pay this invoice? Every field that is given is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyRequest {
    /// The `X-402-Proof` header as it came.
    pub proof: String,
    /// The invoice that this request was asked to pay.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "inv_abc123xyz"))]
    pub invoice_id: InvoiceId,
    /// The price, in MNEE. Compared exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "0.05"))]
    pub amount: Option<Amount>,
    /// The payee. Must be one of the caller's, given or not.
    #[serde(
        default,
        with = "checksummed::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub pay_to: Option<Address>,
    /// The network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub network: Option<Network>,
    /// Method and URL that are served for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub resource: Option<Resource>,
    /// Blocks that must stand on the payment, its own included; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_confirmations: Option<u64>,
    /// Whether the chain must have finalized the payment. The provider's own terms count as well:
    /// the stricter of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalized: Option<bool>,
    /// How long to wait while the answer is `PAYMENT_PENDING`; 0 when absent, 8,000 at most. Not
    /// within a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Whether a good proof is used up by this call; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<bool>,
    /// Names the served request. A claim is repeated only to the attempt that made it, so a client
    /// that sends one proof twice is refused while a provider may repeat a call that it lost the
    /// answer of. Absent: repeated to the same provider and invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub attempt: Option<String>,
}

/// The answer to one proof: 200 either way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum VerifyResponse {
    /// Serve the request.
    Verified(Box<Verified>),
    /// Do not serve it.
    Refused(Refused),
}

/// A proof that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Always true.
    pub verified: bool,
    /// The payment.
    pub payment_id: String,
    /// The invoice that it pays.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub invoice_id: InvoiceId,
    /// How much, in MNEE.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub amount: Amount,
    /// Who was paid.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub pay_to: Address,
    /// What it buys.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub resource: Resource,
    /// The block's time.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub paid_at: Timestamp,
    /// The transaction.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub tx_hash: B256,
    /// Which log of its block.
    pub log_index: u32,
    /// The block.
    pub block_number: u64,
    /// That block's hash.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub block_hash: B256,
    /// Blocks from its own to the index's tip, both counted.
    pub confirmations: u64,
    /// Whether the chain has finalized it.
    pub finalized: bool,
    /// The treasury that paid.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub payer: Address,
    /// When it was used up; absent when not claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub claimed_at: Option<Timestamp>,
}

/// A proof that does not hold, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Always false.
    pub verified: bool,
    /// Why not.
    pub error_code: Refusal,
    /// The same in words, and what to do.
    pub message: String,
    /// When asking again makes sense; only with `PAYMENT_PENDING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// `POST /verify/batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VerifyBatchRequest {
    /// 1 to 1,000 proofs.
    pub items: Vec<VerifyRequest>,
}

/// The answers, in the order of the items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyBatchResponse {
    /// One for each item.
    pub results: Vec<VerifyResponse>,
}
