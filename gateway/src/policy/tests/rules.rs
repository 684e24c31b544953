use alloy::primitives::U256;
use x402_schemas::policy::{ActiveHours, RollingLimit};

use super::*;

/// What is asked, and around it. Starts as what is allowed.
struct Case {
    agent: Option<Policy>,
    workspace: Option<Policy>,
    budget: Amount,
    agent_paused: bool,
    workspace_paused: bool,
    agent_spent: Spent,
    workspace_spent: Spent,
    pay_to: Address,
    amount: Amount,
    resource: Resource,
    network: Network,
    origin: Origin,
    known: Known,
    approved: bool,
}

impl Case {
    fn new() -> Self {
        Self {
            agent: Some(policy()),
            workspace: Some(policy()),
            budget: mnee("1000"),
            agent_paused: false,
            workspace_paused: false,
            agent_spent: Spent::default(),
            workspace_spent: Spent::default(),
            pay_to: PAYEE,
            amount: mnee("0.05"),
            resource: report(),
            network: Network::DEVNET,
            origin: ORIGIN,
            known: Known::No,
            approved: false,
        }
    }

    fn agent(&mut self) -> &mut Policy {
        self.agent.as_mut().unwrap()
    }

    fn workspace(&mut self) -> &mut Policy {
        self.workspace.as_mut().unwrap()
    }

    fn decide(&self) -> Result<Allowed, Denied> {
        let standing = Standing {
            agent: Level {
                policy: self.agent.as_ref(),
                paused: self.agent_paused,
                spent: self.agent_spent.clone(),
            },
            workspace: Level {
                policy: self.workspace.as_ref(),
                paused: self.workspace_paused,
                spent: self.workspace_spent.clone(),
            },
            monthly_budget: self.budget,
            pays_on: Network::DEVNET,
        };
        let ask = Ask {
            pay_to: self.pay_to,
            amount: self.amount,
            resource: &self.resource,
            network: self.network,
            at: noon(),
            origin: self.origin,
            known: self.known,
            approved: self.approved,
        };
        decide(&standing, &ask)
    }
}

type Change = fn(&mut Case);

fn outcome(change: impl FnOnce(&mut Case)) -> Result<Allowed, Denied> {
    let mut case = Case::new();
    change(&mut case);
    case.decide()
}

fn code(change: impl FnOnce(&mut Case)) -> Result<Allowed, Denial> {
    outcome(change).map_err(|denied| denied.code)
}

/// One window of a day, with so much spent in it.
fn in_window(policy: &mut Policy, spent: &mut Spent, amount: &str) {
    policy.rolling = vec![RollingLimit {
        hours: 24,
        limit: mnee("1"),
    }];
    spent.rolling = vec![mnee(amount)];
}

fn hours(from: &str, to: &str) -> ActiveHours {
    ActiveHours {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    }
}

#[test]
fn an_allowed_payment_says_what_is_left_after_it() {
    let remaining = outcome(|case| {
        case.agent_spent.day = mnee("1");
        case.workspace_spent.month = mnee("2");
    })
    .unwrap()
    .remaining;
    assert_eq!(remaining.daily, mnee("3.95"));
    assert_eq!(remaining.monthly, mnee("49.95"));
    assert_eq!(remaining.workspace_monthly, mnee("997.95"));
}

