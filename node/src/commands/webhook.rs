//! `x402 webhook`: where events are sent to.

use clap::Subcommand;
use x402_schemas::api::{events::EventKind, webhooks::CreateWebhook};

use super::connection::OwnerArgs;
use crate::terminal::say_json;

#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Have events sent to a URL from now on; prints the secret that signs them, once.
    Create {
        /// Where to; https, or this machine beside a local chain.
        url: String,
        /// Only events of this type, such as payment.settled; may be given several times. All without it.
        #[arg(long = "type")]
        types: Vec<EventKind>,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// List all webhooks.
    List {
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Send nothing more to a webhook.
    Delete {
        /// The webhook's id.
        webhook_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Make a new secret and print it, once. The one before signs too for 24 hours.
    Rotate {
        /// The webhook's id.
        webhook_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Send a message of type webhook.test once, now.
    Test {
        /// The webhook's id.
        webhook_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
    /// Show what became of the last events.
    Deliveries {
        /// The webhook's id.
        webhook_id: String,
        #[command(flatten)]
        owner: OwnerArgs,
    },
}

pub(crate) async fn run(command: WebhookCommand) -> anyhow::Result<()> {
    match command {
        WebhookCommand::Create { url, types, owner } => {
            let request = CreateWebhook { url, types };
            say_json(&owner.connect()?.create_webhook(&request).await?)
        }
        WebhookCommand::List { owner } => say_json(&owner.connect()?.webhooks().await?),
        WebhookCommand::Delete { webhook_id, owner } => {
            owner.connect()?.delete_webhook(&webhook_id).await
        }
        WebhookCommand::Rotate { webhook_id, owner } => {
            say_json(&owner.connect()?.rotate_webhook(&webhook_id).await?)
        }
        WebhookCommand::Test { webhook_id, owner } => {
            say_json(&owner.connect()?.test_webhook(&webhook_id).await?)
        }
        WebhookCommand::Deliveries { webhook_id, owner } => {
            say_json(&owner.connect()?.deliveries(&webhook_id).await?)
        }
    }
}
