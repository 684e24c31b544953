//! Flags that several commands share.

use clap::Args;
use reqwest::Url;
use secrecy::SecretString;
use x402_schemas::api::keys::RotateKey;

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

/// How long a replaced key goes on.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct GraceArgs {
    /// Seconds for which the keys of before go on; at most a day.
    #[arg(long, default_value_t = 0)]
    grace_seconds: u32,
}

impl From<GraceArgs> for RotateKey {
    fn from(args: GraceArgs) -> Self {
        Self {
            grace_seconds: args.grace_seconds,
        }
    }
}

impl OwnerArgs {
    /// The gateway, seen as that member.
    pub(crate) fn connect(&self) -> anyhow::Result<Owner> {
        Owner::new(self.gateway_url.clone(), self.owner_key.clone())
    }
}