/// Each thing that refuses, alone, in the order in which it is reported.
const OBSTACLES: [(Denial, Change); 34] = [
    (Denial::AgentDisabled, |case| case.agent = None),
    (Denial::AgentPaused, |case| case.agent_paused = true),
    (Denial::WorkspacePaused, |case| case.workspace_paused = true),
    (Denial::PolicyExpired, |case| {
        case.agent().expires_at = Some(noon());
    }),
    (Denial::PolicyExpired, |case| {
        case.workspace().expires_at = Some(noon());
    }),
    (Denial::OutsideActiveHours, |case| {
        case.agent().active_hours = Some(hours("12:01", "12:00"));
    }),
    (Denial::OutsideActiveHours, |case| {
        case.workspace().active_hours = Some(hours("08:00", "12:00"));
    }),
    (Denial::ProviderNotAllowed, |case| {
        case.agent().allowed_providers.clear();
    }),
    (Denial::ProviderNotAllowed, |case| {
        case.agent().denied_providers = vec![PAYEE];
    }),
    (Denial::ProviderNotAllowed, |case| {
        case.agent().allowed_hosts = Some(vec!["*.api.example.com".parse().unwrap()]);
    }),
    (Denial::ProviderNotAllowed, |case| {
        case.workspace().denied_hosts = vec!["*.example.com".parse().unwrap()];
    }),
    (Denial::RecipientNotRegistered, |case| {
        case.origin.registration = Registration::AnotherPayee;
        // Nothing that a policy says makes up for that.
        case.agent().allow_unregistered = true;
        case.workspace().allow_unregistered = true;
    }),
    (Denial::RecipientNotRegistered, |case| {
        case.origin.registration = Registration::None;
        case.agent().allow_unregistered = false;
        case.workspace().allow_unregistered = true;
    }),
    (Denial::RecipientNotRegistered, |case| {
        case.origin.registration = Registration::None;
        case.agent().allow_unregistered = true;
        case.workspace().allow_unregistered = false;
    }),
    (Denial::InvoiceSignatureInvalid, |case| {
        case.origin.signature = Signature::Invalid;
    }),
    (Denial::InvoiceNotSigned, |case| {
        case.workspace().require_signed_invoices = true;
    }),
    (Denial::NetworkNotAllowed, |case| {
        case.network = Network::MAINNET;
    }),
    (Denial::NetworkNotAllowed, |case| {
        case.workspace().networks = Some(vec![Network::MAINNET]);
    }),
    (Denial::AgentRequestLimit, |case| {
        case.agent().per_request = mnee("0.049999999999999999");
    }),
    (Denial::WorkspaceRequestLimit, |case| {
        case.workspace().per_request = mnee("0.049999999999999999");
    }),
    (Denial::AgentDailyLimit, |case| {
        case.agent_spent.day = mnee("4.950000000000000001");
    }),
    (Denial::AgentMonthlyLimit, |case| {
        case.agent_spent.month = mnee("49.950000000000000001");
    }),
    (Denial::AgentRollingLimit, |case| {
        let (policy, spent) = (case.agent.as_mut().unwrap(), &mut case.agent_spent);
        in_window(policy, spent, "0.950000000000000001");
    }),
    (Denial::AgentBudgetExceeded, |case| {
        case.agent().total = Some(mnee("10"));
        case.agent_spent.total = mnee("9.950000000000000001");
    }),
    (Denial::WorkspaceBudgetExceeded, |case| {
        case.workspace_spent.day = mnee("4.950000000000000001");
    }),
    (Denial::WorkspaceBudgetExceeded, |case| {
        case.workspace_spent.month = mnee("49.950000000000000001");
    }),
    (Denial::WorkspaceBudgetExceeded, |case| {
        let (policy, spent) = (case.workspace.as_mut().unwrap(), &mut case.workspace_spent);
        in_window(policy, spent, "0.950000000000000001");
    }),
    (Denial::WorkspaceBudgetExceeded, |case| {
        case.workspace().total = Some(mnee("10"));
        case.workspace_spent.total = mnee("9.950000000000000001");
    }),
    (Denial::WorkspaceBudgetExceeded, |case| {
        case.budget = mnee("0.049999999999999999");
    }),
    (Denial::RateLimited, |case| {
        case.agent().payments_per_minute = Some(3);
        case.agent_spent.last_minute = 3;
    }),
    (Denial::RateLimited, |case| {
        case.workspace().payments_per_minute = Some(3);
        case.workspace_spent.last_minute = 3;
    }),
    (Denial::DuplicatePayment, |case| {
        case.known = Known::OtherTerms;
    }),
    (Denial::DuplicatePurchase, |case| {
        case.agent().duplicate_within_seconds = Some(60);
        case.agent_spent.same_purchase = Some("2026-11-22T11:59:00.001Z".parse().unwrap());
    }),
    (Denial::DuplicatePurchase, |case| {
        case.workspace().duplicate_within_seconds = Some(60);
        case.workspace_spent.same_purchase = Some(noon());
    }),
];

#[test]
fn each_rule_denies_with_its_own_code_and_says_what_helps() {
    for (number, (denial, change)) in OBSTACLES.into_iter().enumerate() {
        let denied = outcome(change).unwrap_err();
        assert_eq!(denied.code, denial, "obstacle {number}");
        assert!(denied.message.len() > 20, "{denied:?}");
    }
}

