//! API keys of a workspace's members, agents and providers, as its members see them: never the keys themselves.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest time that a replaced key may go on: a day.
pub const MAX_GRACE_SECONDS: u32 = 24 * 60 * 60;

/// `POST /members/{id}/rotate`, `/agents/{id}/rotate` and `/providers/{id}/rotate`. Nothing is like `{}`. At most 8 keys of
/// one holder are valid at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateKey {
    /// How long the keys of before go on, in seconds: 0, when absent, ends them at once; 86,400 at most.
    #[serde(default)]
    pub grace_seconds: u32,
}

/// One of `GET /keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// The id within the key.
    pub key_id: String,
    /// The member, agent or provider that holds it.
    pub holder_id: String,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it was last used: of a provider's key, which is used at the verifier, within some ten seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_used_at: Option<Timestamp>,
    /// When it ends by itself, if it was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub ends_at: Option<Timestamp>,
}
