//! Serving before the verifier has answered: signature and terms by the gateway's public keys alone.
//!
//! Whatever is not a clear yes is asked of the verifier first, as without this. A payment is served
//! so at most once by one process, and never after the verifier was asked about it. What only the
//! verifier knows is not known here: claims made elsewhere, reorgs, and keys revoked since the
//! public keys were read.

use std::{sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use x402_schemas::{
    api::provider::VerifyRequest,
    invoice::InvoiceId,
    proof::{LIFETIME_SECONDS, ProofClaims},
};

use crate::{
    config::OfflineConfig,
    invoice::Terms,
    keys::{Keys, Read},
    payment::VerifiedPayment,
    verifier::Verifier,
};

/// The most payments that are remembered, about 50 MB; the least recently used is forgotten first.
const MAX_REMEMBERED: u64 = 262_144;

/// The most payments that the verifier has yet to confirm. Beyond it requests wait for its answer.
const MAX_UNCONFIRMED: u32 = 1_024;

/// How far ahead of ours the gateway's clock may be, in seconds.
const MAX_CLOCK_SKEW_SECONDS: u64 = 300;

/// The offline check of one API.
#[derive(Debug)]
pub(crate) struct Offline {
    config: OfflineConfig,
    keys: Keys,
    marks: Cache<InvoiceId, Mark>,
    slots: Arc<Semaphore>,
}

/// How an invoice was first dealt with, which is never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Served at once.
    Served,
    /// Asked of the verifier, whose word it stays with.
    Asked,
}

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Offhand {
    /// Serve it, and have it confirmed; the slot is held until then.
    Serve(Box<VerifiedPayment>, OwnedSemaphorePermit),
    /// It was served before.
    Used,
    /// Ask the verifier first.
    Ask,
}

impl Offline {
    pub(crate) fn new(config: OfflineConfig) -> Self {
        let marks = Cache::builder()
            .max_capacity(MAX_REMEMBERED)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(Duration::from_secs(LIFETIME_SECONDS))
            .build();
        Self {
            keys: Keys::new(config.keys_max_age, config.keys_min_refetch),
            config,
            marks,
            slots: Arc::new(Semaphore::new(slots())),
        }
    }

    pub(crate) const fn config(&self) -> &OfflineConfig {
        &self.config
    }

    /// Judges a proof that claims to pay an invoice of ours. `repeats` says that the request takes
    /// over an attempt that failed, whose claim the verifier may already have.
    pub(crate) async fn consider(
        &self,
        verifier: &Verifier,
        question: &VerifyRequest,
        terms: &Terms,
        repeats: bool,
        now: u64,
    ) -> Offhand {
        if terms.price > self.config.up_to {
            return Offhand::Ask;
        }
        let claims = match self.keys.read(verifier, &question.proof).await {
            Read::Signed(claims) => Some(claims),
            // Anybody can make these up, so nothing is remembered of them.
            Read::NotSigned => return Offhand::Ask,
            Read::NoKeys => None,
        };
        let payment = claims
            .filter(|claims| !repeats && self.fits(claims, terms, now))
            .map(|claims| payment(*claims));
        let slot = payment.and_then(|payment| {
            let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
            Some((payment, slot))
        });
        let mark = slot.as_ref().map_or(Mark::Asked, |_| Mark::Served);
        let entry = self
            .marks
            .entry_by_ref(&question.invoice_id)
            .or_insert(mark);
        match (entry.is_fresh(), entry.into_value(), slot) {
            (true, Mark::Served, Some((payment, slot))) => Offhand::Serve(Box::new(payment), slot),
            (false, Mark::Served, _) if !repeats => Offhand::Used,
            (_, Mark::Served | Mark::Asked, _) => Offhand::Ask,
        }
    }

    /// Waits until nothing is left to be confirmed.
    pub(crate) async fn confirmed(&self) {
        // Never closed, so there is nothing else to wait for.
        drop(self.slots.acquire_many(MAX_UNCONFIRMED).await);
    }

    /// What the verifier compares too, as far as it can be compared without the chain. A mismatch is
    /// the verifier's to name.
    fn fits(&self, claims: &ProofClaims, terms: &Terms, now: u64) -> bool {
        claims.iss == self.config.issuer
            && claims.asset == self.config.token
            && claims.network == terms.network
            && claims.pay_to == terms.pay_to
            && claims.amount == terms.price
            && claims.resource == terms.resource
            && claims.exp > now
            && claims.iat <= now.saturating_add(MAX_CLOCK_SKEW_SECONDS)
    }
}

fn slots() -> usize {
    usize::try_from(MAX_UNCONFIRMED).unwrap_or(usize::MAX)
}

/// What the gateway states, not yet confirmed.
fn payment(claims: ProofClaims) -> VerifiedPayment {
    VerifiedPayment {
        payment_id: claims.sub,
        invoice_id: claims.invoice_id,
        amount: claims.amount,
        payer: claims.payer,
        tx_hash: claims.tx_hash,
        log_index: claims.log_index,
        block_number: claims.block_number,
        confirmations: 0,
        finalized: false,
        resource: claims.resource,
        confirmed: false,
    }
}
