//! Proofs: signed statements that a payment settled, and the keys that sign them.
//!
//! A key signs only after every verifier knows it, and stays in the JWKS until the last proof that it
//! signed has expired.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{Json, extract::State, http::StatusCode};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::JwkSet;
use thiserror::Error;
use tokio::sync::watch;
use x402_schemas::{
    api::{
        ErrorBody,
        issued::{Issued, IssuedQuery},
    },
    network::Network,
    proof::{self, ProofClaims, ProofSigner},
};
use x402_service::{clock, json::StrictQuery, problem::Problem};

use crate::{
    gateway::Gateway,
    ledger::{
        Ledger, LedgerError, directory, issued_proofs,
        payments::{Payment, Place},
        proof_keys,
    },
    principal::{Operator, Service},
    seed::{Seed, SeedError},
};

/// A proof may be signed a little after its key was taken out of service.
const RETIREMENT_MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// The longest wait of one poll for digests.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// The key that signs now.
#[derive(Debug)]
pub(crate) struct Proofs {
    signer: RwLock<Arc<ProofSigner>>,
    /// One rotation at a time.
    rotating: tokio::sync::Mutex<()>,
    /// Rung when proofs were stored.
    issued: watch::Sender<()>,
}

/// Why there is no proof.
#[derive(Debug, Error)]
pub enum ProofsError {
    /// The ledger.
    #[error("the proof keys could not be read or written")]
    Ledger(#[from] LedgerError),
    /// The seed.
    #[error("a proof key could not be derived")]
    Seed(#[from] SeedError),
    /// The signature.
    #[error("a proof could not be signed")]
    Signature(#[from] jsonwebtoken::errors::Error),
    /// A payment without payer or transaction, which is a bug.
    #[error("the payment is not signed")]
    Unsigned,
}

impl Proofs {
    /// Takes up the key that signs, or publishes the first.
    pub(crate) async fn open(
        ledger: &Ledger,
        seed: &Seed,
        now: Timestamp,
    ) -> Result<Self, ProofsError> {
        let mut change = ledger.write().await?;
        let signer = if let Some(number) = proof_keys::signing(&mut change).await? {
            derive(seed, number)?
        } else {
            let number = proof_keys::next_number(&mut change).await?;
            let signer = derive(seed, number)?;
            let jwk = signer.public_key();
            proof_keys::insert(&mut change, number, &kid(&signer), jwk, now).await?;
            directory::advance(&mut change).await?;
            signer
        };
        change.commit().await.map_err(LedgerError::from)?;
        Ok(Self {
            signer: RwLock::new(Arc::new(signer)),
            rotating: tokio::sync::Mutex::new(()),
            issued: watch::Sender::new(()),
        })
    }

    /// Tells waiting verifiers that proofs were stored.
    pub(crate) fn announce_issued(&self) {
        self.issued.send_replace(());
    }

    /// States that a payment is in that place on the chain.
    pub(crate) fn issue(
        &self,
        issuer: &str,
        network: Network,
        asset: alloy::primitives::Address,
        payment: &Payment,
        place: Place,
        now: Timestamp,
    ) -> Result<String, ProofsError> {
        let payer = payment.payer.ok_or(ProofsError::Unsigned)?;
        let iat = clock::unix_seconds(now);
        let claims = ProofClaims {
            iss: issuer.to_owned(),
            sub: payment.id.clone(),
            iat,
            exp: iat.saturating_add(proof::LIFETIME_SECONDS),
            invoice_id: payment.invoice.id.clone(),
            amount: payment.invoice.amount,
            asset,
            pay_to: payment.invoice.pay_to,
            payer,
            network,
            tx_hash: place.tx_hash,
            log_index: place.log_index,
            block_number: place.block_number,
            resource: payment.invoice.resource.clone(),
        };
        let signer = Arc::clone(&self.signer.read().unwrap_or_else(PoisonError::into_inner));
        Ok(signer.sign(&claims)?)
    }
}

impl Gateway {
    /// Puts a new proof key into service: published, followed by every verifier, then signing. The old
    /// one stays in the JWKS until its proofs have expired.
    pub(crate) async fn rotate_proof_key(&self) -> Result<String, ProofsError> {
        let _rotating = self.proofs.rotating.lock().await;
        let mut change = self.ledger.write().await?;
        let number = proof_keys::next_number(&mut change).await?;
        let signer = derive(&self.seed, number)?;
        let kid = kid(&signer);
        let now = clock::now();
        proof_keys::insert(&mut change, number, &kid, signer.public_key(), now).await?;
        let seq = directory::advance(&mut change).await?;
        change.commit().await.map_err(LedgerError::from)?;
        self.publish_directory(seq);
        self.until_followed(seq).await?;

        *self
            .proofs
            .signer
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(signer);
        let lifetime =
            SignedDuration::from_secs(i64::try_from(proof::LIFETIME_SECONDS).unwrap_or(i64::MAX));
        let until = clock::now()
            .saturating_add(lifetime.saturating_add(RETIREMENT_MARGIN))
            .unwrap_or(Timestamp::MAX);
        let mut change = self.ledger.write().await?;
        proof_keys::retire_before(&mut change, number, until).await?;
        change.commit().await.map_err(LedgerError::from)?;
        Ok(kid)
    }
}

/// The public keys of all living proofs (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "public",
    responses((status = 200, body = Object, description = "A JWK Set of Ed25519 keys")))]
pub(crate) async fn jwks(State(gateway): State<Arc<Gateway>>) -> Result<Json<JwkSet>, Problem> {
    let mut conn = gateway.ledger.read().await?;
    let keys = proof_keys::published(&mut conn, clock::now()).await?;
    Ok(Json(JwkSet { keys }))
}

/// Puts a new proof key into service. Answers when every verifier knows it.
#[utoipa::path(post, path = "/proof-keys/rotate", tag = "operator",
    responses(
        (status = 204, description = "The new key signs from now on"),
        (status = 401, body = ErrorBody, description = "UNAUTHORIZED: not the operator's token"),
    ), security(("operator" = [])))]
