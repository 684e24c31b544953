//! `x402 approval`: payments that wait for an owner.

use clap::Subcommand;
use x402_schemas::api::policy::Rejection;

use super::connection::OwnerArgs;
use crate::terminal::say_json;

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalCommand {
    /// List the payments that wait, those first that expire first.
    List {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Let a payment go on.
    Approve {
        /// The payment's id.
        payment_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// End a payment that waits.
    Reject {
        /// The payment's id.
        payment_id: String,
        /// Why, for the agent.
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
}

pub(crate) async fn run(command: ApprovalCommand) -> anyhow::Result<()> {
    match command {
        ApprovalCommand::List { owner } => say_json(&owner.connect()?.approvals().await?),
        ApprovalCommand::Approve { payment_id, owner } => {
            say_json(&owner.connect()?.approve(&payment_id).await?)
        }
        ApprovalCommand::Reject {
            payment_id,
            reason,
            owner,
        } => {
            let rejection = Rejection { reason };
            say_json(&owner.connect()?.reject(&payment_id, &rejection).await?)
        }
    }
}
