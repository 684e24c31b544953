//! Asks in any order at any time, some of which fail later, against a list of what counts that is summed
//! by brute force: what is allowed broke no rule, what is denied broke the one that is named.

use alloy::primitives::U256;
use jiff::{SignedDuration, tz::TimeZone};
use proptest::prelude::*;
use x402_schemas::policy::RollingLimit;

use super::*;
use crate::policy::tally::{Purchase, Tally};

#[derive(Clone, Debug)]
struct Step {
    after: SignedDuration,
    amount: u64,
    payee: u8,
    fails: bool,
}

fn units(count: u64) -> Amount {
    Amount::from_base_units(U256::from(count))
}

fn payee_number(number: u8) -> Address {
    Address::repeat_byte(number.saturating_add(1))
}

fn step() -> impl Strategy<Value = Step> {
    let pause = prop_oneof![0_i64..60, 0_i64..7_200, 0_i64..400_000];
    (pause, 1_u64..6, 0_u8..3, any::<bool>()).prop_map(|(seconds, amount, payee, fails)| Step {
        after: SignedDuration::from_secs(seconds),
        amount,
        payee,
        fails,
    })
}

fn some_policy() -> impl Strategy<Value = Policy> {
    let sums = (1_u64..6, 1_u64..30, 1_u64..60, prop::option::of(1_u64..200));
    let rest = (
        prop::collection::vec((1_u16..100, 1_u64..40), 0..3),
        prop::option::of(1_u32..4),
        prop::option::of(1_u32..10_000),
        prop::option::of(1_u64..6),
    );
    (sums, rest).prop_map(
        |((request, day, month, total), (rolling, rate, again, approval))| Policy {
            rolling: rolling
                .into_iter()
                .map(|(hours, limit)| RollingLimit {
                    hours,
                    limit: units(limit),
                })
                .collect(),
            total: total.map(units),
            payments_per_minute: rate,
            duplicate_within_seconds: again,
            approval_above: approval.map(units),
            ..Policy::new(
                units(request),
                units(day),
                units(month),
                vec![AllowedProvider::Anyone],
            )
        },
    )
}

/// What counts, in no particular shape.
type Counted = Vec<(Timestamp, u64, u8)>;

/// Every rule of one level that a payment would break, the naive way.
fn broken(
    policy: &Policy,
    counted: &Counted,
    at: Timestamp,
    step: &Step,
    agent: bool,
) -> Vec<Denial> {
    let sum = |counts: &dyn Fn(Timestamp) -> bool| -> Amount {
        let amounts = counted.iter().filter(|(then, ..)| counts(*then));
        units(
            amounts
                .map(|(_, amount, _)| amount)
                .sum::<u64>()
                .saturating_add(step.amount),
        )
    };
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let month = |at: Timestamp| (day(at).year(), day(at).month());
    let within = |then: Timestamp, span: SignedDuration| at.duration_since(then) < span;
    let mut broken = Vec::new();
    let mut rule = |breaks: bool, code: Denial| {
        if breaks {
            broken.push(code);
        }
    };
    let own = |code: Denial| {
        if agent {
            code
        } else {
            Denial::WorkspaceBudgetExceeded
        }
    };
    rule(
        units(step.amount) > policy.per_request,
        if agent {
            Denial::AgentRequestLimit
        } else {
            Denial::WorkspaceRequestLimit
        },
    );
    rule(
        sum(&|then| day(then) == day(at)) > policy.daily,
        own(Denial::AgentDailyLimit),
    );
    rule(
        sum(&|then| month(then) == month(at)) > policy.monthly,
        own(Denial::AgentMonthlyLimit),
    );
    for window in &policy.rolling {
        let span = SignedDuration::from_hours(window.hours.into());
        rule(
            sum(&|then| within(then, span)) > window.limit,
            own(Denial::AgentRollingLimit),
        );
    }
    if let Some(total) = policy.total {
        rule(sum(&|_| true) > total, own(Denial::AgentBudgetExceeded));
    }
    if let Some(most) = policy.payments_per_minute {
        let recent = counted
            .iter()
            .filter(|(then, ..)| within(*then, SignedDuration::from_mins(1)));
        rule(
            recent.count() >= usize::try_from(most).unwrap(),
            Denial::RateLimited,
        );
    }
    if let Some(seconds) = policy.duplicate_within_seconds {
        let span = SignedDuration::from_secs(seconds.into());
        let same = counted.iter().any(|(then, amount, payee)| {
            (*amount, *payee) == (step.amount, step.payee) && within(*then, span)
        });
        rule(same, Denial::DuplicatePurchase);
    }
    broken
}

/// The list as the policy's own bookkeeping has it.
fn tally(counted: &Counted, resource: &Resource) -> Tally {
    let mut tally = Tally::default();
    for (at, amount, payee) in counted {
        tally.count(&purchase(*at, *amount, *payee, resource));
    }
    tally
}

fn purchase(at: Timestamp, amount: u64, payee: u8, resource: &Resource) -> Purchase<'_> {
    Purchase {
        pay_to: payee_number(payee),
        amount: units(amount),
        resource,
        at,
    }
}

proptest! {
    #[test]
    fn reserved_and_spent_never_pass_a_limit(
        steps in prop::collection::vec(step(), 1..60), policy in some_policy(), workspace in prop::option::of(some_policy()),
        budget in 0_u64..100,
    ) {
        let resource = report();
        let (mut counted, mut at) = (Counted::new(), noon());
        for step in &steps {
            at = at.saturating_add(step.after).unwrap();
            let spent = |policy| tally(&counted, &resource).spent(policy, &purchase(at, step.amount, step.payee, &resource));
            let standing = Standing {
                agent: Level { policy: Some(&policy), paused: false, spent: spent(Some(&policy)) },
                workspace: Level { policy: workspace.as_ref(), paused: false, spent: spent(workspace.as_ref()) },
                monthly_budget: units(budget),
                pays_on: Network::DEVNET,
            };
            let ask = Ask {
                pay_to: payee_number(step.payee), amount: units(step.amount), resource: &resource,
                network: Network::DEVNET, at, origin: ORIGIN, known: Known::No, approved: false,
            };
            let mut reasons = broken(&policy, &counted, at, step, true);
            reasons.extend(workspace.iter().flat_map(|policy| broken(policy, &counted, at, step, false)));
            let only_budget = Policy { monthly: units(budget), ..Policy::new(units(9), units(999), units(budget), vec![]) };
            reasons.extend(broken(&only_budget, &counted, at, step, false));
            match decide(&standing, &ask) {
                Ok(allowed) => {
                    prop_assert_eq!(&reasons, &vec![], "allowed although");
                    let above = |policy: &Policy| policy.approval_above.is_some_and(|most| units(step.amount) > most);
                    prop_assert_eq!(allowed.needs_approval, above(&policy) || workspace.as_ref().is_some_and(above));
                    if !step.fails {
                        counted.push((at, step.amount, step.payee));
                    }
                }
                Err(denied) => prop_assert_eq!(Some(&denied.code), reasons.iter().min(), "{}", denied.message),
            }
        }
    }
}
