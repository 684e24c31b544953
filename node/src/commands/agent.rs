//! `x402 agent`: create agents, set what they may spend, pause them, rotate and revoke their keys.

use clap::Subcommand;
use x402_schemas::api::{owner::CreateAgent, policy::DryRun};

use super::{
    connection::{GraceArgs, OwnerArgs},
    policy::PolicyArgs,
};
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
    /// Show what a draft policy would have denied of the agent's last days. Changes nothing.
    DryRun {
        /// The agent's id.
        agent_id: String,
        /// How many days.
        #[arg(long, default_value_t = 30)]
        days: u16,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Allow an agent nothing new until it is resumed.
    Pause {
        /// The agent's id.
        agent_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Let a paused agent go on.
    Resume {
        /// The agent's id.
        agent_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Give an agent a new key; the old one ends at once, or after a grace.
    Rotate {
        /// The agent's id.
        agent_id: String,
        #[command(flatten)]
        grace: GraceArgs,
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
        AgentCommand::DryRun {
            agent_id,
            days,
            policy,
            owner,
        } => {
            let draft = DryRun {
                agent_id: Some(agent_id),
                policy: policy.into(),
                days,
            };
            say_json(&owner.connect()?.dry_run(&draft).await?)
        }
        AgentCommand::Pause { agent_id, owner } => {
            say_json(&owner.connect()?.pause_agent(&agent_id).await?)
        }
        AgentCommand::Resume { agent_id, owner } => {
            say_json(&owner.connect()?.resume_agent(&agent_id).await?)
        }
        AgentCommand::Rotate {
            agent_id,
            grace,
            owner,
        } => say_json(
            &owner
                .connect()?
                .rotate_agent(&agent_id, grace.into())
                .await?,
        ),
        AgentCommand::Revoke { agent_id, owner } => {
            say_json(&owner.connect()?.revoke_agent(&agent_id).await?)
        }
    }
}
