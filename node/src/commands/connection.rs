//! Flags that several commands share.

use clap::Args;
use reqwest::Url;
use secrecy::SecretString;

use crate::owner::Owner;

/// Which gateway, and as which member of a workspace.
#[derive(Clone, Debug, Args)]
pub(crate) struct OwnerArgs {
    /// The gateway's URL.
    #[arg(
        long,
        env = "X402_GATEWAY_URL",
        default_value = "http://127.0.0.1:4020/"
    )]
    gateway_url: Url,
    /// A member's key, `x402_owner_…` or `x402_member_…`. What it may do is its member's role.
    #[arg(long, env = "X402_OWNER_KEY", hide_env_values = true)]
    owner_key: SecretString,
}

impl OwnerArgs {
    /// The gateway, seen as that member.
    pub(crate) fn connect(&self) -> anyhow::Result<Owner> {
        Owner::new(self.gateway_url.clone(), self.owner_key.clone())
    }
}
