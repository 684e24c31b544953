//! Where an agent stands: the ledger in, the policy's decision out.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{invoice::Invoice, network::Network};

use crate::{
    ledger::{LedgerError, agents, held, payments, workspaces},
    policy::{self, Allowed, Ask, Denied, Known, Level, Standing},
    principal::Agent,
};

/// What is asked to be paid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) invoice: &'a Invoice,
    pub(crate) network: Network,
    pub(crate) now: Timestamp,
}

/// Asks the policy whether an agent may pay. Within a change of the ledger the decision holds until
/// that change commits; outside of one it is only information.
pub(crate) async fn decide(
    conn: &mut SqliteConnection,
    pays_on: Network,
    question: Question<'_>,
) -> Result<Result<Allowed, Denied>, LedgerError> {
    let Question { agent, invoice, .. } = question;
    let known = match payments::of_invoice(conn, &agent.workspace_id, invoice).await? {
        None => Known::No,
        Some(payment) if payment.invoice == *invoice && payment.agent_id == agent.agent_id => {
            Known::SameTerms
        }
        Some(_) => Known::OtherTerms,
    };
    ask(conn, pays_on, question, known, false).await
}

/// Asks again for a payment that an owner approves: everything but the approval has to hold still.
pub(crate) async fn decide_approved(
    conn: &mut SqliteConnection,
    pays_on: Network,
    question: Question<'_>,
) -> Result<Result<Allowed, Denied>, LedgerError> {
    ask(conn, pays_on, question, Known::No, true).await
}

async fn ask(
    conn: &mut SqliteConnection,
    pays_on: Network,
    question: Question<'_>,
    known: Known,
    approved: bool,
) -> Result<Result<Allowed, Denied>, LedgerError> {
    let Question {
        agent,
        invoice,
        network,
        now,
    } = question;
    let workspace = workspaces::get(conn, &agent.workspace_id).await?;
    let row = agents::find(conn, &agent.workspace_id, &agent.agent_id).await?;
    let policy = row.as_ref().and_then(agents::AgentRow::standing_policy);
    let workspace_policy = workspace.policy.as_ref();
    let standing = Standing {
        agent: Level {
            policy,
            paused: row.as_ref().is_some_and(|row| row.paused_at.is_some()),
            spent: held::spent(conn, &agent.agent_id, policy, invoice, now).await?,
        },
        workspace: Level {
            policy: workspace_policy,
            paused: workspace.paused_at.is_some(),
            spent: held::spent(conn, &agent.workspace_id, workspace_policy, invoice, now).await?,
        },
        monthly_budget: workspace.monthly_budget,
        pays_on,
    };
    let ask = Ask {
        pay_to: invoice.pay_to,
        amount: invoice.amount,
        resource: &invoice.resource,
        network,
        at: now,
        known,
        approved,
    };
    Ok(policy::decide(&standing, &ask))
}