#[test]
fn the_first_rule_that_refuses_is_reported() {
    // Everything from one obstacle on is wrong at once. Those of a level's spending that the next ones
    // set anew are the same limit of the other.
    for first in 0..OBSTACLES.len() {
        let all = code(|case| {
            for (denial, change) in &OBSTACLES[first..] {
                if *denial != Denial::AgentDisabled {
                    change(case);
                }
            }
            if OBSTACLES[first].0 == Denial::AgentDisabled {
                case.agent = None;
            }
        });
        assert_eq!(all, Err(OBSTACLES[first].0), "obstacle {first}");
    }
    let codes: Vec<Denial> = OBSTACLES.iter().map(|(denial, _)| *denial).collect();
    assert!(
        codes.is_sorted(),
        "the order of the codes is the order of the rules"
    );
}

#[test]
fn what_is_just_within_a_rule_is_allowed() {
    let within: [Change; 11] = [
        |case| {
            case.amount = mnee("0.10");
            case.agent_spent.day = mnee("4.90");
            case.agent_spent.month = mnee("49.90");
            case.budget = mnee("0.10");
        },
        |case| case.agent().expires_at = Some("2026-11-22T12:00:00.001Z".parse().unwrap()),
        |case| case.agent().active_hours = Some(hours("12:00", "12:01")),
        |case| case.agent().allowed_hosts = Some(vec!["api.example.com".parse().unwrap()]),
        |case| {
            let (policy, spent) = (case.agent.as_mut().unwrap(), &mut case.agent_spent);
            in_window(policy, spent, "0.95");
        },
        |case| {
            case.agent().total = Some(mnee("10"));
            case.agent_spent.total = mnee("9.95");
        },
        |case| {
            case.agent().payments_per_minute = Some(3);
            case.agent_spent.last_minute = 2;
        },
        |case| {
            case.agent().duplicate_within_seconds = Some(60);
            case.agent_spent.same_purchase = Some("2026-11-22T11:59:00Z".parse().unwrap());
        },
        |case| case.workspace = None,
        |case| {
            case.origin.registration = Registration::None;
            case.agent().allow_unregistered = true;
            case.workspace().allow_unregistered = true;
        },
        |case| {
            case.agent().require_signed_invoices = true;
            case.origin.signature = Signature::Valid;
        },
    ];
    for (number, change) in within.into_iter().enumerate() {
        assert!(outcome(change).is_ok(), "number {number}");
    }
}

#[test]
fn an_amount_above_the_threshold_needs_an_approval_of_either_level_once() {
    let approval = |change: Change| outcome(change).unwrap().needs_approval;
    assert!(!approval(
        |case| case.agent().approval_above = Some(mnee("0.05"))
    ));
    let above: [Change; 2] = [
        |case| case.agent().approval_above = Some(mnee("0.049999999999999999")),
        |case| case.workspace().approval_above = Some(Amount::ZERO),
    ];
    for change in above {
        assert!(approval(change));
        let approved = outcome(|case| {
            change(case);
            case.approved = true;
        });
        assert!(!approved.unwrap().needs_approval);
        // An approval is no way around any other rule.
        let denied = code(|case| {
            change(case);
            case.approved = true;
            case.agent_paused = true;
        });
        assert_eq!(denied, Err(Denial::AgentPaused));
    }
}

#[test]
fn asking_again_for_what_is_paid_already_costs_nothing() {
    let allowed = outcome(|case| {
        case.agent_spent.day = mnee("5");
        case.agent().approval_above = Some(Amount::ZERO);
        case.known = Known::SameTerms;
    })
    .unwrap();
    assert!(allowed.remaining.daily.is_zero() && !allowed.needs_approval);
}

#[test]
fn a_window_that_nothing_is_known_of_allows_nothing() {
    let denied = code(|case| {
        let (policy, spent) = (case.agent.as_mut().unwrap(), &mut case.agent_spent);
        in_window(policy, spent, "0");
        case.agent_spent.rolling.clear();
    });
    assert_eq!(denied, Err(Denial::AgentRollingLimit));
}

#[test]
fn sums_past_256_bits_are_denied_not_wrapped() {
    let most = Amount::from_base_units(U256::MAX);
    let denied = code(|case| {
        case.agent().daily = most;
        case.agent_spent.day = most;
    });
    assert_eq!(denied, Err(Denial::AgentDailyLimit));
}
