//! Policy: what an agent may spend. Values in, remaining limits or a denial out; no clock, no store.
//!
//! Deny by default. The agent's policy has to allow a payment, and the workspace's if it has one. The
//! rules are checked in the order of `Denial` and the first that refuses is reported. What counts as
//! spent includes everything reserved.

/// Each rule: one level's policy and the ask in, a denial with its words out.
mod rules;

/// What was bought and when, in memory: what the ledger knows, for replays and as its model in tests.
pub(crate) mod tally;

/// The past against a draft.
pub(crate) mod replay;

use alloy::primitives::Address;
use jiff::Timestamp;
use x402_schemas::{
    amount::Amount,
    api::agent::RemainingLimits,
    codes::Denial,
    invoice::{Invoice, Resource},
    network::Network,
    policy::Policy,
};

use rules::Bound;

/// What one level has reserved and spent, as of the ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// This UTC day.
    pub day: Amount,
    /// This UTC month.
    pub month: Amount,
    /// Ever.
    pub total: Amount,
    /// Within each rolling window of the level's policy, in its order.
    pub rolling: Vec<Amount>,
    /// Payments within the last minute.
    pub last_minute: u32,
    /// When the same resource was last bought from the same payee for the same amount, with another invoice.
    pub same_purchase: Option<Timestamp>,
}

/// An agent, or the workspace with all of its agents.
#[derive(Clone, Debug)]
pub struct Level<'a> {
    /// Its policy. An agent without one may do nothing; for a workspace, its monthly budget is left.
    pub policy: Option<&'a Policy>,
    /// Whether an owner has paused it.
    pub paused: bool,
    /// What counts already.
    pub spent: Spent,
}

/// Where an agent stands.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// The agent; no policy when it is revoked.
    pub agent: Level<'a>,
    /// Its workspace.
    pub workspace: Level<'a>,
    /// The workspace's budget for a month.
    pub monthly_budget: Amount,
    /// The network that this gateway pays on.
    pub pays_on: Network,
}

/// What the agent asks for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// Who would be paid.
    pub pay_to: Address,
    /// How much.
    pub amount: Amount,
    /// For what.
    pub resource: &'a Resource,
    /// Where.
    pub network: Network,
    /// When.
    pub at: Timestamp,
    /// What registrations and its signature say of the invoice.
    pub origin: Origin,
    /// What is known of the invoice.
    pub known: Known,
    /// Whether an owner has approved it.
    pub approved: bool,
}

/// Where an invoice comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// What the registration of its host says.
    pub registration: Registration,
    /// What its signature says.
    pub signature: Signature,
}

/// What the registration of an invoice's host says of its payee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Nobody has registered the host.
    None,
    /// The host's provider is paid at other addresses.
    AnotherPayee,
    /// The host's provider is paid there.
    Payee,
}

/// Whether an invoice is signed by the provider of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It carries none, or the host has no provider whose it could be.
    Absent,
    /// What it carries is not that.
    Invalid,
    /// It is.
    Valid,
}

/// What the workspace has to do with the invoice already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    No,
    /// This agent pays or has paid it with these terms: it counts already and nothing more is spent.
    SameTerms,
    /// This very payment: what it takes is reserved, so no sum, rate or earlier purchase is asked again.
    Held,
    /// It is paid with another amount or resource, or by another agent.
    OtherTerms,
}

/// What an invoice asks for, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms<'a> {
    pub(crate) invoice: &'a Invoice,
    pub(crate) agent_id: &'a str,
}

impl Known {
    /// By the living payment of the same invoice and payee, if there is one.
    pub(crate) fn of(before: Option<Terms<'_>>, asked: Terms<'_>) -> Self {
        match before {
            None => Self::No,
            Some(before) if before == asked => Self::SameTerms,
            Some(_) => Self::OtherTerms,
        }
    }
}

/// A payment that may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// What is left after it.
    pub remaining: RemainingLimits,
    /// Every rule is satisfied but one: an owner has to approve it first.
    pub needs_approval: bool,
}

/// A payment that may not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why.
    pub code: Denial,
    /// The same in words, with the limit that was met and what helps.
    pub message: String,
}

/// Decides, and says what would be left after the payment.
pub fn decide(standing: &Standing<'_>, ask: &Ask<'_>) -> Result<Allowed, Denied> {
    let policy = standing.agent.policy.ok_or_else(rules::disabled)?;
    if ask.known == Known::SameTerms {
        return Ok(Allowed {
            remaining: remaining(standing, policy, Amount::ZERO),
            needs_approval: false,
        });
    }
    rules::not_paused(standing)?;
    let agent = Bound::of_agent(policy, &standing.agent, ask);
    let workspace = standing
        .workspace
        .policy
        .map(|policy| Bound::of_workspace(policy, &standing.workspace, ask));
    let levels: Vec<Bound<'_>> = [Some(agent), workspace].into_iter().flatten().collect();
    let each = |rule: fn(&Bound<'_>) -> Result<(), Denied>| levels.iter().try_for_each(rule);
    each(rules::not_expired)?;
    each(rules::within_active_hours)?;
    each(rules::provider)?;
    rules::payee_of_host(ask)?;
    each(rules::registered)?;
    rules::signature_holds(ask)?;
    each(rules::signed)?;
    rules::paid_network(standing.pays_on, ask.network)?;
    each(rules::network)?;
    each(rules::one_request)?;
    let is_held = ask.known == Known::Held;
    if !is_held {
        each(rules::sums)?;
        rules::budget(standing, ask)?;
        each(rules::rate)?;
        rules::known_invoice(ask)?;
        each(rules::purchase)?;
    }
    let more = if is_held { Amount::ZERO } else { ask.amount };
    Ok(Allowed {
        remaining: remaining(standing, policy, more),
        needs_approval: !ask.approved && levels.iter().any(Bound::needs_approval),
    })
}

fn remaining(standing: &Standing<'_>, policy: &Policy, amount: Amount) -> RemainingLimits {
    let left = |limit: Amount, spent: Amount| limit.saturating_sub(spent).saturating_sub(amount);
    RemainingLimits {
        daily: left(policy.daily, standing.agent.spent.day),
        monthly: left(policy.monthly, standing.agent.spent.month),
        workspace_monthly: left(standing.monthly_budget, standing.workspace.spent.month),
    }
}

#[cfg(test)]
mod tests;
