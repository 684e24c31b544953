use std::collections::HashSet;

use super::*;

type Break = fn(&mut Good);

/// One way to break each rule, in the order of precedence.
const BREAKS: &[(Break, Refusal)] = &[
    (|good| good.readable = false, Refusal::InvalidProof),
    (
        |good| good.claims.iss = "https://other.example.com".into(),
        Refusal::InvalidProof,
    ),
    (|good| good.claims.iat += 301, Refusal::InvalidProof),
    (
        |good| good.claims.exp -= LIFETIME_SECONDS,
        Refusal::ProofExpired,
    ),
    (
        |good| good.transfer(|row| row.kind = TransferKind::Mint),
        Refusal::PaymentNotFound,
    ),
    (
        |good| good.transfer(|row| row.from = TOKEN),
        Refusal::PaymentNotFound,
    ),
    (
        |good| good.request.min_confirmations = Some(2),
        Refusal::PaymentPending,
    ),
    (
        |good| good.request.invoice_id = "inv_2".parse().unwrap(),
        Refusal::InvoiceMismatch,
    ),
    (
        |good| good.request.resource = Some("POST https://api.example.com/report".parse().unwrap()),
        Refusal::InvoiceMismatch,
    ),
    (
        |good| good.transfer(|row| row.memo = Some(B256::repeat_byte(1))),
        Refusal::InvoiceMismatch,
    ),
    (
        |good| good.request.amount = Some("0.050000000000000001".parse().unwrap()),
        Refusal::AmountMismatch,
    ),
    (
        |good| good.transfer(|row| row.amount = "0.04".parse().unwrap()),
        Refusal::AmountMismatch,
    ),
    (
        |good| good.request.pay_to = Some(PAYER),
        Refusal::RecipientMismatch,
    ),
    (|good| good.payees = vec![PAYER], Refusal::RecipientMismatch),
    (|good| good.payees.clear(), Refusal::RecipientMismatch),
    (
        |good| good.transfer(|row| row.to = TOKEN),
        Refusal::RecipientMismatch,
    ),
    (
        |good| good.request.network = Some(Network::MAINNET),
        Refusal::NetworkMismatch,
    ),
    (
        |good| good.transfer(|row| row.token = PAYEE),
        Refusal::NetworkMismatch,
    ),
    (
        |good| good.claim = Some(claim_of("prov_2", "inv_1", None)),
        Refusal::AlreadyClaimed,
    ),
    (
        |good| good.claim = Some(claim_of(PROVIDER, "inv_9", None)),
        Refusal::AlreadyClaimed,
    ),
    (Good::retract, Refusal::PaymentReverted),
];

#[test]
fn verification_compares_invoice_amount_payee_asset_network() {
    check(|_| (), Ok(()));
    for (number, (change, refusal)) in BREAKS.iter().enumerate() {
        let mut good = Good::new();
        change(&mut good);
        assert_eq!(
            good.judge().unwrap_err().refusal,
            *refusal,
            "break {number}"
        );
    }
}

#[test]
fn the_first_refusal_that_holds_is_the_one_reported() {
    assert!(BREAKS.is_sorted_by_key(|(_, refusal)| *refusal));
    let reported: HashSet<Refusal> = BREAKS.iter().map(|(_, refusal)| *refusal).collect();
    assert_eq!(reported.len(), Refusal::ALL.len());
    for (first, (change_first, expected)) in BREAKS.iter().enumerate() {
        for (change_second, second) in &BREAKS[first..] {
            // What a reorg has removed waits for no confirmations.
            if (*expected, *second) == (Refusal::PaymentPending, Refusal::PaymentReverted) {
                continue;
            }
            for both in [[change_first, change_second], [change_second, change_first]] {
                let mut good = Good::new();
                for change in both {
                    change(&mut good);
                }
                assert_eq!(
                    good.judge().unwrap_err().refusal,
                    *expected,
                    "with {second}"
                );
            }
        }
    }
}
