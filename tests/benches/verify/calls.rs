//! Requests as providers send them: what `sdk/server` puts into one, byte by byte.

use std::{fmt::Write, sync::Arc};

use x402_tests::market::payments::{PRICE, Payments, Seller, invoice_id, resource};

use crate::load::{Call, Expected};

/// Whether a good proof is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    On,
    Off,
}

/// How a proof is bad.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Signature,
    Invoice,
    Amount,
    Recipient,
    Expired,
    NeverPaid,
}

/// One bad proof of each kind, in turn.
const FAULTS: [Fault; 6] = [
    Fault::Signature,
    Fault::Invoice,
    Fault::Amount,
    Fault::Recipient,
    Fault::Expired,
    Fault::NeverPaid,
];

/// A good proof for each number.
pub(crate) fn good(
    payments: &Payments,
    first: u64,
    proofs: &[String],
    claim: Claim,
) -> Arc<[Call]> {
    (first..)
        .zip(proofs)
        .map(|(number, proof)| one(payments, number, proof, claim))
        .collect()
}

/// The same with every `every`th proof bad in some way.
pub(crate) fn mixed(payments: &Payments, proofs: &[String], every: u64) -> Arc<[Call]> {
    (0..)
        .zip(proofs)
        .map(|(number, proof)| {
            if number % every == 0 {
                let turn = usize::try_from(number / every).unwrap();
                bad(payments, number, proof, FAULTS[turn % FAULTS.len()])
            } else {
                one(payments, number, proof, Claim::On)
            }
        })
        .collect()
}

/// All of them in batches, the items of one batch from one provider, the providers in turn.
pub(crate) fn batches(payments: &Payments, proofs: &[String], size: usize) -> Arc<[Call]> {
    let sellers = payments.sellers.len();
    let mut calls = Vec::new();
    for first in (0..proofs.len()).step_by(sellers * size) {
        let last = proofs.len().min(first + sellers * size);
        for seller in 0..sellers {
            let batch = (first + seller..last).step_by(sellers);
            let items: Vec<String> = batch
                .map(|index| item(number(index), &proofs[index], PRICE, Claim::On, payments))
                .collect();
            let body = format!(r#"{{"items":[{}]}}"#, items.join(","));
            calls.push(Call {
                bytes: post("/verify/batch", Some(&payments.sellers[seller]), &body),
                expected: Expected::AllVerified(items.len()),
            });
        }
    }
    calls.into()
}

/// A request to a baseline that answers the same bytes to everybody.
pub(crate) fn constant(path: &str, bodies: &[String], answer: &'static str) -> Arc<[Call]> {
    let calls = bodies.iter().map(|body| Call {
        bytes: post(path, None, body),
        expected: Expected::Body(answer),
    });
    calls.collect()
}

/// The JSON of a request for one good proof.
pub(crate) fn item(
    number: u64,
    proof: &str,
    amount: &str,
    claim: Claim,
    payments: &Payments,
) -> String {
    let mut text = String::with_capacity(proof.len() + 512);
    let (claim, pay_to) = (claim == Claim::On, payments.pay_to(number));
    write!(
        text,
        r#"{{"proof":"{proof}","invoiceId":"{}","amount":"{amount}","payTo":"{pay_to}","network":"devnet","resource":"{}","minConfirmations":1,"claim":{claim},"attempt":"{number:032x}"}}"#,
        invoice_id(number),
        resource(number),
    )
    .unwrap();
    text
}

/// One good proof.
pub(crate) fn one(payments: &Payments, number: u64, proof: &str, claim: Claim) -> Call {
    let body = item(number, proof, PRICE, claim, payments);
    Call {
        bytes: post("/verify", Some(payments.seller(number)), &body),
        expected: Expected::Verified(number),
    }
}

fn bad(payments: &Payments, number: u64, proof: &str, fault: Fault) -> Call {
    let seller = payments.seller(number);
    let signed = |change: &dyn Fn(&mut x402_schemas::proof::ProofClaims)| {
        let mut claims = payments.claims(number);
        change(&mut claims);
        payments.signer.sign(&claims).unwrap()
    };
    let body = |proof: &str| item(number, proof, PRICE, Claim::On, payments);
    let (body, seller, code) = match fault {
        Fault::Signature => {
            // The first letter of the signature, changed: still base64, still 64 bytes.
            let (rest, signature) = proof.rsplit_once('.').unwrap();
            let first = if signature.starts_with('A') { 'B' } else { 'A' };
            let forged = format!("{rest}.{first}{}", &signature[1..]);
            (body(&forged), seller, "INVALID_PROOF")
        }
        Fault::Invoice => {
            let other = invoice_id(number + 1);
            let asked = body(proof).replace(&invoice_id(number), &other);
            (asked, seller, "INVOICE_MISMATCH")
        }
        Fault::Amount => (
            item(number, proof, "0.050000000000000001", Claim::On, payments),
            seller,
            "AMOUNT_MISMATCH",
        ),
        Fault::Recipient => {
            let asked = body(proof).replace(
                &payments.seller(number).payee.to_string(),
                &payments.seller(number + 1).payee.to_string(),
            );
            (asked, payments.seller(number + 1), "RECIPIENT_MISMATCH")
        }
        Fault::Expired => (
            body(&signed(&|claims| claims.exp = claims.iat - 1)),
            seller,
            "PROOF_EXPIRED",
        ),
        Fault::NeverPaid => (
            body(&signed(&|claims| {
                claims.tx_hash = alloy::primitives::keccak256(claims.tx_hash);
            })),
            seller,
            "PAYMENT_NOT_FOUND",
        ),
    };
    Call {
        bytes: post("/verify", Some(seller), &body),
        expected: Expected::Refused(code),
    }
}

fn post(path: &str, seller: Option<&Seller>, body: &str) -> Vec<u8> {
    let authorization = seller.map_or(String::new(), |seller| {
        format!("authorization: Bearer {}\r\n", seller.key.expose())
    });
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: verifier\r\naccept: application/json\r\n{authorization}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn number(index: usize) -> u64 {
    u64::try_from(index).unwrap()
}
