//! What agents ask the gateway. Bearer `x402_agent_…`.

use alloy_primitives::{Address, B256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    address::checksummed,
    amount::Amount,
    codes::{Denial, PaymentError, PaymentFailure},
    invoice::{InvoiceId, Resource},
    network::Network,
    payment::PaymentStatus,
};

/// `POST /quote`: may I pay this invoice?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuoteRequest {
    /// `X-402-Invoice-Id` of the 402 answer.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "inv_abc123xyz"))]
    pub invoice_id: InvoiceId,
    /// `X-402-Amount`, in MNEE.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0.05"))]
    pub amount: Amount,
    /// `X-402-Pay-To`.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"))]
    pub pay_to: Address,
    /// `X-402-Network`.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "mainnet"))]
    pub network: Network,
    /// `X-402-Description`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The URL that answered 402. Query and fragment are dropped before anything is stored.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "https://api.example.com/report"))]
    pub provider_url: Url,
    /// The method of that request; `GET` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// `X-402-Signature`, if the answer had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// 200 to `POST /quote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct QuoteAllowed {
    /// Always true.
    pub allowed: bool,
    /// What to hand to `POST /pay`.
    pub quote_id: String,
    /// When the quote ends.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub expires_at: Timestamp,
    /// What would be left after this payment.
    pub remaining: RemainingLimits,
    /// Whether `POST /pay` will wait for an owner's approval.
    #[serde(default)]
    pub approval_required: bool,
    /// What was in the way of paying when it was last looked at, such as `INSUFFICIENT_GAS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<PaymentFailure>,
}

/// What an agent may still spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RemainingLimits {
    /// Of the agent's limit for this UTC day.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub daily: Amount,
    /// Of the agent's limit for this UTC month.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub monthly: Amount,
    /// Of the workspace's budget for this UTC month.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub workspace_monthly: Amount,
}

/// 403 to `POST /quote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct QuoteDenied {
    /// Always false.
    pub allowed: bool,
    /// Why not.
    pub reason: Denial,
    /// The same in words, with the limit that was met.
    pub message: String,
}

/// `POST /pay`: pay what was quoted. Repeating it never pays twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PayRequest {
    /// From `POST /quote`.
    pub quote_id: String,
    /// How long to wait for settlement before answering 202; 15,000 when absent, 60,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// 200 to `POST /pay`: the money has moved and here is the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaySettled {
    /// Always true.
    pub success: bool,
    /// Always `settled`.
    pub status: PaymentStatus,
    /// The payment.
    pub payment_id: String,
    /// The invoice that it paid.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub invoice_id: InvoiceId,
    /// The transaction.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub tx_hash: B256,
    /// What to send as `X-402-Proof`.
    pub proof: String,
}

/// 202 to `POST /pay`: under way. Ask `GET /payments/{id}` after `retryAfterMs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PayPending {
    /// Always `pending`.
    pub status: String,
    /// The payment.
    pub payment_id: String,
    /// The transaction, once signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub tx_hash: Option<B256>,
    /// `APPROVAL_REQUIRED` while it waits for an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Denial>,
    /// When asking again makes sense.
    pub retry_after_ms: u64,
}

/// 4xx to `POST /pay`: nothing was or will be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PayFailed {
    /// Always false.
    pub success: bool,
    /// Why: a code of [`PaymentError`].
    pub error: String,
    /// The same in words.
    pub message: String,
}

/// `GET /payments/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentView {
    /// The payment.
    pub payment_id: String,
    /// Who asked for it.
    pub agent_id: String,
    /// Where it stands.
    pub status: PaymentStatus,
    /// The invoice.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub invoice_id: InvoiceId,
    /// How much.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub amount: Amount,
    /// To whom.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub pay_to: Address,
    /// Where.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub network: Network,
    /// For what.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub resource: Resource,
    /// The transaction, once signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub tx_hash: Option<B256>,
    /// What the transaction cost in gas, in wei, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_paid_wei: Option<String>,
    /// The proof, once settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// Why no money moves, once that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub error: Option<PaymentError>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Until when an owner may approve it, if it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub approval_until: Option<Timestamp>,
    /// When it was asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When its status last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
    /// Every step that it has taken, in order; of one payment, not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PaymentStep>,
}

/// One step of a payment's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaymentStep {
    /// The status stepped to.
    pub status: PaymentStatus,
    /// Why.
    pub reason: String,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
}
