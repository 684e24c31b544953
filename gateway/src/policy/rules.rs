//! Each rule of a policy. One level's policy and the ask in; a denial that says what was met and what
//! helps out.

use jiff::{SignedDuration, Timestamp};
use x402_schemas::{amount::Amount, codes::Denial, network::Network, policy::Policy};

use super::{Ask, Denied, Known, Level, Registration, Signature, Spent, Standing};

/// An ask that is bound by one level's policy.
pub(super) struct Bound<'a> {
    who: Who,
    policy: &'a Policy,
    spent: &'a Spent,
    ask: &'a Ask<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Agent,
    Workspace,
}

impl<'a> Bound<'a> {
    pub(super) const fn of_agent(
        policy: &'a Policy,
        level: &'a Level<'_>,
        ask: &'a Ask<'_>,
    ) -> Self {
        Self {
            who: Who::Agent,
            policy,
            spent: &level.spent,
            ask,
        }
    }

    pub(super) const fn of_workspace(
        policy: &'a Policy,
        level: &'a Level<'_>,
        ask: &'a Ask<'_>,
    ) -> Self {
        Self {
            who: Who::Workspace,
            policy,
            spent: &level.spent,
            ask,
        }
    }

    pub(super) fn needs_approval(&self) -> bool {
        self.policy
            .approval_above
            .is_some_and(|most| self.ask.amount > most)
    }

    const fn whose(&self) -> &'static str {
        match self.who {
            Who::Agent => "the agent's",
            Who::Workspace => "the workspace's",
        }
    }

    /// How an owner changes this level's policy.
    const fn remedy(&self) -> &'static str {
        match self.who {
            Who::Agent => "an owner can change it with PUT /agents/{id}/policy",
            Who::Workspace => "an owner can change it with PUT /workspace/policy",
        }
    }

    fn deny(&self, code: Denial, message: &str) -> Denied {
        denied(code, format!("{message}; {}", self.remedy()))
    }

    /// Whether the amount still fits between what is spent and the limit. An agent that passes it is
    /// told its own code; whatever the workspace passes is its budget.
    fn fits(
        &self,
        limit: Amount,
        spent: Amount,
        (agent_code, span): (Denial, &str),
    ) -> Result<(), Denied> {
        let total = spent.checked_add(self.ask.amount);
        if total.is_some_and(|total| total <= limit) {
            return Ok(());
        }
        let code = match self.who {
            Who::Agent => agent_code,
            Who::Workspace => Denial::WorkspaceBudgetExceeded,
        };
        let (amount, whose) = (self.ask.amount, self.whose());
        Err(self.deny(
            code,
            &format!("{amount} MNEE would pass {whose} {limit} for {span}, of which {spent} is reserved or spent"),
        ))
    }
}

const fn denied(code: Denial, message: String) -> Denied {
    Denied { code, message }
}

pub(super) fn disabled() -> Denied {
    denied(
        Denial::AgentDisabled,
        "the agent has no policy, so it may pay nothing; an owner sets one with PUT /agents/{id}/policy".to_owned(),
    )
}

pub(super) fn not_paused(standing: &Standing<'_>) -> Result<(), Denied> {
    if standing.agent.paused {
        return Err(denied(
            Denial::AgentPaused,
            "an owner has paused the agent and can let it go on with POST /agents/{id}/resume"
                .to_owned(),
        ));
    }
    if standing.workspace.paused {
        return Err(denied(
            Denial::WorkspacePaused,
            "an owner has paused the workspace and can let it go on with POST /workspace/resume"
                .to_owned(),
        ));
    }
    Ok(())
}

