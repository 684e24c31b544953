//! What a payment's transfers in the index mean for it. Pure.

use alloy::primitives::Address;
use x402_schemas::{
    index::Change,
    payment::PaymentStatus,
    transfer::{Transfer, TransferKind},
};

use crate::ledger::{payments::Place, under_way::Watched};

/// What to do with a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The transfer is there: it has settled.
    Settle(Place),
    /// A reorg put the transfer into another block: a new proof.
    Move(Place),
    /// A reorg took the transfer away: it is sent again.
    Unsettle,
    /// Its block is final: nothing can happen to it any more.
    Finalize,
}

/// Judges one payment by the changes of its transactions that the index has committed.
pub(crate) fn judge(
    watched: &Watched,
    changes: &[Change],
    token: Address,
    finalized: u64,
) -> Option<Step> {
    let payment = &watched.payment;
    let standing = changes
        .iter()
        .filter_map(|change| match change {
            Change::Added(transfer) if pays(transfer, watched, token) => Some(place(transfer)),
            Change::Added(_) | Change::Removed(_) => None,
        })
        .max_by_key(|place| place.block_number);
    match (payment.status, payment.place, standing) {
        (
            PaymentStatus::Signed | PaymentStatus::Broadcast | PaymentStatus::Included,
            _,
            Some(place),
        ) => Some(Step::Settle(place)),
        (PaymentStatus::Settled, before, Some(place)) if before != Some(place) => {
            Some(Step::Move(place))
        }
        (PaymentStatus::Settled, _, Some(place)) => {
            (place.block_number <= finalized).then_some(Step::Finalize)
        }
        (PaymentStatus::Settled, Some(before), None) => {
            // Absence alone proves nothing: only the index's own word that it removed the transfer does.
            let removed = changes.iter().any(|change| match change {
                Change::Removed(transfer) => {
                    transfer.block_hash == before.block_hash
                        && transfer.id.log_index == before.log_index
                }
                Change::Added(_) => false,
            });
            removed.then_some(Step::Unsettle)
        }
        (PaymentStatus::Settled, None, None)
        | (PaymentStatus::Signed | PaymentStatus::Broadcast | PaymentStatus::Included, _, None)
        | (
            PaymentStatus::Quoted
            | PaymentStatus::AwaitingApproval
            | PaymentStatus::Reserved
            | PaymentStatus::Denied
            | PaymentStatus::Expired
            | PaymentStatus::Failed
            | PaymentStatus::Reverted,
            _,
            _,
        ) => None,
    }
}

fn pays(transfer: &Transfer, Watched { payment, hashes }: &Watched, token: Address) -> bool {
    transfer.kind == TransferKind::Payment
        && transfer.token == token
        && hashes.contains(&transfer.id.tx_hash)
        && Some(transfer.from) == payment.payer
        && transfer.to == payment.invoice.pay_to
        && transfer.amount == payment.invoice.amount
        && transfer.memo == Some(payment.memo)
}

fn place(transfer: &Transfer) -> Place {
    Place {
        tx_hash: transfer.id.tx_hash,
        block_number: transfer.block_number,
        block_hash: transfer.block_hash,
        log_index: transfer.id.log_index,
    }
}

#[cfg(test)]
mod tests;
