//! When each key was last used: in memory, and in the ledger at most once a minute and at the end.
//!
//! A request costs no write. A process that is killed forgets the last minute. Providers use their keys at verifiers, which
//! tell of it every few seconds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{extract::State, http::StatusCode};
use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::api::directory::{self, MAX_KEY_USES};
use x402_service::{clock, json::StrictJson, logs::with_causes, problem::Problem};

use crate::{
    gateway::Gateway,
    ledger::{
        Ledger, LedgerError,
        api_keys::{self, Holder},
        columns,
    },
    principal::Service,
};

/// How often uses are written.
const WRITTEN_EACH: Duration = Duration::from_mins(1);

/// Uses that the ledger does not have yet. Bounded by the keys that are used within a minute.
#[derive(Debug, Default)]
pub(crate) struct KeyUses {
    unwritten: Mutex<HashMap<String, i64>>,
}

impl KeyUses {
    /// A valid key was used.
    pub(crate) fn note(&self, key_id: &str, now: Timestamp) {
        let at = now.as_millisecond();
        let mut unwritten = self.lock();
        if let Some(last) = unwritten.get_mut(key_id) {
            *last = at.max(*last);
        } else {
            unwritten.insert(key_id.to_owned(), at);
        }
    }

    /// When this key was last used, given what the ledger says.
    pub(crate) fn last(
        &self,
        key_id: &str,
        written: Option<i64>,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let unwritten = self.lock().get(key_id).copied();
        unwritten.max(written).map(columns::time).transpose()
    }

    /// When any key of this holder was last used.
    pub(crate) async fn last_of(
        &self,
        conn: &mut SqliteConnection,
        holder: Holder<'_>,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let mut last = None;
        for (key_id, written) in api_keys::uses(conn, holder).await? {
            last = last.max(self.last(&key_id, written)?);
        }
        Ok(last)
    }

    /// Writes what is unwritten. What cannot be written now is kept for the next time.
    pub(crate) async fn write(&self, ledger: &Ledger) {
        let uses = std::mem::take(&mut *self.lock());
        if uses.is_empty() {
            return;
        }
        if let Err(error) = record(ledger, &uses).await {
            tracing::warn!(
                error = with_causes(&error),
                "uses of keys are not written yet"
            );
            let mut unwritten = self.lock();
            for (key_id, at) in uses {
                let last = unwritten.entry(key_id).or_insert(at);
                *last = at.max(*last);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn record(ledger: &Ledger, uses: &HashMap<String, i64>) -> Result<(), LedgerError> {
    let mut change = ledger.write().await?;
    for (key_id, at) in uses {
        api_keys::set_last_used(&mut change, key_id, *at).await?;
    }
    Ok(change.commit().await?)
}

/// `POST /internal/key-uses`: what providers' keys verifiers were asked with. Not part of the public API.
pub(crate) async fn told(
    State(gateway): State<Arc<Gateway>>,
    _: Service,
    StrictJson(told): StrictJson<directory::KeyUses>,
) -> Result<StatusCode, Problem> {
    if told.key_ids.len() > MAX_KEY_USES {
        let most =
            format!("keyIds has at most {MAX_KEY_USES} ids; tell of the others in another call");
        return Err(Problem::invalid(most));
    }
    let mut conn = gateway.ledger.read().await?;
    let now = clock::now();
    for key_id in api_keys::providers_among(&mut conn, &told.key_ids).await? {
        gateway.key_uses.note(&key_id, now);
    }
    Ok(StatusCode::NO_CONTENT)
}

impl Gateway {
    /// Writes uses of keys until the process is to stop. The last ones are written when the last
    /// request is answered.
    pub(crate) async fn write_key_uses(&self) {
        while self
            .stop
            .run_until_cancelled(tokio::time::sleep(WRITTEN_EACH))
            .await
            .is_some()
        {
            self.key_uses.write(&self.ledger).await;
        }
    }
}
