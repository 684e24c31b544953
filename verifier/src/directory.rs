//! The gateway's directory: who may ask, and whose proofs count.
//!
//! Followed by long poll, so that a revocation arrives in milliseconds. A verifier that has not
//! reached the gateway for [`LEASE`] answers nobody: the gateway may by then take it that every
//! revocation holds everywhere. Keeps nothing on disk.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256};
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;
use x402_schemas::{
    api::{confirmations::Confirmations, directory::Directory},
    proof::ProofKeys,
};
use x402_service::api_key::{ApiKey, KeyKind, Pepper};

use crate::{
    gateway::{AskError, Gateway, WAIT},
    limits::{Lane, Terms},
    obstacles::{Obstacles, Part},
    retry::Retry,
};

/// How long a directory counts after the gateway was last asked for it with success.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// The least time between two questions whose answer was "unchanged".
const MIN_INTERVAL: Duration = Duration::from_millis(250);

/// The largest directory that is read: some 100,000 providers.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A directory, ready for use.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its number.
    pub(crate) seq: u64,
    /// Whom proofs must name as their issuer.
    pub(crate) issuer: String,
    /// The proof keys as published.
    pub(crate) jwks: JwkSet,
    /// The proof keys, ready for checking.
    pub(crate) keys: ProofKeys,
    pepper: Pepper,
    by_key_id: HashMap<String, KnownKey>,
}

/// A key of the directory.
#[derive(Debug)]
struct KnownKey {
    hash: B256,
    ends_at: Option<Timestamp>,
    provider: Arc<Provider>,
    /// Since the gateway was last told.
    used: AtomicBool,
}

/// A provider that may ask.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its id.
    pub(crate) id: String,
    /// The addresses that it is paid at.
    pub(crate) payees: Vec<Address>,
    /// How settled its payments must be.
    pub(crate) confirmations: Confirmations,
    /// What it may ask.
    pub(crate) lane: Arc<Lane>,
}

/// The newest directory, and when it was last asked for.
#[derive(Debug)]
pub(crate) struct DirectoryView {
    held: ArcSwapOption<Held>,
    terms: Terms,
}

#[derive(Debug)]
struct Held {
    known: Arc<Known>,
    asked_at: Instant,
}

/// There is no directory to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the gateway's directory is missing or older than {} s; is the gateway reachable?", LEASE.as_secs())]
pub(crate) struct Stale;

/// Follows the directory of one gateway.
pub(crate) struct Follower {
    view: Arc<DirectoryView>,
    obstacles: Obstacles,
    gateway: Gateway,
    endpoint: Url,
}

impl Known {
    /// Prepares a directory for use. A provider that `lanes` has goes on with what it has left.
    fn of(directory: Directory, lanes: &HashMap<String, Arc<Lane>>, terms: Terms) -> Self {
        let mut by_key_id = HashMap::new();
        for provider in directory.providers {
            let lane = lanes.get(&provider.provider_id).map(Arc::clone);
            let known = Arc::new(Provider {
                lane: lane.unwrap_or_else(|| Arc::new(Lane::new(terms))),
                id: provider.provider_id,
                confirmations: provider.confirmations,
                payees: provider.payees.iter().map(|payee| payee.0).collect(),
            });
            for key in provider.keys {
                let provider = Arc::clone(&known);
                let known_key = KnownKey {
                    hash: key.hash,
                    ends_at: key.ends_at,
                    provider,
                    used: AtomicBool::new(false),
                };
                by_key_id.insert(key.key_id, known_key);
            }
        }
        Self {
            seq: directory.seq,
            issuer: directory.issuer,
            keys: ProofKeys::from_jwks(&directory.jwks),
            jwks: directory.jwks,
            pepper: Pepper::new(directory.provider_key_pepper),
            by_key_id,
        }
    }

    fn lanes(&self) -> HashMap<String, Arc<Lane>> {
        let providers = self.by_key_id.values().map(|key| &key.provider);
        providers
            .map(|provider| (provider.id.clone(), Arc::clone(&provider.lane)))
            .collect()
    }

    /// The provider whose key this is. An unknown key takes as long as a known one. The time is asked only for a key
    /// that has an end.
    pub(crate) fn provider(
        &self,
        key: &ApiKey,
        now: impl FnOnce() -> Timestamp,
    ) -> Option<&Arc<Provider>> {
        let known = self.by_key_id.get(key.key_id());
        let hash = known.map_or(B256::ZERO, |known| known.hash);
        let matches = key.matches(&self.pepper, hash);
        let known = known?;
        let lives = known.ends_at.is_none_or(|end| now() < end);
        let is_valid = matches && lives && key.kind() == KeyKind::Provider;
        // Written once and then only read, so that cores do not take the line from each other.
        if is_valid && !known.used.load(Ordering::Relaxed) {
            known.used.store(true, Ordering::Relaxed);
        }
        is_valid.then_some(&known.provider)
    }

