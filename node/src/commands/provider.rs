//! `x402 provider`: register providers with their payee addresses and hosts, rotate and revoke their keys.

use alloy::primitives::Address;
use clap::Subcommand;
use x402_schemas::{
    address,
    api::owner::{CreateProvider, Payee, Registration},
    host::ProviderHost,
};

use super::connection::{GraceArgs, OwnerArgs};
use crate::terminal::say_json;

#[derive(Debug, Subcommand)]
pub(crate) enum ProviderCommand {
    /// Register a provider. Prints its key, once.
    Create {
        /// Its name.
        name: String,
        /// An address that it is paid at. Repeat for more.
        #[arg(long = "payee", required = true, value_parser = address::parse)]
        payees: Vec<Address>,
        /// A host that it sells from, as `api.example.com`, `api.example.com:8443` or `*.example.com`. Repeat for more.
        #[arg(long = "host")]
        hosts: Vec<ProviderHost>,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// List the providers.
    List {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Replace a provider's payees and hosts: what is left out is registered no more.
    Register {
        /// The provider's id.
        provider_id: String,
        /// An address that it is paid at. Repeat for more.
        #[arg(long = "payee", required = true, value_parser = address::parse)]
        payees: Vec<Address>,
        /// A host that it sells from. Repeat for more.
        #[arg(long = "host")]
        hosts: Vec<ProviderHost>,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Give a provider a new key; the old one ends at once, or after a grace.
    Rotate {
        /// The provider's id.
        provider_id: String,
        #[command(flatten)]
        grace: GraceArgs,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// End a provider: its keys stop working everywhere before this returns.
    Revoke {
        /// The provider's id.
        provider_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
}

pub(crate) async fn run(command: ProviderCommand) -> anyhow::Result<()> {
    match command {
        ProviderCommand::Create {
            name,
            payees,
            hosts,
            owner,
        } => {
            let provider = CreateProvider {
                name,
                payees: payees.into_iter().map(Payee).collect(),
                hosts,
            };
            say_json(&owner.connect()?.create_provider(&provider).await?)
        }
        ProviderCommand::List { owner } => say_json(&owner.connect()?.providers().await?),
        ProviderCommand::Register {
            provider_id,
            payees,
            hosts,
            owner,
        } => {
            let registration = Registration {
                payees: payees.into_iter().map(Payee).collect(),
                hosts,
            };
            let owner = owner.connect()?;
            say_json(&owner.set_registration(&provider_id, &registration).await?)
        }
        ProviderCommand::Rotate {
            provider_id,
            grace,
            owner,
        } => say_json(
            &owner
                .connect()?
                .rotate_provider(&provider_id, grace.into())
                .await?,
        ),
        ProviderCommand::Revoke { provider_id, owner } => {
            say_json(&owner.connect()?.revoke_provider(&provider_id).await?)
        }
    }
}
