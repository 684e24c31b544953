//! The gateway's public keys, as the verifier publishes them.
//!
//! Read again when they are old or a proof names a key that is not among them, by one request at a
//! time and not too often: an invented key must not become a flood. Keys that could not be read
//! again for too long do not count.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};
use x402_schemas::proof::{ProofClaims, ProofError, ProofKeys};

use crate::verifier::Verifier;

/// The age from which keys are read again: as long as the verifier lets them be cached.
const REFRESH_AFTER: Duration = Duration::from_mins(1);

/// Public keys and when they were read.
#[derive(Debug)]
pub(crate) struct Keys {
    max_age: Duration,
    min_refetch: Duration,
    held: RwLock<Option<Held>>,
    /// When they were last asked for. Held while asking.
    asked_at: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug)]
struct Held {
    keys: Arc<ProofKeys>,
    read_at: Instant,
}

/// What the keys say of a proof.
#[derive(Debug)]
pub(crate) enum Read {
    /// Signed with one of them.
    Signed(Box<ProofClaims>),
    /// Not signed with any of them.
    NotSigned,
    /// There are none to check with.
    NoKeys,
}

impl Keys {
    pub(crate) fn new(max_age: Duration, min_refetch: Duration) -> Self {
        Self {
            max_age,
            min_refetch,
            held: RwLock::new(None),
            asked_at: Mutex::new(None),
        }
    }

    /// Checks a proof, with fresh keys if need be.
    pub(crate) async fn read(&self, verifier: &Verifier, proof: &str) -> Read {
        let held = self.held();
        let age = held.as_ref().map(|held| held.read_at.elapsed());
        let outcome = held.map(|held| held.keys.read(proof));
        let is_old = age.is_none_or(|age| age >= REFRESH_AFTER.min(self.max_age));
        if !is_old && !matches!(outcome, Some(Err(ProofError::UnknownKey))) {
            return judged(outcome);
        }
        self.refetch(verifier).await;
        let fresh_enough = self
            .held()
            .filter(|held| held.read_at.elapsed() < self.max_age);
        judged(fresh_enough.map(|held| held.keys.read(proof)))
    }

    /// Asks for the keys, unless somebody is asking or has just asked.
    async fn refetch(&self, verifier: &Verifier) {
        let Ok(mut asked_at) = self.asked_at.try_lock() else {
            return;
        };
        if asked_at.is_some_and(|asked_at| asked_at.elapsed() < self.min_refetch) {
            return;
        }
        let read_at = Instant::now();
        *asked_at = Some(read_at);
        match verifier.keys().await {
            Ok(keys) => {
                let held = Held {
                    keys: Arc::new(keys),
                    read_at,
                };
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(error, "the gateway's public keys could not be read");
            }
        }
    }

    fn held(&self) -> Option<Held> {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn judged(outcome: Option<Result<ProofClaims, ProofError>>) -> Read {
    match outcome {
        Some(Ok(claims)) => Read::Signed(Box::new(claims)),
        Some(Err(_)) => Read::NotSigned,
        None => Read::NoKeys,
    }
}
