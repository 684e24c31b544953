//! A payment's identity and its states.

use serde::{Deserialize, Serialize};

/// Where a payment stands. Moves forward only, except that a reorg takes a settled payment back to
/// `broadcast`: its transaction is still valid and is sent again.
///
/// Money is held from `reserved` until `settled` makes it spent or `failed` releases it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PaymentStatus {
    /// Allowed by policy; its amount is held against every limit.
    Reserved,
    /// The transaction is signed and on disk; it may already be on its way.
    Signed,
    /// A node has taken the transaction. A timeout leaves it here: unknown is not failed.
    Broadcast,
    /// The index shows the transfer.
    Settled,
    /// The money cannot move any more; the reservation is released.
    Failed,
}

impl PaymentStatus {
    /// Every status there is.
    pub const ALL: [Self; 5] = [
        Self::Reserved,
        Self::Signed,
        Self::Broadcast,
        Self::Settled,
        Self::Failed,
    ];

    /// The word in messages, the ledger and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Signed => "signed",
            Self::Broadcast => "broadcast",
            Self::Settled => "settled",
            Self::Failed => "failed",
        }
    }

    /// Whether the step is one that a payment can take.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Reserved, Self::Signed | Self::Failed)
                | (Self::Signed, Self::Broadcast | Self::Settled | Self::Failed)
                | (Self::Broadcast, Self::Settled | Self::Failed)
                | (Self::Settled, Self::Broadcast)
        )
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
    fn a_failed_payment_never_moves_again() {
        for next in PaymentStatus::ALL {
            assert!(!PaymentStatus::Failed.may_become(next));
        }
    }

    #[test]
    fn nothing_is_settled_before_it_is_signed() {
        assert!(!PaymentStatus::Reserved.may_become(PaymentStatus::Settled));
        assert!(!PaymentStatus::Reserved.may_become(PaymentStatus::Broadcast));
    }
}