    /// The ids of the keys that were used since they were last taken.
    fn take_used(&self) -> Vec<String> {
        let keys = self.by_key_id.iter();
        keys.filter(|(_, key)| key.used.swap(false, Ordering::Relaxed))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Notes that these were used.
    fn mark_used<'a>(&self, key_ids: impl IntoIterator<Item = &'a String>) {
        let keys = key_ids.into_iter().filter_map(|id| self.by_key_id.get(id));
        for key in keys {
            key.used.store(true, Ordering::Relaxed);
        }
    }
}

impl DirectoryView {
    /// No directory yet. Each provider that comes may ask what `terms` say.
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            held: ArcSwapOption::empty(),
            terms,
        }
    }

    /// The directory, if it still counts at `now`.
    pub(crate) fn current(&self, now: Instant) -> Result<Arc<Known>, Stale> {
        match self.held.load().as_ref() {
            Some(held) if now.saturating_duration_since(held.asked_at) < LEASE => {
                Ok(Arc::clone(&held.known))
            }
            Some(_) | None => Err(Stale),
        }
    }

    /// How long ago the directory was asked for, if ever.
    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        let held = self.held.load();
        held.as_ref()
            .map(|held| now.saturating_duration_since(held.asked_at))
    }

    /// Takes an answer. Its lease runs from the question: the gateway's own count starts later.
    /// Returns whether it brought anything new.
    pub(crate) fn accept(&self, directory: Directory, asked_at: Instant) -> bool {
        let before = self.held.load();
        let before = before.as_ref().map(|held| &held.known);
        let unchanged = before.filter(|known| known.seq == directory.seq);
        let changed = unchanged.is_none();
        let known = unchanged.map_or_else(
            || {
                let lanes = before.map(|known| known.lanes()).unwrap_or_default();
                let known = Known::of(directory, &lanes, self.terms);
                if let Some(before) = before {
                    known.mark_used(&before.take_used());
                }
                Arc::new(known)
            },
            Arc::clone,
        );
        self.held.store(Some(Arc::new(Held { known, asked_at })));
        changed
    }

    /// The ids of the keys that were used since they were last taken.
    pub(crate) fn take_used(&self) -> Vec<String> {
        let held = self.held.load();
        held.as_ref()
            .map(|held| held.known.take_used())
            .unwrap_or_default()
    }

    /// Notes that these were used: the gateway could not be told.
    pub(crate) fn mark_used(&self, key_ids: &[String]) {
        if let Some(held) = self.held.load().as_ref() {
            held.known.mark_used(key_ids);
        }
    }

    fn seq(&self) -> u64 {
        self.held.load().as_ref().map_or(0, |held| held.known.seq)
    }
}

impl Follower {
    /// Follows the directory at `endpoint` under `name`.
    pub(crate) fn new(
        view: Arc<DirectoryView>,
        obstacles: Obstacles,
        mut endpoint: Url,
        name: &str,
        gateway: Gateway,
    ) -> Self {
        endpoint
            .query_pairs_mut()
            .append_pair("verifier", name)
            .append_pair("waitMs", &WAIT.as_millis().to_string());
        Self {
            view,
            obstacles,
            gateway,
            endpoint,
        }
    }

    /// Follows until `stop`. Nothing that the gateway does ends it.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled_owned(self.follow()).await;
    }

    async fn follow(&self) {
        let mut retry = Retry::new();
        loop {
            let asked_at = Instant::now();
            match self.ask().await {
                Ok(directory) => {
                    retry = Retry::new();
                    let (seq, providers) = (directory.seq, directory.providers.len());
                    let changed = self.view.accept(directory, asked_at);
                    self.obstacles.set(Part::Directory, None);
                    if changed {
                        tracing::info!(seq, providers, "the directory changed");
                    } else {
                        tokio::time::sleep(MIN_INTERVAL.saturating_sub(asked_at.elapsed())).await;
                    }
                }
                Err(error) => {
                    self.obstacles.judge_directory(&self.view);
                    retry.after("the directory could not be read", error).await;
                }
            }
        }
    }

    async fn ask(&self) -> Result<Directory, AskError> {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut()
            .append_pair("since", &self.view.seq().to_string());
        self.gateway.ask(url, MAX_BYTES).await
    }
}

#[cfg(test)]
mod tests;
