//! `x402 workspace`: create one (as the operator), show it, set its budget and policy, pause it.

use clap::Subcommand;
use reqwest::Url;
use secrecy::SecretString;
use x402_schemas::{
    amount::Amount,
    api::{
        owner::{CreateWorkspace, SetBudget, SetWorkspacePolicy},
        policy::DryRun,
    },
};

use super::{connection::OwnerArgs, policy::PolicyArgs};
use crate::{owner::Owner, terminal::say_json};

#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// Create a workspace. Prints the owner's key, once.
    Create {
        /// Its name.
        name: String,
        /// The most that its agents together may spend in a UTC month, in MNEE.
        #[arg(long, default_value = "0")]
        monthly_budget: Amount,
        /// The gateway's URL.
        #[arg(
            long,
            env = "X402_GATEWAY_URL",
            default_value = "http://127.0.0.1:4020/"
        )]
        gateway_url: Url,
        /// The gateway operator's token.
        #[arg(long, env = "X402_OPERATOR_TOKEN", hide_env_values = true)]
        operator_token: SecretString,
    },
    /// Show the workspace: budget, spending, the spender that its treasury has to approve.
    Show {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Set what all agents together may spend, besides the budget.
    Policy {
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Take the workspace's policy away; its budget and the agents' policies stay.
    ClearPolicy {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Show what a draft policy would have denied of the workspace's last days. Changes nothing.
    DryRun {
        /// How many days.
        #[arg(long, default_value_t = 30)]
        days: u16,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Allow no agent anything new until the workspace is resumed.
    Pause {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Let a paused workspace go on.
    Resume {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Set the budget for a UTC month.
    Budget {
        /// In MNEE.
        monthly_budget: Amount,
        #[command(flatten)]
        owner: OwnerArgs,
    },
}

pub(crate) async fn run(command: WorkspaceCommand) -> anyhow::Result<()> {
    match command {
        WorkspaceCommand::Create {
            name,
            monthly_budget,
            gateway_url,
            operator_token,
        } => {
            let operator = Owner::new(gateway_url, operator_token)?;
            say_json(
                &operator
                    .create_workspace(&CreateWorkspace {
                        name,
                        monthly_budget,
                    })
                    .await?,
            )
        }
        WorkspaceCommand::Policy { policy, owner } => {
            let policy = Some(policy.into());
            set_policy(&owner, SetWorkspacePolicy { policy }).await
        }
        WorkspaceCommand::ClearPolicy { owner } => {
            set_policy(&owner, SetWorkspacePolicy { policy: None }).await
        }
        WorkspaceCommand::DryRun {
            days,
            policy,
            owner,
        } => {
            let draft = DryRun {
                agent_id: None,
                policy: policy.into(),
                days,
            };
            say_json(&owner.connect()?.dry_run(&draft).await?)
        }
        WorkspaceCommand::Pause { owner } => say_json(&owner.connect()?.pause_workspace().await?),
        WorkspaceCommand::Resume { owner } => say_json(&owner.connect()?.resume_workspace().await?),
        WorkspaceCommand::Show { owner } => say_json(&owner.connect()?.workspace().await?),
        WorkspaceCommand::Budget {
            monthly_budget,
            owner,
        } => say_json(
            &owner
                .connect()?
                .set_budget(&SetBudget { monthly_budget })
                .await?,
        ),
    }
}

async fn set_policy(owner: &OwnerArgs, request: SetWorkspacePolicy) -> anyhow::Result<()> {
    say_json(&owner.connect()?.set_workspace_policy(&request).await?)
}
