//! When each key was last used: in memory, and in the ledger at most once a minute and at the end.
//!
//! A request costs no write. A process that is killed forgets the last minute.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_service::logs::with_causes;

use crate::{
    gateway::Gateway,
    ledger::{
        Ledger, LedgerError,
        api_keys::{self, Holder},
        columns,
    },
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