pub(crate) async fn rotate(
    State(gateway): State<Arc<Gateway>>,
    Operator: Operator,
) -> Result<StatusCode, Problem> {
    match gateway.rotate_proof_key().await {
        Ok(kid) => {
            tracing::info!(kid, "a new proof key signs");
            Ok(StatusCode::NO_CONTENT)
        }
        Err(ProofsError::Ledger(error)) => Err(error.into()),
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// `GET /internal/proofs`: a long poll by verifiers for the digests of issued proofs. Not part of the
/// public API.
pub(crate) async fn issued(
    State(gateway): State<Arc<Gateway>>,
    Service: Service,
    StrictQuery(query): StrictQuery<IssuedQuery>,
) -> Result<Json<Issued>, Problem> {
    let mut news = gateway.proofs.issued.subscribe();
    let known = gateway.issued_after(query.after).await?;
    if !known.proofs.is_empty() || known.newest < query.after {
        return Ok(Json(known));
    }
    tokio::select! {
        _ = news.changed() => (),
        () = tokio::time::sleep(Duration::from_millis(query.wait_ms).min(MAX_WAIT)) => (),
        () = gateway.stop.cancelled() => (),
    }
    Ok(Json(gateway.issued_after(query.after).await?))
}

impl Gateway {
    async fn issued_after(&self, after: u64) -> Result<Issued, LedgerError> {
        let mut conn = self.ledger.read().await?;
        // The newest number first: digests stored in between only come early.
        let newest = issued_proofs::newest(&mut conn).await?;
        let proofs = issued_proofs::after(&mut conn, after).await?;
        Ok(Issued { newest, proofs })
    }
}

fn derive(seed: &Seed, number: i64) -> Result<ProofSigner, ProofsError> {
    let bytes = seed.derive(&format!("proof-key/{number}"))?;
    Ok(ProofSigner::from_seed(&bytes.0)?)
}

fn kid(signer: &ProofSigner) -> String {
    signer
        .public_key()
        .common
        .key_id
        .clone()
        .unwrap_or_default()
}
