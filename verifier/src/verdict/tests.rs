use proptest::prelude::*;
use x402_schemas::proof::LIFETIME_SECONDS;

use super::*;
use crate::samples::{self, BLOCK, ISSUER, PAYEE, PAYER, PROVIDER, SERVED, TOKEN, now, tip};

/// One way to break each rule, in the order of precedence.
mod order;

/// A good payment, its proof, and the request that asks for it.
struct Good {
    claims: ProofClaims,
    readable: bool,
    sighting: Sighting,
    tip: Option<Tip>,
    payees: Vec<Address>,
    terms: Confirmations,
    claim: Option<Claim>,
    request: VerifyRequest,
}

impl Good {
    fn new() -> Self {
        let claims = samples::claims(1, unix_seconds(now()));
        Self {
            readable: true,
            sighting: Sighting::Standing(samples::transfer(&claims)),
            tip: Some(tip(7, BLOCK)),
            payees: vec![PAYEE],
            terms: Confirmations::default(),
            claim: None,
            request: samples::request(&claims, String::new()),
            claims,
        }
    }

    fn transfer(&mut self, change: impl FnOnce(&mut Transfer)) {
        if let Sighting::Standing(transfer) | Sighting::Retracted(transfer) = &mut self.sighting {
            change(transfer);
        }
    }

    fn retract(&mut self) {
        if let Sighting::Standing(transfer) = self.sighting {
            self.sighting = Sighting::Retracted(transfer);
        }
    }

    fn judge_at(&self, now: Timestamp) -> Result<Verified, NotVerified> {
        let statement = Statement::of("kid".into(), self.claims.clone());
        let facts = Facts {
            served: SERVED,
            domain: &samples::domain(),
            issuer: ISSUER,
            provider_id: PROVIDER,
            payees: &self.payees,
            terms: self.terms,
            statement: self.readable.then_some(&statement),
            look: Some(Look {
                sighting: self.sighting,
                tip: self.tip,
            }),
            claim: self.claim.as_ref(),
        };
        judge(&facts, &self.request, now).map(|transfer| verified(&facts, &self.claims, transfer))
    }

    fn judge(&self) -> Result<Verified, NotVerified> {
        self.judge_at(now())
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Good), expected: Result<(), Refusal>) {
    let mut good = Good::new();
    change(&mut good);
    let verdict = good.judge();
    assert_eq!(
        verdict.map(|_| ()).map_err(|refused| refused.refusal),
        expected
    );
}

fn claim_of(provider_id: &str, invoice: &str, attempt: Option<&str>) -> Claim {
    Claim {
        provider_id: provider_id.into(),
        invoice_id: invoice.parse().unwrap(),
        attempt: attempt.map(Into::into),
        claimed_at: now(),
    }
}

#[test]
fn a_good_proof_is_verified_with_what_the_index_knows() {
    let mut good = Good::new();
    good.tip = Some(tip(7, BLOCK + 64));
    let verified = good.judge().unwrap();
    assert_eq!(verified.payment_id, "pay_1");
    assert_eq!(verified.confirmations, 65);
    assert!(verified.finalized);
    assert_eq!(verified.paid_at, now());
    assert_eq!(verified.claimed_at, None);
}

#[test]
fn what_the_request_does_not_name_is_not_compared_with_it() {
    check(
        |good| {
            good.request.amount = None;
            good.request.pay_to = None;
            good.request.network = None;
            good.request.resource = None;
        },
        Ok(()),
    );
}

#[test]
fn one_base_unit_short_fails() {
    for amount in ["0.049999999999999999", "0.050000000000000001"] {
        let amount = amount.parse().unwrap();
        check(
            |good| good.transfer(|row| row.amount = amount),
            Err(Refusal::AmountMismatch),
        );
        check(
            |good| good.claims.amount = amount,
            Err(Refusal::InvoiceMismatch),
        );
        check(
            |good| {
                good.claims.amount = amount;
                good.sighting = Sighting::Standing(samples::transfer(&good.claims));
            },
            Err(Refusal::AmountMismatch),
        );
    }
}

