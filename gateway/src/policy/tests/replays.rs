use std::collections::HashMap;

use jiff::SignedDuration;
use x402_schemas::{
    codes::{PaymentError, PaymentFailure},
    invoice::Invoice,
};

use super::*;
use crate::policy::replay::{Drafted, Past, Was, replay};

const DENIED: Was = Was::Not(PaymentError::Denied(Denial::AgentDailyLimit));
const FAILED: Was = Was::Not(PaymentError::Failed(PaymentFailure::WalletError));

/// Asks for 0.05 MNEE each, a minute apart.
fn past(number: i64, agent: &str, was: Was) -> Past {
    Past {
        agent_id: agent.to_owned(),
        invoice: Invoice {
            id: format!("inv_{number}").parse().unwrap(),
            pay_to: PAYEE,
            amount: mnee("0.05"),
            resource: report(),
        },
        network: Network::DEVNET,
        origin: ORIGIN,
        at: noon()
            .saturating_add(SignedDuration::from_mins(number))
            .unwrap(),
        was,
    }
}

fn drafted<'a>(agent_id: Option<&'a str>, draft: &'a Policy) -> Drafted<'a> {
    let agents = ["ag_1", "ag_2"].map(|id| (id.to_owned(), (Some(policy()), Amount::ZERO)));
    Drafted {
        agent_id,
        draft,
        agents: HashMap::from(agents),
        workspace: (None, Amount::ZERO),
        monthly_budget: mnee("100"),
        pays_on: Network::DEVNET,
        from: noon(),
    }
}

/// What the draft says of each: its code, or that it allows.
fn said(drafted: &Drafted<'_>, past: &[Past]) -> Vec<Option<Denial>> {
    let judged = replay(drafted, past);
    let codes = judged
        .iter()
        .map(|(_, verdict)| verdict.as_ref().err().map(|denied| denied.code));
    codes.collect()
}

#[test]
fn what_a_draft_denies_does_not_count_for_what_comes_after() {
    let draft = Policy {
        daily: mnee("0.10"),
        ..policy()
    };
    let past = [0, 1, 2, 3].map(|number| past(number, "ag_1", Was::Paid));
    let denied = Some(Denial::AgentDailyLimit);
    assert_eq!(
        said(&drafted(Some("ag_1"), &draft), &past),
        [None, None, denied, denied]
    );
}

#[test]
fn what_was_denied_counts_once_the_draft_allows_it_and_what_failed_never_does() {
    let draft = Policy {
        daily: mnee("0.10"),
        ..policy()
    };
    let denied = Some(Denial::AgentDailyLimit);
    let asks = |was| {
        [
            past(0, "ag_1", was),
            past(1, "ag_1", was),
            past(2, "ag_1", Was::Paid),
        ]
    };
    assert_eq!(
        said(&drafted(Some("ag_1"), &draft), &asks(DENIED)),
        [None, None, denied]
    );
    assert_eq!(
        said(&drafted(Some("ag_1"), &draft), &asks(FAILED)),
        [None, None, None]
    );
}

#[test]
fn a_draft_for_one_agent_judges_that_agent_and_counts_the_others_as_they_were() {
    let generous = policy();
    let mut drafted = drafted(Some("ag_1"), &generous);
    drafted.monthly_budget = mnee("0.10");
    let past = [
        past(0, "ag_2", Was::Paid),
        past(1, "ag_2", DENIED),
        past(2, "ag_1", Was::Paid),
        past(3, "ag_1", Was::Paid),
    ];
    assert_eq!(
        said(&drafted, &past),
        [None, Some(Denial::WorkspaceBudgetExceeded)]
    );
}

#[test]
fn a_draft_for_the_workspace_judges_every_agent_together() {
    let draft = Policy {
        daily: mnee("0.10"),
        ..policy()
    };
    let past = [
        past(0, "ag_1", Was::Paid),
        past(1, "ag_2", Was::Paid),
        past(2, "ag_1", Was::Paid),
    ];
    let denied = Some(Denial::WorkspaceBudgetExceeded);
    assert_eq!(said(&drafted(None, &draft), &past), [None, None, denied]);
}

#[test]
fn what_is_older_than_the_replay_counts_and_is_not_judged() {
    let draft = Policy {
        daily: mnee("0.10"),
        total: Some(mnee("1.10")),
        ..policy()
    };
    let older = [past(-2, "ag_1", Was::Paid), past(-1, "ag_1", DENIED)];
    let newer = [past(0, "ag_1", Was::Paid), past(1, "ag_1", Was::Paid)];
    let all: Vec<Past> = older.into_iter().chain(newer).collect();
    let mut drafted = drafted(Some("ag_1"), &draft);
    assert_eq!(said(&drafted, &all), [None, Some(Denial::AgentDailyLimit)]);
    drafted.agents.insert("ag_1".into(), (None, mnee("1.01")));
    assert_eq!(said(&drafted, &all), [Some(Denial::AgentBudgetExceeded); 2]);
}

#[test]
fn a_draft_judges_by_where_each_invoice_came_from() {
    let signed_only = Policy {
        require_signed_invoices: true,
        ..policy()
    };
    let from = |number, registration, signature| Past {
        origin: Origin {
            registration,
            signature,
        },
        ..past(number, "ag_1", Was::Paid)
    };
    let past = [
        from(0, Registration::Payee, Signature::Valid),
        from(1, Registration::Payee, Signature::Absent),
        from(2, Registration::AnotherPayee, Signature::Valid),
        from(3, Registration::None, Signature::Absent),
    ];
    assert_eq!(
        said(&drafted(Some("ag_1"), &signed_only), &past),
        [
            None,
            Some(Denial::InvoiceNotSigned),
            Some(Denial::RecipientNotRegistered),
            Some(Denial::RecipientNotRegistered),
        ]
    );
}

#[test]
fn one_invoice_asked_again_counts_once() {
    let draft = Policy {
        daily: mnee("0.05"),
        ..policy()
    };
    let again = Past {
        at: past(1, "ag_1", DENIED).at,
        ..past(0, "ag_1", DENIED)
    };
    let past = [past(0, "ag_1", Was::Paid), again];
    assert_eq!(said(&drafted(Some("ag_1"), &draft), &past), [None, None]);
}
