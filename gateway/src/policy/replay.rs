//! The past against a draft: what a policy would have said, had it been there. Pure.

use std::collections::HashMap;

use jiff::Timestamp;
use x402_schemas::{
    amount::Amount, codes::PaymentError, invoice::Invoice, network::Network, policy::Policy,
};

use super::{
    Allowed, Ask, Denied, Known, Level, Origin, Standing, Terms, decide,
    tally::{Purchase, Tally},
};

/// Something that an agent asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) agent_id: String,
    pub(crate) invoice: Invoice,
    pub(crate) network: Network,
    /// By the registrations of now.
    pub(crate) origin: Origin,
    pub(crate) at: Timestamp,
    pub(crate) was: Was,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Was {
    /// It moved money, or may still.
    Paid,
    /// It did neither, for this reason.
    Not(PaymentError),
}

/// Whose limits would be replaced, and the rest as it is now.
#[derive(Clone, Debug)]
pub(crate) struct Drafted<'a> {
    /// The agent that the draft is for; the whole workspace when none.
    pub(crate) agent_id: Option<&'a str>,
    pub(crate) draft: &'a Policy,
    /// Each agent's policy of now, and what it had spent before the first of the past.
    pub(crate) agents: HashMap<String, (Option<Policy>, Amount)>,
    pub(crate) workspace: (Option<Policy>, Amount),
    pub(crate) monthly_budget: Amount,
    pub(crate) pays_on: Network,
    /// From when on the past is judged; what is older only counts.
    pub(crate) from: Timestamp,
}

/// What the draft says of each of the past that it is for, oldest first. What it denies does not count
/// for what comes after it; what it would have allowed counts unless it came to nothing by itself.
pub(crate) fn replay<'a>(
    drafted: &Drafted<'_>,
    past: &'a [Past],
) -> Vec<(&'a Past, Result<Allowed, Denied>)> {
    let mut workspace = Tally::after(drafted.workspace.1);
    let mut agents: HashMap<&str, Tally> = HashMap::new();
    let mut paid: HashMap<(&str, _), &Past> = HashMap::new();
    let mut judged = Vec::new();
    for one in past {
        let (policy, before) = drafted
            .agents
            .get(&one.agent_id)
            .map_or((None, Amount::ZERO), |(policy, before)| {
                (policy.as_ref(), *before)
            });
        let agent = agents
            .entry(&one.agent_id)
            .or_insert_with(|| Tally::after(before));
        let invoice = (one.invoice.id.as_str(), one.invoice.pay_to);
        let is_for = drafted.agent_id.is_none_or(|id| id == one.agent_id);
        let counts = if is_for && one.at >= drafted.from {
            let before = paid.get(&invoice).map(|before| terms(before));
            let known = Known::of(before, terms(one));
            let verdict = judge(drafted, one, known, policy, agent, &workspace);
            let counts = known == Known::No && would_count(one.was, &verdict);
            judged.push((one, verdict));
            counts
        } else {
            one.was == Was::Paid
        };
        if counts {
            agent.count(&purchase(one));
            workspace.count(&purchase(one));
            paid.insert(invoice, one);
        }
    }
    judged
}

fn would_count(was: Was, verdict: &Result<Allowed, Denied>) -> bool {
    match (was, verdict) {
        (Was::Paid, Ok(_)) => true,
        (Was::Not(PaymentError::Denied(_)), Ok(allowed)) => !allowed.needs_approval,
        (Was::Not(PaymentError::Failed(_)), Ok(_)) | (_, Err(_)) => false,
    }
}

fn judge(
    drafted: &Drafted<'_>,
    one: &Past,
    known: Known,
    policy: Option<&Policy>,
    agent: &Tally,
    workspace: &Tally,
) -> Result<Allowed, Denied> {
    let (policy, workspace_policy) = if drafted.agent_id.is_some() {
        (Some(drafted.draft), drafted.workspace.0.as_ref())
    } else {
        (policy, Some(drafted.draft))
    };
    let level = |policy, tally: &Tally| Level {
        policy,
        paused: false,
        spent: tally.spent(policy, &purchase(one)),
    };
    let standing = Standing {
        agent: level(policy, agent),
        workspace: level(workspace_policy, workspace),
        monthly_budget: drafted.monthly_budget,
        pays_on: drafted.pays_on,
    };
    let ask = Ask {
        pay_to: one.invoice.pay_to,
        amount: one.invoice.amount,
        resource: &one.invoice.resource,
        network: one.network,
        at: one.at,
        origin: one.origin,
        known,
        approved: false,
    };
    decide(&standing, &ask)
}

const fn terms(one: &Past) -> Terms<'_> {
    Terms {
        invoice: &one.invoice,
        agent_id: one.agent_id.as_str(),
    }
}

const fn purchase(one: &Past) -> Purchase<'_> {
    Purchase {
        pay_to: one.invoice.pay_to,
        amount: one.invoice.amount,
        resource: &one.invoice.resource,
        at: one.at,
    }
}
