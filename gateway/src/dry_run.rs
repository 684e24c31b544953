//! `POST /policy/dry-run`: what would a draft have said of the last days? Reads, and changes nothing.

use std::{collections::HashMap, sync::Arc};

use alloy::primitives::Address;
use axum::{Json, extract::State};
use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;
use x402_schemas::{
    amount::Amount,
    api::{
        ErrorBody,
        policy::{DryRun, DryRunDenial, DryRunReport, MAX_REPLAYED_DAYS},
    },
    codes::PaymentError,
    invoice::{Invoice, Resource},
    policy::{MAX_WINDOW_HOURS, Policy},
};
use x402_service::{clock, json::StrictJson, problem::Problem};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError, agents,
        held::{self, Span},
        payments, quotes, workspaces,
    },
    origin::{self, Signer},
    permissions::Viewing,
    policy::{
        Allowed, Denied, Origin,
        replay::{self, Drafted, Past, Was},
        tally::earlier,
    },
    principal::Member,
};

/// The most payments and the most denials that one dry run reads.
const MAX_READ: u32 = 10_000;
/// The most denials that are listed.
const MAX_LISTED: usize = 200;

/// Replays the last days' payments and denials against a draft policy. Nothing is changed. What the draft denies does
/// not count against its limits; payments that failed by themselves do not count either.
#[utoipa::path(post, path = "/policy/dry-run", tag = "owner", request_body = DryRun,
    responses(
        (status = 200, body = DryRunReport),
        (status = 400, body = ErrorBody, description = "INVALID_REQUEST: also when there is more than can be replayed at once"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND: no such agent"),
    ), security(("owner" = [])))]
pub(crate) async fn dry_run(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
    StrictJson(request): StrictJson<DryRun>,
) -> Result<Json<DryRunReport>, Problem> {
    request
        .policy
        .check()
        .map_err(|error| Problem::invalid(error.to_string()))?;
    if !(1..=MAX_REPLAYED_DAYS).contains(&request.days) {
        return Err(Problem::invalid(format!(
            "days is 1 to {MAX_REPLAYED_DAYS}"
        )));
    }
    let now = clock::now();
    let from = earlier(now, hours(u32::from(request.days).saturating_mul(24)));
    let mut conn = gateway.ledger.read().await?;
    let past = past(&mut conn, &gateway, &member.workspace_id, from).await?;
    let (agents, workspace, monthly_budget) =
        now_standing(&mut conn, &member.workspace_id, &past).await?;
    drop(conn);
    if let Some(agent_id) = &request.agent_id
        && !agents.contains_key(agent_id)
    {
        return Err(Problem::not_found("agent"));
    }
    let drafted = Drafted {
        agent_id: request.agent_id.as_deref(),
        draft: &request.policy,
        agents,
        workspace,
        monthly_budget,
        pays_on: gateway.network,
        from,
    };
    Ok(Json(report(from, &replay::replay(&drafted, &past))))
}

fn hours(count: u32) -> SignedDuration {
    SignedDuration::from_hours(i64::from(count))
}

/// Payments and denials since `from`, and older payments as far back as any limit but the total looks.
async fn past(
    conn: &mut SqliteConnection,
    gateway: &Gateway,
    workspace_id: &str,
    from: Timestamp,
) -> Result<Vec<Past>, Problem> {
    let since = earlier(from, hours(MAX_WINDOW_HOURS.into()));
    let payments = payments::asked_since(conn, workspace_id, since, MAX_READ).await?;
    let denials = quotes::denied_since(conn, workspace_id, from, MAX_READ).await?;
    let full = |count: usize| u32::try_from(count).is_ok_and(|count| count >= MAX_READ);
    if full(payments.len()) || full(denials.len()) {
        return Err(Problem::invalid(format!(
            "there are {MAX_READ} payments or denials in that time and the {MAX_WINDOW_HOURS} hours before it, more than can \
             be replayed; ask for fewer days"
        )));
    }
    let mut signers = quotes::signers_since(conn, workspace_id, since, MAX_READ).await?;
    let payments = payments.into_iter().map(|payment| {
        let signer = Signer::remembered(signers.remove(&payment.id));
        let was = payment
            .failure
            .map_or(Was::Paid, |failure| Was::Not(failure.code));
        let at = payment.created_at;
        let one = (payment.agent_id, payment.invoice, gateway.network, at, was);
        (one, signer)
    });
    let denials = denials.into_iter().map(|quote| {
        let was = Was::Not(PaymentError::Denied(quote.denial));
        let one = (quote.agent_id, quote.invoice, quote.network, quote.at, was);
        (one, quote.signer)
    });
    let mut origins = Origins::default();
    let mut past = Vec::new();
    for ((agent_id, invoice, network, at, was), signer) in payments.chain(denials) {
        past.push(Past {
            origin: origins.of(conn, &invoice, signer).await?,
            agent_id,
            invoice,
            network,
            at,
            was,
        });
    }
    past.sort_by_key(|one| one.at);
    Ok(past)
}

