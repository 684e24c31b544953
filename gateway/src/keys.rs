//! API keys: made for whoever is to hold them.

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::api::members::Role;
use x402_service::api_key::{ApiKey, KeyKind};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        api_keys::{self, Holder},
    },
};

/// Makes a key and remembers its hash. The key itself is to be shown now or never.
pub(crate) async fn issue(
    gateway: &Gateway,
    change: &mut SqliteConnection,
    workspace_id: &str,
    holder: Holder<'_>,
    kind: KeyKind,
    now: Timestamp,
) -> Result<ApiKey, LedgerError> {
    let key = ApiKey::generate(kind)?;
    let pepper = match holder {
        Holder::Member(_) | Holder::Agent(_) => &gateway.key_pepper,
        Holder::Provider(_) => &gateway.provider_key_pepper,
    };
    api_keys::insert(
        change,
        key.key_id(),
        key.hash(pepper),
        workspace_id,
        holder,
        now,
    )
    .await?;
    Ok(key)
}

/// What a member's key is called when it is made. What it may do is the role's matter, not the key's.
pub(crate) const fn kind_of(role: Role) -> KeyKind {
    match role {
        Role::Owner => KeyKind::Owner,
        Role::Viewer | Role::Member | Role::Admin => KeyKind::Member,
    }
}
