//! A payment's identity and its states.

use serde::{Deserialize, Serialize};

/// Where a payment stands. Moves forward only, except that a reorg takes a payment back to `broadcast`: its transaction
/// is still valid and is sent again.
///
/// Money is held from `reserved` until `settled` makes it spent or `failed` or `reverted` releases it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// A quote allows it. Only its history shows this: asking to pay takes it further at once.
    Quoted,
    /// Waits for an owner's approval; nothing is held yet.
    AwaitingApproval,
    /// Allowed by policy; its amount is held against every limit.
    Reserved,
    /// The transaction is signed and on disk; it may already be on its way.
    Signed,
    /// A node has taken the transaction. A timeout leaves it here: unknown is not failed.
    Broadcast,
    /// A block has the transaction; the index has yet to tell.
    Included,
    /// The index shows the transfer.
    Settled,
    /// Policy or an owner said no; nothing was held.
    Denied,
    /// No owner approved it in time; nothing was held.
    Expired,
    /// It was never signed; the reservation is released.
    Failed,
    /// Its transaction is final and moved nothing; the reservation is released.
    Reverted,
}

impl PaymentStatus {
    /// Every status there is.
    pub const ALL: [Self; 11] = [
        Self::Quoted,
        Self::AwaitingApproval,
        Self::Reserved,
        Self::Signed,
        Self::Broadcast,
        Self::Included,
        Self::Settled,
        Self::Denied,
        Self::Expired,
        Self::Failed,
        Self::Reverted,
    ];

    /// The word in messages, the ledger and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quoted => "quoted",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Reserved => "reserved",
            Self::Signed => "signed",
            Self::Broadcast => "broadcast",
            Self::Included => "included",
            Self::Settled => "settled",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Reverted => "reverted",
        }
    }

    /// Whether the step is one that a payment can take.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Quoted => matches!(next, Self::Reserved | Self::AwaitingApproval | Self::Denied),
            Self::AwaitingApproval => {
                matches!(next, Self::Reserved | Self::Denied | Self::Expired)
            }
            // To itself when a restart drives it on.
            Self::Reserved => matches!(next, Self::Reserved | Self::Signed | Self::Failed),
            Self::Signed => matches!(next, Self::Broadcast | Self::Included | Self::Reverted),
            // To itself when its transaction is replaced by one that bids more.
            Self::Broadcast => matches!(next, Self::Broadcast | Self::Included | Self::Reverted),
            // Back to broadcast by a reorg only.
            Self::Included => matches!(next, Self::Settled | Self::Reverted | Self::Broadcast),
            Self::Settled => matches!(next, Self::Broadcast),
            Self::Denied | Self::Expired | Self::Failed | Self::Reverted => false,
        }
    }

    /// Whether no money moved and none ever will: the invoice may be paid by another payment.
    pub const fn is_void(self) -> bool {
        matches!(
            self,
            Self::Denied | Self::Expired | Self::Failed | Self::Reverted
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
