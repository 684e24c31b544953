//! The directory: what verifiers follow, and the proof that they have.
//!
//! A verifier acknowledges a directory by asking for the next one, and stops answering when it has
//! not reached the gateway for its lease. So a change holds everywhere once each verifier has
//! acknowledged it or its lease has run out. Verifiers are remembered in the ledger before they are
//! told anything, so that this survives a restart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Json, extract::State, http::StatusCode};
use jsonwebtoken::jwk::JwkSet;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use x402_schemas::api::{
    directory::{Directory, DirectoryKey, DirectoryProvider, DirectoryQuery},
    owner::Payee,
};
use x402_service::{clock, json::StrictQuery, problem::Problem};

use crate::{
    gateway::{Gateway, checked_name},
    ledger::{Ledger, LedgerError, api_keys, directory, proof_keys, providers},
    principal::Service,
};

/// How long a verifier may act on a directory after it last reached the gateway.
const LEASE: Duration = Duration::from_secs(30);
/// An answer that is still on its way to a verifier renews its lease that much later.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// How long a change waits for a verifier that went away.
pub(crate) const FULL_LEASE: Duration = LEASE.saturating_add(LEASE_MARGIN);
/// The longest wait of one poll; shorter than the lease, so that a quiet directory renews it.
const MAX_WAIT: Duration = Duration::from_secs(20);
const MAX_VERIFIERS: usize = 64;

/// The verifiers and what each of them acts on.
#[derive(Debug)]
pub(crate) struct Followers {
    seq: watch::Sender<u64>,
    /// Lease and margin together: how long a change may have to wait for a verifier that went away.
    lease: Duration,
    seen: Mutex<HashMap<String, Seen>>,
    /// Rung when a verifier has acknowledged.
    acknowledged: Notify,
    /// Held while a verifier is added to or removed from memory and ledger.
    membership: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    acts_on: u64,
    at: Instant,
}

impl Followers {
    /// Loads who may be acting on an older directory. Their leases start anew.
    pub(crate) async fn load(ledger: &Ledger, lease: Duration) -> Result<Self, LedgerError> {
        let mut conn = ledger.read().await?;
        let seq = directory::seq(&mut conn).await?;
        let at = Instant::now();
        let seen = directory::verifiers(&mut conn)
            .await?
            .into_iter()
            .map(|name| (name, Seen { acts_on: 0, at }))
            .collect();
        Ok(Self {
            seq: watch::Sender::new(seq),
            lease,
            seen: Mutex::new(seen),
            acknowledged: Notify::new(),
            membership: tokio::sync::Mutex::new(()),
        })
    }

    fn publish(&self, seq: u64) {
        self.seq.send_if_modified(|current| {
            let newer = seq > *current;
            *current = seq.max(*current);
            newer
        });
    }

