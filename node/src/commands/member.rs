//! `x402 member`: who acts for a workspace, in which role, with which key.

use clap::Subcommand;
use x402_schemas::api::members::{CreateMember, Role, SetRole};

use super::connection::{GraceArgs, OwnerArgs};
use crate::terminal::say_json;

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Make a member. Prints its key, once.
    Create {
        /// Its name.
        name: String,
        /// viewer, member, admin or owner.
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// List the members with their roles, removed ones included.
    List {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Show which member the key is of.
    Me {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Give a member another role, which holds at once.
    Role {
        /// The member's id.
        member_id: String,
        /// viewer, member, admin or owner.
        role: Role,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Give a member a new key; the old one ends at once, or after a grace. `me` is the member that asks.
    Rotate {
        /// The member's id, or `me`.
        member_id: String,
        #[command(flatten)]
        grace: GraceArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// End a membership: its keys stop working at once.
    Remove {
        /// The member's id.
        member_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
}

pub(crate) async fn run(command: MemberCommand) -> anyhow::Result<()> {
    match command {
        MemberCommand::Create { name, role, owner } => {
            let request = CreateMember { name, role };
            say_json(&owner.connect()?.create_member(&request).await?)
        }
        MemberCommand::List { owner } => say_json(&owner.connect()?.members().await?),
        MemberCommand::Me { owner } => say_json(&owner.connect()?.me().await?),
        MemberCommand::Role {
            member_id,
            role,
            owner,
        } => {
            let request = SetRole { role };
            say_json(&owner.connect()?.set_role(&member_id, request).await?)
        }
        MemberCommand::Rotate {
            member_id,
            grace,
            owner,
        } => {
            let owner = owner.connect()?;
            say_json(&owner.rotate_member(&member_id, grace.into()).await?)
        }
        MemberCommand::Remove { member_id, owner } => {
            say_json(&owner.connect()?.remove_member(&member_id).await?)
        }
    }
}
