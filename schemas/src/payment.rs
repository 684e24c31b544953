//! A payment's identity and its states.

use serde::{Deserialize, Serialize};

/// Where a payment stands. Moves forward only, except that a reorg takes a settled payment back to
/// `broadcast`: its transaction is still valid and is sent again.
///
/// Money is held from `reserved` until `settled` makes it spent or `failed` releases it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Waits for an owner's approval; nothing is held yet.
    AwaitingApproval,
    /// Allowed by policy; its amount is held against every limit.
    Reserved,
    /// The transaction is signed and on disk; it may already be on its way.
    Signed,
    /// A node has taken the transaction. A timeout leaves it here: unknown is not failed.
    Broadcast,
    /// The index shows the transfer.
    Settled,
    /// Policy or an owner said no; nothing was held.
    Denied,
    /// No owner approved it in time; nothing was held.
    Expired,
    /// The money cannot move any more; the reservation is released.
    Failed,
}

impl PaymentStatus {
    /// Every status there is.
    pub const ALL: [Self; 8] = [
        Self::AwaitingApproval,
        Self::Reserved,
        Self::Signed,
        Self::Broadcast,
        Self::Settled,
        Self::Denied,
        Self::Expired,
        Self::Failed,
    ];

    /// The word in messages, the ledger and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Reserved => "reserved",
            Self::Signed => "signed",
            Self::Broadcast => "broadcast",
            Self::Settled => "settled",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }

    /// Whether the step is one that a payment can take.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (
                Self::AwaitingApproval,
                Self::Reserved | Self::Denied | Self::Expired
            ) | (Self::Reserved, Self::Signed | Self::Failed)
                | (Self::Signed, Self::Broadcast | Self::Settled | Self::Failed)
                | (Self::Broadcast, Self::Settled | Self::Failed)
                | (Self::Settled, Self::Broadcast)
        )
    }

    /// Whether no money moved and none ever will: the invoice may be paid by another payment.
    pub const fn is_void(self) -> bool {
        matches!(self, Self::Denied | Self::Expired | Self::Failed)
    }
}

impl std::str::FromStr for PaymentStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

/// The text names no payment status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a payment status")]
pub struct UnknownStatus;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_void_payment_never_moves_again() {
        for status in PaymentStatus::ALL {
            let moves = PaymentStatus::ALL
                .into_iter()
                .any(|next| status.may_become(next));
            assert_eq!(moves, !status.is_void(), "{}", status.as_str());
        }
    }

    #[test]
    fn nothing_is_settled_before_it_is_signed() {
        assert!(!PaymentStatus::Reserved.may_become(PaymentStatus::Settled));
        assert!(!PaymentStatus::Reserved.may_become(PaymentStatus::Broadcast));
    }
}