#[test]
fn index_lag_is_pending_never_not_found() {
    for (tip, expected) in [
        (None, Refusal::PaymentPending),
        (Some(tip(1, 0)), Refusal::PaymentPending),
        (Some(tip(7, BLOCK - 1)), Refusal::PaymentPending),
        (Some(tip(7, BLOCK)), Refusal::PaymentNotFound),
        (Some(tip(7, BLOCK + 1)), Refusal::PaymentNotFound),
    ] {
        let mut good = Good::new();
        good.sighting = Sighting::Absent;
        good.tip = tip;
        let refused = good.judge().unwrap_err();
        assert_eq!(refused.refusal, expected, "{tip:?}");
        let waits = refused.retry_after_ms.is_some_and(|wait_ms| wait_ms >= 500);
        assert_eq!(waits, expected == Refusal::PaymentPending);
    }
}

#[test]
fn a_proof_that_was_not_looked_up_is_pending() {
    let good = Good::new();
    let statement = Statement::of("kid".into(), good.claims.clone());
    let facts = Facts {
        served: SERVED,
        domain: &samples::domain(),
        issuer: ISSUER,
        provider_id: PROVIDER,
        terms: good.terms,
        payees: &good.payees,
        statement: Some(&statement),
        look: None,
        claim: None,
    };
    let refused = judge(&facts, &good.request, now()).unwrap_err();
    assert_eq!(refused.refusal, Refusal::PaymentPending);
}

#[test]
fn a_transfer_seen_before_its_commit_was_followed_has_one_confirmation() {
    let mut good = Good::new();
    good.tip = Some(tip(6, BLOCK - 3));
    assert_eq!(good.judge().unwrap().confirmations, 1);
}

#[test]
fn the_wait_is_told_from_the_block_time() {
    let mut good = Good::new();
    good.request.min_confirmations = Some(4);
    let wait_ms = |good: &Good, second: i64| {
        good.judge_at(samples::at(second))
            .unwrap_err()
            .retry_after_ms
    };
    assert_eq!(wait_ms(&good, 1_700_000_000), Some(36_000));
    assert_eq!(wait_ms(&good, 1_700_000_005), Some(31_000));
    assert_eq!(wait_ms(&good, 1_700_000_900), Some(500));
}

#[test]
fn mint_burn_confiscation_and_rescue_are_never_payments() {
    for kind in TransferKind::ALL {
        let expected = match kind {
            TransferKind::Payment => Ok(()),
            TransferKind::Mint
            | TransferKind::Burn
            | TransferKind::Confiscation
            | TransferKind::Rescue => Err(Refusal::PaymentNotFound),
        };
        check(|good| good.transfer(|row| row.kind = kind), expected);
    }
}

#[test]
fn a_transfer_without_a_memo_is_bound_by_the_proof_alone() {
    check(|good| good.transfer(|row| row.memo = None), Ok(()));
}

#[test]
fn a_transfer_with_a_memo_never_proves_another_invoice() {
    check(
        |good| {
            good.claims.invoice_id = "inv_2".parse().unwrap();
            good.request.invoice_id = "inv_2".parse().unwrap();
        },
        Err(Refusal::InvoiceMismatch),
    );
}

#[test]
fn a_proof_of_another_network_or_token_ends_in_network_mismatch() {
    let changes: [fn(&mut Good); 2] = [
        |good| good.claims.network = Network::MAINNET,
        |good| good.claims.asset = PAYEE,
    ];
    for change in changes {
        let mut good = Good::new();
        change(&mut good);
        good.request.network = None;
        good.sighting = Sighting::Absent;
        assert_eq!(good.judge().unwrap_err().refusal, Refusal::NetworkMismatch);
        good.request.amount = Some("1".parse().unwrap());
        assert_eq!(good.judge().unwrap_err().refusal, Refusal::AmountMismatch);
    }
}

#[test]
fn a_proof_ends_at_its_expiry_to_the_second() {
    let good = Good::new();
    let end = 1_700_000_000 + 86_400;
    assert!(good.judge_at(samples::at(end - 1)).is_ok());
    let refused = good.judge_at(samples::at(end)).unwrap_err();
    assert_eq!(refused.refusal, Refusal::ProofExpired);
}

