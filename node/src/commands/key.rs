//! `x402 key`: which keys a workspace has, when each was last used, and the end of one.

use clap::Subcommand;

use super::connection::OwnerArgs;
use crate::terminal::say_json;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the valid keys: who holds each, when it was last used, when it ends by itself. Never the keys themselves.
    List {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// End one key at once, within its grace too.
    Revoke {
        /// The key's id.
        key_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
}

pub(crate) async fn run(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::List { owner } => say_json(&owner.connect()?.keys().await?),
        KeyCommand::Revoke { key_id, owner } => {
            say_json(&owner.connect()?.revoke_key(&key_id).await?)
        }
    }
}
