//! Policy: what an agent may spend. Values in, remaining limits or a denial out; no clock, no store.
//!
//! Deny by default. The rules are checked in the order of `Denial` and the first that refuses is
//! reported. What counts as spent includes everything reserved.

use alloy::primitives::Address;
use x402_schemas::{
    amount::Amount, api::agent::RemainingLimits, codes::Denial, network::Network, policy::Policy,
};

/// Reserved and spent together, in the UTC day and month of the ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// By the agent, this day.
    pub agent_day: Amount,
    /// By the agent, this month.
    pub agent_month: Amount,
    /// By the workspace's agents together, this month.
    pub workspace_month: Amount,
}

/// Where an agent stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Its policy; none when it has none or is revoked.
    pub policy: Option<&'a Policy>,
    /// The workspace's budget for a month.
    pub monthly_budget: Amount,
    /// What counts already.
    pub spent: Spent,
    /// The network that this gateway pays on.
    pub pays_on: Network,
}

/// What the agent asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Who would be paid.
    pub pay_to: Address,
    /// How much.
    pub amount: Amount,
    /// Where.
    pub network: Network,
    /// What is known of the invoice.
    pub known: Known,
}

/// What the workspace has to do with the invoice already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    No,
    /// This agent pays or has paid it with these terms: it counts already and nothing more is spent.
    SameTerms,
    /// It is paid with another amount or resource, or by another agent.
    OtherTerms,
}

/// Decides, and says what would be left after the payment.
pub fn decide(standing: &Standing<'_>, ask: &Ask) -> Result<RemainingLimits, Denial> {
    let policy = standing.policy.ok_or(Denial::AgentDisabled)?;
    if ask.known == Known::SameTerms {
        return Ok(RemainingLimits {
            daily: policy.daily.saturating_sub(standing.spent.agent_day),
            monthly: policy.monthly.saturating_sub(standing.spent.agent_month),
            workspace_monthly: standing
                .monthly_budget
                .saturating_sub(standing.spent.workspace_month),
        });
    }
    if !policy.allows_payee(ask.pay_to) {
        return Err(Denial::ProviderNotAllowed);
    }
    if ask.network != standing.pays_on {
        return Err(Denial::NetworkNotAllowed);
    }
    if ask.amount > policy.per_request {
        return Err(Denial::AgentRequestLimit);
    }
    let left = |limit: Amount, spent: Amount, denial: Denial| {
        spent
            .checked_add(ask.amount)
            .and_then(|total| limit.checked_sub(total))
            .ok_or(denial)
    };
    let remaining = RemainingLimits {
        daily: left(
            policy.daily,
            standing.spent.agent_day,
            Denial::AgentDailyLimit,
        )?,
        monthly: left(
            policy.monthly,
            standing.spent.agent_month,
            Denial::AgentMonthlyLimit,
        )?,
        workspace_monthly: left(
            standing.monthly_budget,
            standing.spent.workspace_month,
            Denial::WorkspaceBudgetExceeded,
        )?,
    };
    if ask.known == Known::OtherTerms {
        return Err(Denial::DuplicatePayment);
    }
    Ok(remaining)
}

/// The denial in words, with the limit that was met.
pub fn explain(denial: Denial, standing: &Standing<'_>, ask: &Ask) -> String {
    let Ask { amount, pay_to, .. } = ask;
    let limit = |limit: fn(&Policy) -> Amount| standing.policy.map(limit).unwrap_or_default();
    match denial {
        Denial::AgentDisabled => {
            "the agent has no policy, so it may pay nothing; an owner sets one with PUT /agents/{id}/policy".to_owned()
        }
        Denial::ProviderNotAllowed => {
            format!("{pay_to} is not among the policy's allowedProviders")
        }
        Denial::NetworkNotAllowed => format!(
            "this gateway pays on {}, the invoice asks for {}",
            standing.pays_on, ask.network
        ),
        Denial::AgentRequestLimit => format!(
            "{amount} MNEE is more than the {} that one request may cost",
            limit(|policy| policy.per_request)
        ),
        Denial::AgentDailyLimit => format!(
            "{amount} MNEE would pass the agent's {} for this UTC day, of which {} is reserved or spent",
            limit(|policy| policy.daily),
            standing.spent.agent_day
        ),
        Denial::AgentMonthlyLimit => format!(
            "{amount} MNEE would pass the agent's {} for this UTC month, of which {} is reserved or spent",
            limit(|policy| policy.monthly),
            standing.spent.agent_month
        ),
        Denial::WorkspaceBudgetExceeded => format!(
            "{amount} MNEE would pass the workspace's {} for this UTC month, of which {} is reserved or spent",
            standing.monthly_budget, standing.spent.workspace_month
        ),
        Denial::DuplicatePayment => {
            "the workspace pays this invoice already, with another amount or resource or for another agent".to_owned()
        }
        Denial::RateLimited => "too many requests; try again later".to_owned(),
        Denial::ApprovalRequired => "an owner has to approve this amount".to_owned(),
    }
}

#[cfg(test)]
mod tests;