#[test]
fn a_claim_is_repeated_to_its_own_attempt_only() {
    for (held, asked, claims, expected) in [
        (None, None, true, Ok(())),
        (Some("a"), Some("a"), true, Ok(())),
        (Some("a"), None, true, Ok(())),
        (Some("a"), Some("b"), true, Err(Refusal::AlreadyClaimed)),
        (None, Some("b"), true, Err(Refusal::AlreadyClaimed)),
        (Some("a"), Some("b"), false, Ok(())),
    ] {
        check(
            |good| {
                good.claim = Some(claim_of(PROVIDER, "inv_1", held));
                good.request.attempt = asked.map(Into::into);
                good.request.claim = Some(claims);
            },
            expected,
        );
    }
}

#[test]
fn a_look_without_a_claim_still_sees_another_ones_claim() {
    check(
        |good| {
            good.request.claim = Some(false);
            good.claim = Some(claim_of("prov_2", "inv_1", None));
        },
        Err(Refusal::AlreadyClaimed),
    );
}

#[test]
fn a_claimed_payment_that_was_reverted_is_reverted_for_its_claimer() {
    for (claim, expected) in [
        (claim_of(PROVIDER, "inv_1", None), Refusal::PaymentReverted),
        (claim_of("prov_2", "inv_1", None), Refusal::AlreadyClaimed),
    ] {
        check(
            |good| {
                good.retract();
                good.claim = Some(claim);
            },
            Err(expected),
        );
    }
}

#[test]
fn the_stricter_of_provider_and_request_decides() {
    for (own, asked, expected) in [
        (1, None, Ok(())),
        (2, None, Err(Refusal::PaymentPending)),
        (1, Some(2), Err(Refusal::PaymentPending)),
        (2, Some(1), Err(Refusal::PaymentPending)),
    ] {
        let change = |good: &mut Good| {
            good.terms.min_confirmations = own;
            good.request.min_confirmations = asked;
        };
        check(change, expected);
    }
    for (own, asked) in [(true, None), (true, Some(false)), (false, Some(true))] {
        let change = |good: &mut Good| {
            good.terms.finalized = own;
            good.request.finalized = asked;
        };
        check(change, Err(Refusal::PaymentPending));
    }
}

#[test]
fn a_final_payment_passes_and_the_wait_for_it_is_told_from_the_block_time() {
    let mut good = Good::new();
    good.request.finalized = Some(true);
    let pending = good.judge().unwrap_err();
    assert_eq!(pending.retry_after_ms, Some(64 * 12_000));
    good.tip = Some(tip(7, BLOCK + 64));
    assert!(good.judge().unwrap().finalized);
}

#[test]
fn an_index_is_stale_by_the_age_of_its_last_block() {
    let served = Served {
        max_age_seconds: Some(300),
        ..SERVED
    };
    let end = |seconds: i64| samples::at(1_700_000_000 + seconds);
    assert!(!is_stale(served, Some(tip(1, BLOCK)), end(300)));
    assert!(is_stale(served, Some(tip(1, BLOCK)), end(301)));
    assert!(
        !is_stale(served, None, end(301)),
        "empty is behind, not stale"
    );
    assert!(!is_stale(SERVED, Some(tip(1, BLOCK)), end(1_000_000)));
}

proptest! {
    #[test]
    fn only_the_exact_amount_passes(units: u64) {
        let exact = 50_000_000_000_000_000_u64;
        let mut good = Good::new();
        good.request.amount = Some(x402_schemas::amount::Amount::from_base_units(alloy_primitives::U256::from(units)));
        prop_assert_eq!(good.judge().is_ok(), units == exact);
    }

    #[test]
    fn no_numbers_make_the_judge_panic(block: u64, tip_block: u64, time: u64, wanted: u64, second in 0_i64..4_000_000_000, absent: bool) {
        let mut good = Good::new();
        good.claims.block_number = block;
        good.transfer(|row| { row.block_number = block; row.block_time = time; });
        if absent { good.sighting = Sighting::Absent; }
        good.tip = Some(Tip { block_time: time, ..tip(1, tip_block) });
        good.request.min_confirmations = Some(wanted);
        let _ = good.judge_at(samples::at(second));
    }
}
