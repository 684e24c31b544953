//! What owners ask about policies and of payments that wait for them.

use alloy_primitives::Address;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    address::checksummed,
    amount::Amount,
    codes::{Denial, PaymentError},
    invoice::{InvoiceId, Resource},
    policy::Policy,
};

/// The longest past that a draft is tried on.
pub const MAX_REPLAYED_DAYS: u16 = 90;

/// `POST /payments/{id}/reject`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rejection {
    /// Why, for the agent; up to 500 characters.
    #[serde(default)]
    pub reason: String,
}

/// `POST /policy/dry-run`: what would this policy have said of the last days?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DryRun {
    /// The agent whose policy it would replace; the workspace's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The draft.
    pub policy: Policy,
    /// How far back, 1 to 90 days.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 90))]
    pub days: u16,
}

/// What a draft would have said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DryRunReport {
    /// The beginning of what was replayed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub from: Timestamp,
    /// Payments and denials that were replayed.
    pub replayed: u64,
    /// Of these, what the draft would have allowed.
    pub allowed: u64,
    /// What an owner would have had to approve; counted as allowed too.
    pub approvals: u64,
    /// What it would have denied.
    pub denied: u64,
    /// What was denied then and the draft would have allowed.
    pub newly_allowed: u64,
    /// What was paid then and the draft would have denied, in MNEE.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub paid_that_would_be_denied: Amount,
    /// What it would have denied, oldest first; the first 200.
    pub denials: Vec<DryRunDenial>,
}

/// One thing that a draft would have denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DryRunDenial {
    /// When it was asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// By whom.
    pub agent_id: String,
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
    /// For what.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub resource: Resource,
    /// Why the draft would have denied it.
    pub reason: Denial,
    /// The same in words.
    pub message: String,
    /// Why it was not paid then; absent if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub was: Option<PaymentError>,
}
