//! In: the verifier's answer. Out: a payment that fits the invoice, or the contradiction.
//!
//! The verifier compares too. It is compared again here, so that a request is served only for its
//! own payment even when a proxy, a cache or a mistake answers in the verifier's place.

use thiserror::Error;
use x402_schemas::{api::provider::Verified, invoice::InvoiceId};

use crate::{invoice::Terms, payment::VerifiedPayment};

/// How a positive answer fails to fit the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Contradiction {
    #[error("it does not say that the proof is verified")]
    NotVerified,
    #[error("it is about another invoice")]
    Invoice,
    #[error("it is about another amount")]
    Amount,
    #[error("it is about another payee")]
    PayTo,
    #[error("it is about another resource")]
    Resource,
    #[error("it has fewer confirmations than were asked for")]
    Confirmations,
    #[error("it was not claimed, so it could be used again")]
    NotClaimed,
}

/// Compares a positive answer with everything that was asked.
pub(crate) fn judge(
    invoice_id: &InvoiceId,
    terms: &Terms,
    min_confirmations: u64,
    answer: Verified,
) -> Result<VerifiedPayment, Contradiction> {
    let contradictions = [
        (!answer.verified, Contradiction::NotVerified),
        (answer.invoice_id != *invoice_id, Contradiction::Invoice),
        (answer.amount != terms.price, Contradiction::Amount),
        (answer.pay_to != terms.pay_to, Contradiction::PayTo),
        (answer.resource != terms.resource, Contradiction::Resource),
        (
            answer.confirmations < min_confirmations,
            Contradiction::Confirmations,
        ),
        (answer.claimed_at.is_none(), Contradiction::NotClaimed),
    ];
    match contradictions.into_iter().find(|(holds, _)| *holds) {
        Some((_, contradiction)) => Err(contradiction),
        None => Ok(VerifiedPayment {
            payment_id: answer.payment_id,
            invoice_id: answer.invoice_id,
            amount: answer.amount,
            payer: answer.payer,
            tx_hash: answer.tx_hash,
            log_index: answer.log_index,
            block_number: answer.block_number,
            confirmations: answer.confirmations,
            finalized: answer.finalized,
            resource: answer.resource,
            confirmed: true,
        }),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};
    use jiff::Timestamp;
    use x402_schemas::network::Network;

    use super::*;

    type Change = fn(&mut Verified);

    fn terms() -> Terms {
        Terms {
            resource: "GET https://api.example.com/report".parse().unwrap(),
            price: "0.05".parse().unwrap(),
            pay_to: Address::repeat_byte(1),
            network: Network::DEVNET,
        }
    }

    fn answer() -> Verified {
        Verified {
            verified: true,
            payment_id: "pay_1".into(),
            invoice_id: "inv_1".parse().unwrap(),
            amount: terms().price,
            pay_to: terms().pay_to,
            resource: terms().resource,
            paid_at: Timestamp::UNIX_EPOCH,
            tx_hash: B256::repeat_byte(7),
            log_index: 3,
            block_number: 9,
            block_hash: B256::repeat_byte(8),
            confirmations: 2,
            finalized: false,
            payer: Address::repeat_byte(2),
            claimed_at: Some(Timestamp::UNIX_EPOCH),
        }
    }

    fn judged(answer: Verified) -> Result<VerifiedPayment, Contradiction> {
        judge(&"inv_1".parse().unwrap(), &terms(), 2, answer)
    }

    #[test]
    fn an_answer_that_fits_is_handed_over_as_it_is() {
        let payment = judged(answer()).unwrap();
        assert_eq!(payment.payment_id, "pay_1");
        assert_eq!((payment.log_index, payment.block_number), (3, 9));
        assert_eq!(payment.payer, Address::repeat_byte(2));
    }

    #[test]
    fn an_answer_that_differs_anywhere_serves_nobody() {
        let table: [(Change, Contradiction); 8] = [
            (|answer| answer.verified = false, Contradiction::NotVerified),
            (
                |answer| answer.invoice_id = "inv_2".parse().unwrap(),
                Contradiction::Invoice,
            ),
            (
                |answer| answer.amount = "0.049999999999999999".parse().unwrap(),
                Contradiction::Amount,
            ),
            (
                |answer| answer.amount = "0.06".parse().unwrap(),
                Contradiction::Amount,
            ),
            (|answer| answer.pay_to = Address::ZERO, Contradiction::PayTo),
            (
                |answer| answer.resource = "GET https://api.example.com/x".parse().unwrap(),
                Contradiction::Resource,
            ),
            (
                |answer| answer.confirmations = 1,
                Contradiction::Confirmations,
            ),
            (|answer| answer.claimed_at = None, Contradiction::NotClaimed),
        ];
        for (change, expected) in table {
            let mut answer = answer();
            change(&mut answer);
            assert_eq!(judged(answer), Err(expected));
        }
    }
}
