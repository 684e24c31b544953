use alloy::primitives::{U256, address};
use proptest::prelude::*;
use x402_schemas::policy::AllowedProvider;

use super::*;

const PAYEE: Address = address!("00000000000000000000000000000000000000aa");

fn mnee(text: &str) -> Amount {
    text.parse().unwrap()
}

fn policy() -> Policy {
    Policy {
        per_request: mnee("0.10"),
        daily: mnee("5"),
        monthly: mnee("50"),
        allowed_providers: vec![AllowedProvider::Payee(PAYEE)],
    }
}

fn ask() -> Ask {
    Ask {
        pay_to: PAYEE,
        amount: mnee("0.05"),
        network: Network::DEVNET,
        known: Known::No,
    }
}

/// Starts from what is allowed and changes one thing.
fn outcome(
    change: impl FnOnce(&mut Option<Policy>, &mut Amount, &mut Spent, &mut Ask),
) -> Result<RemainingLimits, Denial> {
    let (mut policy, mut budget) = (Some(policy()), mnee("1000"));
    let (mut spent, mut ask) = (Spent::default(), ask());
    change(&mut policy, &mut budget, &mut spent, &mut ask);
    let standing = Standing {
        policy: policy.as_ref(),
        monthly_budget: budget,
        spent,
        pays_on: Network::DEVNET,
    };
    decide(&standing, &ask)
}

#[test]
fn an_allowed_payment_says_what_is_left_after_it() {
    let remaining = outcome(|_, _, spent, _| spent.agent_day = mnee("1")).unwrap();
    assert_eq!(remaining.daily, mnee("3.95"));
    assert_eq!(remaining.monthly, mnee("49.95"));
    assert_eq!(remaining.workspace_monthly, mnee("999.95"));
}

#[test]
fn each_rule_denies_with_its_own_code() {
    type Change = fn(&mut Option<Policy>, &mut Amount, &mut Spent, &mut Ask);
    let unit = "0.000000000000000001";
    assert_eq!(mnee(unit).base_units(), U256::from(1));
    let cases: [(Denial, Change); 9] = [
        (Denial::AgentDisabled, |policy, _, _, _| *policy = None),
        (Denial::ProviderNotAllowed, |_, _, _, ask| {
            ask.pay_to = Address::repeat_byte(1);
        }),
        (Denial::ProviderNotAllowed, |policy, _, _, _| {
            policy.as_mut().unwrap().allowed_providers.clear();
        }),
        (Denial::NetworkNotAllowed, |_, _, _, ask| {
            ask.network = Network::MAINNET;
        }),
        (Denial::AgentRequestLimit, |_, _, _, ask| {
            ask.amount = mnee("0.100000000000000001");
        }),
        (Denial::AgentDailyLimit, |_, _, spent, _| {
            spent.agent_day = mnee("4.950000000000000001");
        }),
        (Denial::AgentMonthlyLimit, |_, _, spent, _| {
            spent.agent_month = mnee("49.950000000000000001");
        }),
        (Denial::WorkspaceBudgetExceeded, |_, budget, _, _| {
            *budget = mnee("0.049999999999999999");
        }),
        (Denial::DuplicatePayment, |_, _, _, ask| {
            ask.known = Known::OtherTerms;
        }),
    ];
    for (denial, change) in cases {
        assert_eq!(outcome(change), Err(denial), "{denial}");
    }
}

#[test]
fn a_limit_can_be_spent_to_its_last_unit() {
    let remaining = outcome(|_, budget, spent, ask| {
        ask.amount = mnee("0.10");
        spent.agent_day = mnee("4.90");
        spent.agent_month = mnee("49.90");
        *budget = mnee("0.10");
    })
    .unwrap();
    assert!(remaining.daily.is_zero() && remaining.monthly.is_zero());
    assert!(remaining.workspace_monthly.is_zero());
}

#[test]
fn the_first_rule_that_refuses_is_reported() {
    // Everything is wrong at once; taking one obstacle away after the other shows the order.
    let everything = |mended: usize| {
        outcome(|policy, budget, spent, ask| {
            if mended < 1 {
                *policy = None;
            }
            if mended < 2 {
                ask.pay_to = Address::ZERO;
            }
            if mended < 3 {
                ask.network = Network::MAINNET;
            }
            if mended < 4
                && let Some(policy) = policy
            {
                policy.per_request = Amount::ZERO;
            }
            if mended < 5 {
                spent.agent_day = mnee("5");
            }
            if mended < 6 {
                spent.agent_month = mnee("50");
            }
            if mended < 7 {
                *budget = Amount::ZERO;
            }
            ask.known = Known::OtherTerms;
        })
    };
    let seen: Vec<Denial> = (0..8)
        .map(|mended| everything(mended).unwrap_err())
        .collect();
    let mut ordered = seen.clone();
    ordered.sort();
    assert_eq!(seen, ordered);
    assert_eq!(seen.last(), Some(&Denial::DuplicatePayment));
}

#[test]
fn asking_again_for_what_is_paid_already_costs_nothing() {
    let remaining = outcome(|_, _, spent, ask| {
        spent.agent_day = mnee("5");
        ask.known = Known::SameTerms;
    })
    .unwrap();
    assert!(remaining.daily.is_zero());
}

#[test]
fn sums_past_256_bits_are_denied_not_wrapped() {
    let most = Amount::from_base_units(U256::MAX);
    let denied = outcome(|policy, _, spent, _| {
        policy.as_mut().unwrap().daily = most;
        spent.agent_day = most;
    });
    assert_eq!(denied, Err(Denial::AgentDailyLimit));
}

proptest! {
    /// Whatever is asked in whatever order, and whatever fails meanwhile, no limit is passed.
    #[test]
    fn reserved_and_spent_never_pass_a_limit(
        steps in prop::collection::vec((1_u64..200, any::<bool>()), 1..100),
        per_request in 0_u64..200, daily in 0_u64..1_000, monthly in 0_u64..2_000, budget in 0_u64..2_000,
    ) {
        let units = |count: u64| Amount::from_base_units(U256::from(count));
        let policy = Policy {
            per_request: units(per_request),
            daily: units(daily),
            monthly: units(monthly),
            allowed_providers: vec![AllowedProvider::Anyone],
        };
        let mut spent = Spent::default();
        for (amount, fails) in steps {
            let amount = units(amount);
            let standing = Standing { policy: Some(&policy), monthly_budget: units(budget), spent, pays_on: Network::DEVNET };
            let ask = Ask { amount, ..ask() };
            let Ok(remaining) = decide(&standing, &ask) else { continue };
            let before = spent;
            spent = Spent {
                agent_day: spent.agent_day.checked_add(amount).unwrap(),
                agent_month: spent.agent_month.checked_add(amount).unwrap(),
                workspace_month: spent.workspace_month.checked_add(amount).unwrap(),
            };
            prop_assert!(amount <= policy.per_request);
            prop_assert_eq!(spent.agent_day.checked_add(remaining.daily), Some(policy.daily));
            prop_assert_eq!(spent.agent_month.checked_add(remaining.monthly), Some(policy.monthly));
            prop_assert_eq!(spent.workspace_month.checked_add(remaining.workspace_monthly), Some(units(budget)));
            if fails {
                spent = before;
            }
        }
    }
}
