//! Events: what the gateway tells of payments, over its streams and webhooks and in ClickHouse.
//!
//! Numbers grow with every event of the gateway; those that a workspace sees have gaps.

use alloy_primitives::{Address, B256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    address::checksummed,
    amount::Amount,
    codes::{PaymentError, codes},
    invoice::{InvoiceId, Resource},
    network::Network,
    payment::PaymentStatus,
};

codes! {
    /// What happened. Codes are API: never renamed, only added.
    EventKind {
        /// `POST /quote` said no.
        QuoteDenied = "quote.denied",
        /// A quote that allowed it is to be paid.
        PaymentQuoted = "payment.quoted",
        /// It waits for an owner.
        PaymentAwaitingApproval = "payment.awaiting_approval",
        /// Its amount is held against every limit.
        PaymentReserved = "payment.reserved",
        /// Its transaction is signed.
        PaymentSigned = "payment.signed",
        /// A node has taken its transaction, or it waits for a block again.
        PaymentBroadcast = "payment.broadcast",
        /// Another transaction with the same nonce bids more in its place.
        PaymentReplaced = "payment.replaced",
        /// A block has its transaction.
        PaymentIncluded = "payment.included",
        /// The index shows its transfer; the proof is there.
        PaymentSettled = "payment.settled",
        /// A reorg has removed its transfer; it is sent again.
        PaymentReorged = "payment.reorged",
        /// Its block is final.
        PaymentFinal = "payment.final",
        /// What its transaction cost in gas is known.
        PaymentPriced = "payment.priced",
        /// Policy or an owner said no.
        PaymentDenied = "payment.denied",
        /// No owner approved it in time.
        PaymentExpired = "payment.expired",
        /// It was never signed.
        PaymentFailed = "payment.failed",
        /// Its transaction moved nothing and never will.
        PaymentReverted = "payment.reverted",
    }
}

/// One event, as streams and webhooks tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Its number: the id in streams, and what `Last-Event-ID` resumes after.
    pub number: u64,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub timestamp: Timestamp,
    /// To what.
    pub data: EventData,
}

/// The payment, or the quote that was denied, as it was right after the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventData {
    /// Whose agent asked.
    pub workspace_id: String,
    /// Who asked.
    pub agent_id: String,
    /// The payment; absent where a quote was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
    /// The quote.
    pub quote_id: String,
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
    /// Why no money moves, once that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub code: Option<PaymentError>,
    /// Why it happened, in words.
    pub reason: String,
    /// The transaction, once signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub tx_hash: Option<B256>,
    /// The block of the transfer, while it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_number: Option<u64>,
    /// The transfer's place in its block, while it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u32>,
    /// What the transaction cost in gas, in wei, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_paid_wei: Option<String>,
}

impl EventKind {
    /// What reaching a status by an ordinary step is told as.
    pub const fn of(status: PaymentStatus) -> Self {
        match status {
            PaymentStatus::Quoted => Self::PaymentQuoted,
            PaymentStatus::AwaitingApproval => Self::PaymentAwaitingApproval,
            PaymentStatus::Reserved => Self::PaymentReserved,
            PaymentStatus::Signed => Self::PaymentSigned,
            PaymentStatus::Broadcast => Self::PaymentBroadcast,
            PaymentStatus::Included => Self::PaymentIncluded,
            PaymentStatus::Settled => Self::PaymentSettled,
            PaymentStatus::Denied => Self::PaymentDenied,
            PaymentStatus::Expired => Self::PaymentExpired,
            PaymentStatus::Failed => Self::PaymentFailed,
            PaymentStatus::Reverted => Self::PaymentReverted,
        }
    }
}
