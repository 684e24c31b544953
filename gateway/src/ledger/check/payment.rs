//! One payment with its history and postings: what is wrong with it. Pure.

use alloy::primitives::B256;
use x402_schemas::payment::PaymentStatus;

use crate::ledger::{
    columns,
    payments::Payment,
    postings::{Account, Side},
};

/// All that the ledger says of a payment.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) payment: Payment,
    /// (number, status), in order.
    pub(super) steps: Vec<(i64, String)>,
    pub(super) postings: Vec<Posting>,
}

/// One leg of a posting, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Posting {
    pub(super) step: i64,
    pub(super) account: String,
    pub(super) side: String,
    pub(super) amount: String,
}

/// Everything that is wrong, in words. `memo` is the invoice's hash made again.
pub(super) fn examine(facts: &Facts, memo: Option<B256>) -> Vec<String> {
    let mut wrong = Vec::new();
    history(facts, &mut wrong);
    shape(facts, &mut wrong);
    if memo.is_some_and(|memo| memo != facts.payment.memo) {
        wrong.push("its invoice is not the one that its memo was made of".to_owned());
    }
    wrong
}

/// The steps are some that a payment can take, and their postings are those of the steps.
fn history(facts: &Facts, wrong: &mut Vec<String>) {
    let amount = columns::amount_text(facts.payment.invoice.amount);
    let mut before: Option<PaymentStatus> = None;
    let mut expected = Vec::new();
    for (number, status) in &facts.steps {
        let Ok(status) = status.parse::<PaymentStatus>() else {
            wrong.push(format!("step {number} is to the unknown status {status}"));
            continue;
        };
        let possible = match before {
            None => status == PaymentStatus::Quoted,
            Some(before) => before.may_become(status),
        };
        let from = before.unwrap_or(PaymentStatus::Quoted);
        if !possible {
            let (from, to) = (from.as_str(), status.as_str());
            wrong.push(format!(
                "step {number} goes from {from} to {to}, which none can"
            ));
        }
        let (debit, credit) = (Account::of(from), Account::of(status));
        if debit != credit {
            let leg = |account: Account, side: Side| Posting {
                step: *number,
                account: account.as_str().to_owned(),
                side: side.as_str().to_owned(),
                amount: amount.clone(),
            };
            expected.extend([leg(debit, Side::Debit), leg(credit, Side::Credit)]);
        }
        before = Some(status);
    }
    if before != Some(facts.payment.status) {
        let (end, is) = (
            before.map_or("nowhere", PaymentStatus::as_str),
            facts.payment.status,
        );
        wrong.push(format!("its history ends {end}, but it is {}", is.as_str()));
    }
    if expected != facts.postings {
        let odd = expected
            .iter()
            .find(|leg| !facts.postings.contains(leg))
            .or_else(|| facts.postings.iter().find(|leg| !expected.contains(leg)));
        wrong.push(odd.map_or_else(
            || "its postings are out of order or more than once".to_owned(),
            |leg| {
                format!(
                    "its postings do not balance its steps: {} {} of {} at step {}",
                    leg.side, leg.account, leg.amount, leg.step
                )
            },
        ));
    }
}

/// What a payment in its status has to have.
fn shape(facts: &Facts, wrong: &mut Vec<String>) {
    let payment = &facts.payment;
    let took = |status: PaymentStatus| facts.steps.iter().any(|step| step.1 == status.as_str());
    let mut has = |expected: bool, is: bool, what: &str| {
        if expected != is {
            let verb = if expected { "lacks" } else { "should not have" };
            wrong.push(format!(
                "it is {} and {verb} {what}",
                payment.status.as_str()
            ));
        }
    };
    has(
        took(PaymentStatus::Reserved),
        payment.reserved_at.is_some(),
        "a time of its reservation",
    );
    has(
        took(PaymentStatus::Signed),
        payment.tx_hash.is_some() && payment.payer.is_some(),
        "a transaction",
    );
    has(
        payment.status == PaymentStatus::Settled,
        payment.place.is_some() && payment.proof.is_some(),
        "a place on the chain and a proof",
    );
    has(
        payment.status.is_void(),
        payment.failure.is_some(),
        "a reason why it is void",
    );
}
