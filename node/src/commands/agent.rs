//! `x402 agent`: create agents, set what they may spend, rotate and revoke their keys.

use clap::{Args, Subcommand};
use x402_schemas::{
    amount::Amount,
    api::owner::CreateAgent,
    policy::{AllowedProvider, Policy},
};

use super::connection::OwnerArgs;
use crate::terminal::say_json;

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Create an agent with a policy. Prints its key, once.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// List the agents with their policies and spending.
    List {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Replace an agent's policy.
    Policy {
        /// The agent's id.
        agent_id: String,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Give an agent a new key; the old one ends at once.
    Rotate {
        /// The agent's id.
        agent_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// End an agent: its keys stop working at once.
    Revoke {
        /// The agent's id.
        agent_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
}

/// What an agent may spend. Days and months are UTC.
#[derive(Clone, Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The most for one request, in MNEE.
    #[arg(long)]
    per_request: Amount,
    /// The most in a day.
    #[arg(long)]
    daily: Amount,
    /// The most in a month.
    #[arg(long)]
    monthly: Amount,
    /// Whom it may pay: a payee's address, or `*` for anyone. Repeat for more.
    #[arg(long = "allow", required = true)]
    allowed_providers: Vec<AllowedProvider>,
}

impl From<PolicyArgs> for Policy {
    fn from(args: PolicyArgs) -> Self {
        let PolicyArgs {
            per_request,
            daily,
            monthly,
            allowed_providers,
        } = args;
        Self {
            per_request,
            daily,
            monthly,
            allowed_providers,
        }
    }
}

pub(crate) async fn run(command: AgentCommand) -> anyhow::Result<()> {
    match command {
        AgentCommand::Create {
            name,
            policy,
            owner,
        } => say_json(
            &owner
                .connect()?
                .create_agent(&CreateAgent {
                    name,
                    policy: Some(policy.into()),
                })
                .await?,
        ),
        AgentCommand::List { owner } => say_json(&owner.connect()?.agents().await?),
        AgentCommand::Policy {
            agent_id,
            policy,
            owner,
        } => say_json(
            &owner
                .connect()?
                .set_policy(&agent_id, &policy.into())
                .await?,
        ),
        AgentCommand::Rotate { agent_id, owner } => {
            say_json(&owner.connect()?.rotate_agent(&agent_id).await?)
        }
        AgentCommand::Revoke { agent_id, owner } => {
            say_json(&owner.connect()?.revoke_agent(&agent_id).await?)
        }
    }
}
