//! A payment that was verified for this very request.

use alloy_primitives::{Address, B256};
use x402_schemas::{
    amount::Amount,
    invoice::{InvoiceId, Resource},
};

/// A payment that was verified for this very request, as a request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPayment {
    /// The gateway's name for the payment.
    pub payment_id: String,
    /// The invoice that it paid.
    pub invoice_id: InvoiceId,
    /// How much: the price of the route.
    pub amount: Amount,
    /// The treasury that paid.
    pub payer: Address,
    /// The transaction.
    pub tx_hash: B256,
    /// Which log of its block.
    pub log_index: u32,
    /// The block.
    pub block_number: u64,
    /// Blocks from its own to the index's tip, both counted.
    pub confirmations: u64,
    /// Whether the chain has finalized it.
    pub finalized: bool,
    /// Method and URL that it bought.
    pub resource: Resource,
    /// Whether the verifier has said so. False only for what the offline check serves; then
    /// `confirmations` is 0.
    pub confirmed: bool,
}
