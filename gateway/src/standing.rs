//! Where an agent stands: the ledger in, the policy's decision out.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{invoice::Invoice, network::Network};
use x402_service::trace;

use crate::{
    ledger::{LedgerError, agents, held, workspaces},
    origin::{self, Signer},
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
    /// Whose signature came with it.
    pub(crate) signer: &'a Signer,
    /// What the workspace has to do with the invoice already.
    pub(crate) known: Known,
    /// Whether an owner approves it: then everything but the approval has to hold.
    pub(crate) approved: bool,
}

/// Asks the policy whether an agent may pay, as a step of the trace. Within a change of the ledger the decision holds until
/// that change commits; outside of one it is only information.
#[tracing::instrument(name = "policy", skip_all)]
pub(crate) async fn decide(
    conn: &mut SqliteConnection,
    pays_on: Network,
    question: Question<'_>,
) -> Result<Result<Allowed, Denied>, LedgerError> {
    let Question {
        agent,
        invoice,
        network,
        now,
        signer,
        known,
        approved,
    } = question;
    let origin = origin::of(conn, invoice, signer).await?;
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
        origin,
        known,
        approved,
    };
    let decision = policy::decide(&standing, &ask);
    if let Err(denied) = &decision {
        trace::tell("code", denied.code.as_str());
    }
    Ok(decision)
}