    /// Notes that a verifier has asked, and acts on `since`.
    async fn note(&self, ledger: &Ledger, name: &str, since: u64) -> Result<(), Problem> {
        let seen = Seen {
            acts_on: since,
            at: Instant::now(),
        };
        if let Some(known) = self.lock().get_mut(name) {
            *known = seen;
            self.acknowledged.notify_waiters();
            return Ok(());
        }
        let _adding = self.membership.lock().await;
        if self.lock().len() >= MAX_VERIFIERS {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "TOO_MANY",
                format!(
                    "{MAX_VERIFIERS} verifiers follow already; names must not change between calls"
                ),
            ));
        }
        let mut change = ledger.write().await?;
        directory::add_verifier(&mut change, name, clock::now()).await?;
        change.commit().await.map_err(LedgerError::from)?;
        self.lock().insert(name.to_owned(), seen);
        Ok(())
    }

    /// An answer goes out now: the lease counts from here.
    fn renew(&self, name: &str) {
        if let Some(known) = self.lock().get_mut(name) {
            known.at = Instant::now();
        }
    }

    /// When the last verifier that acts on something older than `seq` has to stop; `None`: no one does.
    fn latest_end(&self, seq: u64) -> Option<Instant> {
        let now = Instant::now();
        self.lock()
            .values()
            .filter(|seen| seen.acts_on < seq)
            .filter_map(|seen| seen.at.checked_add(self.lease))
            .filter(|end| *end > now)
            .max()
    }

    pub(crate) async fn until_followed(
        &self,
        ledger: &Ledger,
        seq: u64,
    ) -> Result<(), LedgerError> {
        loop {
            let acknowledged = self.acknowledged.notified();
            let Some(end) = self.latest_end(seq) else {
                return self.forget_ended(ledger).await;
            };
            tokio::select! {
                () = acknowledged => (),
                () = tokio::time::sleep_until(end) => (),
            }
        }
    }

    async fn forget_ended(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let _removing = self.membership.lock().await;
        let now = Instant::now();
        let mut names = Vec::new();
        // Memory first: one that comes back now waits for the lock and is added again.
        self.lock().retain(|name, seen| {
            let end = seen.at.checked_add(self.lease);
            let lives = end.is_none_or(|end| end > now);
            if !lives {
                names.push(name.clone());
            }
            lives
        });
        if names.is_empty() {
            return Ok(());
        }
        let mut change = ledger.write().await?;
        for name in &names {
            directory::remove_verifier(&mut change, name).await?;
        }
        Ok(change.commit().await?)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Tells waiting verifiers that the directory has moved on.
    pub(crate) fn publish_directory(&self, seq: u64) {
        self.followers.publish(seq);
        self.metrics.directory_is_at(seq);
    }

    /// Waits until no verifier acts on anything older than `seq`.
    pub(crate) async fn until_followed(&self, seq: u64) -> Result<(), LedgerError> {
        self.followers.until_followed(&self.ledger, seq).await
    }
}

/// `GET /internal/directory`: a long poll by verifiers. Not part of the public API.
pub(crate) async fn follow(
    State(gateway): State<Arc<Gateway>>,
    Service: Service,
    StrictQuery(query): StrictQuery<DirectoryQuery>,
) -> Result<Json<Directory>, Problem> {
    let name = checked_name(&query.verifier)?;
    let followers = &gateway.followers;
    let mut news = followers.seq.subscribe();
    let current = {
        let mut conn = gateway.ledger.read().await?;
        directory::seq(&mut conn).await?
    };
    // A change whose request was cut off before it could tell is told now.
    gateway.publish_directory(current);
    // A number from another life of the ledger acknowledges nothing.
    let since = if query.since > current {
        0
    } else {
        query.since
    };
    followers.note(&gateway.ledger, name, since).await?;
    if since == current {
        let wait = Duration::from_millis(query.wait_ms).min(MAX_WAIT);
        tokio::select! {
            _ = news.wait_for(|seq| *seq > current) => (),
            () = tokio::time::sleep(wait) => (),
            () = gateway.stop.cancelled() => (),
        }
    }
    let directory = gateway.read_directory().await?;
    followers.renew(name);
    Ok(Json(directory))
}

impl Gateway {
    async fn read_directory(&self) -> Result<Directory, LedgerError> {
        let mut conn = self.ledger.read().await?;
        // One snapshot, so that the number fits what it numbers.
        let mut snapshot = sqlx::Connection::begin(&mut *conn).await?;
        let seq = directory::seq(&mut snapshot).await?;
        let now = clock::now();
        let jwks = JwkSet {
            keys: proof_keys::published(&mut snapshot, now).await?,
        };
        let rows = providers::list_valid(&mut snapshot).await?;
        let keys = api_keys::of_providers(&mut snapshot, now).await?;
        let mut keys_of: HashMap<String, Vec<DirectoryKey>> = HashMap::new();
        for (provider_id, key_id, hash, ends_at) in keys {
            let key = DirectoryKey {
                key_id,
                hash,
                ends_at,
            };
            keys_of.entry(provider_id).or_default().push(key);
        }
        let providers = rows
            .into_iter()
            .map(|row| DirectoryProvider {
                keys: keys_of.remove(&row.id).unwrap_or_default(),
                payees: row.payees.into_iter().map(Payee).collect(),
                confirmations: row.confirmations,
                provider_id: row.id,
            })
            .collect();
        Ok(Directory {
            seq,
            provider_key_pepper: self.provider_key_pepper.expose(),
            issuer: self.issuer.clone(),
            jwks,
            providers,
        })
    }
}