pub(super) fn not_expired(bound: &Bound<'_>) -> Result<(), Denied> {
    match bound.policy.expires_at {
        Some(end) if bound.ask.at >= end => Err(bound.deny(
            Denial::PolicyExpired,
            &format!("{} policy has expired at {end}", bound.whose()),
        )),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn within_active_hours(bound: &Bound<'_>) -> Result<(), Denied> {
    match bound.policy.active_hours {
        Some(hours) if !hours.include(bound.ask.at) => {
            let (whose, from, to) = (bound.whose(), hours.from, hours.to);
            Err(bound.deny(
                Denial::OutsideActiveHours,
                &format!("{whose} policy allows payments from {from} to {to} UTC; ask again then"),
            ))
        }
        Some(_) | None => Ok(()),
    }
}

pub(super) fn provider(bound: &Bound<'_>) -> Result<(), Denied> {
    let Ask {
        pay_to, resource, ..
    } = bound.ask;
    let whose = bound.whose();
    if !bound.policy.allows_payee(*pay_to) {
        return Err(bound.deny(
            Denial::ProviderNotAllowed,
            &format!(
                "{pay_to} is not among {whose} allowedProviders, or is among its deniedProviders"
            ),
        ));
    }
    let host = resource.host();
    if !bound.policy.allows_host(host) {
        return Err(bound.deny(
            Denial::ProviderNotAllowed,
            &format!("{host} is not among {whose} allowedHosts, or is among its deniedHosts"),
        ));
    }
    Ok(())
}

pub(super) fn payee_of_host(ask: &Ask<'_>) -> Result<(), Denied> {
    if ask.origin.registration == Registration::AnotherPayee {
        return Err(denied(
            Denial::RecipientNotRegistered,
            format!(
                "the provider of {} is not paid at {}; do not pay this invoice, it may have been altered on its way",
                ask.resource.host(),
                ask.pay_to
            ),
        ));
    }
    Ok(())
}

pub(super) fn registered(bound: &Bound<'_>) -> Result<(), Denied> {
    let unknown = bound.ask.origin.registration == Registration::None;
    if unknown && !bound.policy.allow_unregistered {
        return Err(bound.deny(
            Denial::RecipientNotRegistered,
            &format!(
                "no provider has registered {} and {} policy does not say allowUnregistered",
                bound.ask.resource.host(),
                bound.whose()
            ),
        ));
    }
    Ok(())
}

pub(super) fn signature_holds(ask: &Ask<'_>) -> Result<(), Denied> {
    if ask.origin.signature == Signature::Invalid {
        return Err(denied(
            Denial::InvoiceSignatureInvalid,
            "X-402-Signature is not the host's provider's over this invoice; hand on the headers of the 402 answer as they \
             came, or tell the provider"
                .to_owned(),
        ));
    }
    Ok(())
}

pub(super) fn signed(bound: &Bound<'_>) -> Result<(), Denied> {
    let unsigned = bound.ask.origin.signature != Signature::Valid;
    if unsigned && bound.policy.require_signed_invoices {
        return Err(bound.deny(
            Denial::InvoiceNotSigned,
            &format!(
                "{} policy pays signed invoices only and this one carries no X-402-Signature of its host's provider",
                bound.whose()
            ),
        ));
    }
    Ok(())
}

pub(super) fn paid_network(pays_on: Network, asked: Network) -> Result<(), Denied> {
    if asked == pays_on {
        return Ok(());
    }
    Err(denied(
        Denial::NetworkNotAllowed,
        format!("this gateway pays on {pays_on}, the invoice asks for {asked}"),
    ))
}

pub(super) fn network(bound: &Bound<'_>) -> Result<(), Denied> {
    if bound.policy.allows_network(bound.ask.network) {
        return Ok(());
    }
    Err(bound.deny(
        Denial::NetworkNotAllowed,
        &format!(
            "{} is not among {} networks",
            bound.ask.network,
            bound.whose()
        ),
    ))
}

pub(super) fn one_request(bound: &Bound<'_>) -> Result<(), Denied> {
    let (amount, most) = (bound.ask.amount, bound.policy.per_request);
    if amount <= most {
        return Ok(());
    }
    let code = match bound.who {
        Who::Agent => Denial::AgentRequestLimit,
        Who::Workspace => Denial::WorkspaceRequestLimit,
    };
    Err(bound.deny(
        code,
        &format!(
            "{amount} MNEE is more than {} {most} for one request",
            bound.whose()
        ),
    ))
}

/// Day, month, rolling windows, total.
pub(super) fn sums(bound: &Bound<'_>) -> Result<(), Denied> {
    let (policy, spent) = (bound.policy, bound.spent);
    let daily = (Denial::AgentDailyLimit, "this UTC day");
    bound.fits(policy.daily, spent.day, daily)?;
    let monthly = (Denial::AgentMonthlyLimit, "this UTC month");
    bound.fits(policy.monthly, spent.month, monthly)?;
    for (number, window) in policy.rolling.iter().enumerate() {
        let span = format!("any {} hours", window.hours);
        // A window without its sum is one that nothing is known of: nothing more fits.
        let spent = spent.rolling.get(number).copied().unwrap_or(window.limit);
        bound.fits(window.limit, spent, (Denial::AgentRollingLimit, &span))?;
    }
    if let Some(total) = policy.total {
        let ever = (Denial::AgentBudgetExceeded, "all time");
        bound.fits(total, spent.total, ever)?;
    }
    Ok(())
}

pub(super) fn budget(standing: &Standing<'_>, ask: &Ask<'_>) -> Result<(), Denied> {
    let (budget, spent) = (standing.monthly_budget, standing.workspace.spent.month);
    let total = spent.checked_add(ask.amount);
    if total.is_some_and(|total| total <= budget) {
        return Ok(());
    }
    Err(denied(
        Denial::WorkspaceBudgetExceeded,
        format!(
            "{} MNEE would pass the workspace's {budget} for this UTC month, of which {spent} is reserved or spent; \
             an owner can change it with PUT /workspace/budget",
            ask.amount
        ),
    ))
}

pub(super) fn rate(bound: &Bound<'_>) -> Result<(), Denied> {
    match bound.policy.payments_per_minute {
        Some(most) if bound.spent.last_minute >= most => Err(bound.deny(
            Denial::RateLimited,
            &format!(
                "{} policy allows {most} payments a minute; ask again later",
                bound.whose()
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn known_invoice(ask: &Ask<'_>) -> Result<(), Denied> {
    if ask.known == Known::OtherTerms {
        return Err(denied(
            Denial::DuplicatePayment,
            "the workspace pays this invoice already, with another amount or resource or for another agent; get a new \
             invoice"
                .to_owned(),
        ));
    }
    Ok(())
}

pub(super) fn purchase(bound: &Bound<'_>) -> Result<(), Denied> {
    let (Some(seconds), Some(before)) = (
        bound.policy.duplicate_within_seconds,
        bound.spent.same_purchase,
    ) else {
        return Ok(());
    };
    let until = before
        .saturating_add(SignedDuration::from_secs(i64::from(seconds)))
        .unwrap_or(Timestamp::MAX);
    if bound.ask.at >= until {
        return Ok(());
    }
    Err(bound.deny(
        Denial::DuplicatePurchase,
        &format!("the same was bought at {before} and {} policy allows it again at {until}; use what was bought", bound.whose()),
    ))
}