/// Origins that were asked for already: an agent buys the same over and over.
#[derive(Default)]
struct Origins(HashMap<(Resource, Address, Signer), Origin>);

impl Origins {
    async fn of(
        &mut self,
        conn: &mut SqliteConnection,
        invoice: &Invoice,
        signer: Signer,
    ) -> Result<Origin, LedgerError> {
        let key = (invoice.resource.clone(), invoice.pay_to, signer);
        if let Some(origin) = self.0.get(&key) {
            return Ok(*origin);
        }
        let origin = origin::of(conn, invoice, &key.2).await?;
        self.0.insert(key, origin);
        Ok(origin)
    }
}

type Spender = (Option<Policy>, Amount);

/// Policies of now, with what was spent before the past that is replayed.
async fn now_standing(
    conn: &mut SqliteConnection,
    workspace_id: &str,
    past: &[Past],
) -> Result<(HashMap<String, Spender>, Spender, Amount), LedgerError> {
    let mut counted: HashMap<&str, Amount> = HashMap::new();
    for one in past.iter().filter(|one| one.was == Was::Paid) {
        for holder in [one.agent_id.as_str(), workspace_id] {
            let sum = counted.entry(holder).or_default();
            *sum = sum
                .checked_add(one.invoice.amount)
                .ok_or(LedgerError::Imbalance("a sum passes 256 bits"))?;
        }
    }
    let before = |holder: &str, ever: Amount| {
        ever.saturating_sub(counted.get(holder).copied().unwrap_or_default())
    };
    let mut standing = HashMap::new();
    for agent in agents::list(conn, workspace_id).await? {
        let ever = held::sum(conn, &agent.id, Span::Ever, Timestamp::MIN).await?;
        let before = before(&agent.id, ever);
        standing.insert(agent.id, (agent.policy, before));
    }
    let workspace = workspaces::get(conn, workspace_id).await?;
    let ever = held::sum(conn, &workspace.id, Span::Ever, Timestamp::MIN).await?;
    let before = before(&workspace.id, ever);
    Ok((
        standing,
        (workspace.policy, before),
        workspace.monthly_budget,
    ))
}

fn report(from: Timestamp, judged: &[(&Past, Result<Allowed, Denied>)]) -> DryRunReport {
    let count = |of: &dyn Fn(&Past, &Result<Allowed, Denied>) -> bool| {
        let counted = judged.iter().filter(|(past, verdict)| of(past, verdict));
        u64::try_from(counted.count()).unwrap_or(u64::MAX)
    };
    let was_denied = |past: &Past| matches!(past.was, Was::Not(PaymentError::Denied(_)));
    let paid_that_would_be_denied = judged
        .iter()
        .filter(|(past, verdict)| past.was == Was::Paid && verdict.is_err())
        .fold(Amount::ZERO, |sum, (past, _)| {
            sum.checked_add(past.invoice.amount).unwrap_or(sum)
        });
    DryRunReport {
        from,
        replayed: u64::try_from(judged.len()).unwrap_or(u64::MAX),
        allowed: count(&|_, verdict| verdict.is_ok()),
        approvals: count(&|_, verdict| {
            verdict.as_ref().is_ok_and(|allowed| allowed.needs_approval)
        }),
        denied: count(&|_, verdict| verdict.is_err()),
        newly_allowed: count(&|past, verdict| was_denied(past) && verdict.is_ok()),
        paid_that_would_be_denied,
        denials: judged
            .iter()
            .filter_map(|(past, verdict)| Some(denial(past, verdict.as_ref().err()?)))
            .take(MAX_LISTED)
            .collect(),
    }
}

fn denial(past: &Past, denied: &Denied) -> DryRunDenial {
    DryRunDenial {
        at: past.at,
        agent_id: past.agent_id.clone(),
        invoice_id: past.invoice.id.clone(),
        amount: past.invoice.amount,
        pay_to: past.invoice.pay_to,
        resource: past.invoice.resource.clone(),
        reason: denied.code,
        message: denied.message.clone(),
        was: match past.was {
            Was::Paid => None,
            Was::Not(error) => Some(error),
        },
    }
}
