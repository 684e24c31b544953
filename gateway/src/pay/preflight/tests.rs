use alloy::primitives::{U256, address};

use super::*;
use crate::chain::At;

const TREASURY: Address = address!("00000000000000000000000000000000000000bb");

fn mnee(text: &str) -> Amount {
    text.parse().unwrap()
}

fn wei(count: u64) -> Amount {
    Amount::from_base_units(U256::from(count))
}

/// The most that a payment of the tests may bid for one gas.
const CEILING: u128 = 30;

fn state() -> Around {
    Around {
        at: At {
            number: 7,
            base_fee: 10,
        },
        paused: false,
        blocked: None,
        balance: mnee("1"),
        allowance: mnee("1"),
        gas_wei: wei(10_000_000),
        mined: 0,
        fees: Fees {
            max_fee_per_gas: 20,
            max_priority_fee_per_gas: 1,
        },
        simulation: Simulation::Succeeds { gas: 80_000 },
    }
}

fn reverts(selector: Option<[u8; 4]>) -> Simulation {
    Simulation::Reverts {
        selector,
        reason: "execution reverted".to_owned(),
    }
}

fn outcome(change: impl FnOnce(&mut Around, &mut InFlight)) -> Result<Gas, PaymentFailure> {
    let (mut state, mut in_flight) = (state(), InFlight::default());
    change(&mut state, &mut in_flight);
    let observed = Observed {
        workspace_number: 1,
        treasury: TREASURY,
        ceiling_wei: CEILING,
        around: state,
    };
    judge(&observed, mnee("0.5"), in_flight).map_err(|failure| match failure.code {
        PaymentError::Failed(code) => code,
        PaymentError::Denied(denial) => panic!("{denial}"),
    })
}

#[test]
fn a_payment_that_would_go_through_gets_a_quarter_more_gas_than_it_takes() {
    let gas = outcome(|_, _| ()).unwrap();
    assert_eq!(gas.limit, 100_000);
    assert_eq!(gas.most_wei, wei(2_000_000));
}

#[test]
fn gas_money_for_the_ceiling_beside_what_is_in_flight_is_enough() {
    let gas = outcome(|_, in_flight| in_flight.gas_wei = wei(7_000_000));
    assert_eq!(gas.unwrap().most_wei, wei(2_000_000));
}

#[test]
fn each_obstacle_has_its_own_code() {
    type Change = fn(&mut Around, &mut InFlight);
    let cases: [(PaymentFailure, Change); 14] = [
        (PaymentFailure::TokenPaused, |state, _| state.paused = true),
        (PaymentFailure::AccountBlocked, |state, _| {
            state.blocked = Some(TREASURY);
        }),
        (PaymentFailure::InsufficientBalance, |state, _| {
            state.balance = mnee("0.499999999999999999");
        }),
        (PaymentFailure::InsufficientBalance, |_, in_flight| {
            in_flight.amount = mnee("0.500000000000000001");
        }),
        (PaymentFailure::InsufficientAllowance, |state, _| {
            state.allowance = mnee("0.499999999999999999");
        }),
        (PaymentFailure::InsufficientAllowance, |state, in_flight| {
            state.balance = mnee("100");
            in_flight.amount = mnee("0.6");
        }),
        (PaymentFailure::InsufficientGas, |state, _| {
            // Enough at what it bids now, and not at the ceiling.
            state.gas_wei = wei(2_999_999);
        }),
        (PaymentFailure::InsufficientGas, |_, in_flight| {
            in_flight.gas_wei = wei(7_000_001);
        }),
        (PaymentFailure::WalletError, |state, _| {
            state.at.base_fee = 21;
        }),
        (PaymentFailure::WalletError, |state, _| {
            state.simulation = Simulation::Succeeds { gas: 300_000 };
        }),
        (PaymentFailure::TokenPaused, |state, _| {
            state.simulation = reverts(Some([0x86, 0xc7, 0x5e, 0x74]));
        }),
        (PaymentFailure::AccountBlocked, |state, _| {
            state.simulation = reverts(Some([0x97, 0xa2, 0x32, 0x70]));
        }),
        (PaymentFailure::AccountBlocked, |state, _| {
            state.simulation = reverts(Some([0xea, 0x69, 0x70, 0xd8]));
        }),
        (PaymentFailure::WalletError, |state, _| {
            state.simulation = reverts(None);
        }),
    ];
    for (position, (code, change)) in cases.into_iter().enumerate() {
        assert_eq!(outcome(change), Err(code), "case {position}");
    }
}

#[test]
fn an_empty_treasury_is_reported_before_the_revert_that_it_causes() {
    let outcome = outcome(|state, _| {
        state.balance = Amount::ZERO;
        state.simulation = reverts(None);
    });
    assert_eq!(outcome, Err(PaymentFailure::InsufficientBalance));
}

#[test]
fn the_calldata_is_the_transfer_and_then_the_invoices_hash() {
    let memo = B256::repeat_byte(9);
    let data = calldata(TREASURY, Address::repeat_byte(1), mnee("0.5"), memo);
    assert_eq!(data.len(), 4 + 3 * 32 + 32);
    assert_eq!(data[..4], [0x23, 0xb8, 0x72, 0xdd]);
    assert_eq!(data[100..], memo[..]);
}
