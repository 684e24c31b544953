//! What verifiers follow: `GET /internal/directory`, with the services' shared token.
//!
//! A long poll that answers when the directory has moved past `since`, or unchanged when the wait
//! ends. Asking with `since` acknowledges it, so the gateway knows when a revocation has arrived.

use alloy_primitives::B256;
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use serde::{Deserialize, Serialize};

use super::{confirmations::Confirmations, owner::Payee};

/// The query of `GET /internal/directory`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectoryQuery {
    /// The newest directory that the verifier acts on; 0 for none.
    pub since: u64,
    /// The verifier's own name, the same in each of its calls.
    pub verifier: String,
    /// How long to wait for a change.
    pub wait_ms: u64,
}

/// Everything that a verifier needs to know of the gateway.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Grows with every change.
    pub seq: u64,
    /// The key under which provider keys are hashed, 32 bytes hex. A secret.
    pub provider_key_pepper: B256,
    /// The gateway's public URL, which proofs name as their issuer.
    pub issuer: String,
    /// The gateway's proof keys, old ones included while their proofs live.
    pub jwks: JwkSet,
    /// Providers that are not revoked.
    pub providers: Vec<DirectoryProvider>,
}

/// A provider and how it proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryProvider {
    /// Its id.
    pub provider_id: String,
    /// The addresses that it is paid at.
    pub payees: Vec<Payee>,
    /// Its valid API keys; one that was replaced is valid until its end.
    pub keys: Vec<DirectoryKey>,
    /// How settled its payments must be.
    #[serde(default)]
    pub confirmations: Confirmations,
}

/// An API key as stored: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryKey {
    /// The id within the key.
    pub key_id: String,
    /// The keyed hash of its secret.
    pub hash: B256,
    /// When it ends by itself, as it was replaced with a grace. Verifiers end it by their own clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}

/// The most keys that one call tells of.
pub const MAX_KEY_USES: usize = 1_000;

/// The body of `POST /internal/key-uses`, with the services' shared token: providers use their keys at verifiers, which tell
/// the gateway of it every few seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyUses {
    /// Ids of the keys that were used since the call before, at most [`MAX_KEY_USES`].
    pub key_ids: Vec<String>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory")
            .field("seq", &self.seq)
            .field("provider_key_pepper", &"[redacted]")
            .field("providers", &self.providers.len())
            .finish_non_exhaustive()
    }
}
