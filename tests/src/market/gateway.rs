//! The gateway's side of the verifier, from memory: the directory of providers, and the digests of issued proofs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy::primitives::B256;
use axum::{
    Json, Router,
    extract::{Query, State},
    routing::{get, post},
};
use serde_json::{Value, json};
use x402_schemas::{
    api::{
        directory::DirectoryQuery,
        issued::{Issued, IssuedProof, IssuedQuery, MAX_ISSUED},
    },
    proof::digest,
};
use x402_service::api_key::Pepper;

use super::payments::{ISSUER, Payments, SHARED_PAYEE};

/// The only directory that there is.
const SEQ: u64 = 1;

/// What serves both until the process ends.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Where.
    pub url: String,
    served: Arc<Served>,
}

#[derive(Debug)]
struct Served {
    directory: Value,
    digests: Vec<IssuedProof>,
    /// Whether the digests are told.
    tells: AtomicBool,
}

impl Gateway {
    /// Serves the payments' providers and the digests of these proofs.
    pub fn start(payments: &Payments, proofs: &[String]) -> Self {
        let numbered = (1..).zip(proofs);
        let digests = numbered.map(|(number, proof)| IssuedProof {
            number,
            digest: digest(proof),
        });
        let served = Arc::new(Served {
            directory: directory(payments),
            digests: digests.collect(),
            tells: AtomicBool::new(true),
        });
        let routes = Router::new()
            .route("/internal/directory", get(answer_directory))
            .route("/internal/proofs", get(answer_proofs))
            .route("/internal/key-uses", post(|| async {}))
            .with_state(Arc::clone(&served));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, routes).await.unwrap();
            });
        });
        Self { url, served }
    }

    /// Whether digests are told from now on. A verifier without them checks signatures.
    pub fn tell_digests(&self, tells: bool) {
        self.served.tells.store(tells, Ordering::Relaxed);
    }

    /// How many digests there are to be told.
    pub fn digests(&self) -> u64 {
        u64::try_from(self.served.digests.len()).unwrap()
    }
}

fn directory(payments: &Payments) -> Value {
    let pepper = Pepper::new(B256::repeat_byte(3));
    let providers: Vec<Value> = payments
        .sellers
        .iter()
        .map(|seller| {
            json!({
                "providerId": seller.id,
                "payees": [seller.payee.to_checksum(None), SHARED_PAYEE.to_checksum(None)],
                "keys": [{ "keyId": seller.key.key_id(), "hash": seller.key.hash(&pepper) }],
            })
        })
        .collect();
    json!({
        "seq": SEQ, "providerKeyPepper": pepper.expose(), "issuer": ISSUER,
        "jwks": { "keys": [payments.signer.public_key()] }, "providers": providers,
    })
}

async fn answer_directory(
    State(served): State<Arc<Served>>,
    Query(query): Query<DirectoryQuery>,
) -> Json<Value> {
    if query.since == SEQ {
        tokio::time::sleep(Duration::from_millis(query.wait_ms)).await;
    }
    Json(served.directory.clone())
}

async fn answer_proofs(
    State(served): State<Arc<Served>>,
    Query(query): Query<IssuedQuery>,
) -> Json<Issued> {
    let told: &[IssuedProof] = if served.tells.load(Ordering::Relaxed) {
        &served.digests
    } else {
        &[]
    };
    let from = usize::try_from(query.after).unwrap().min(told.len());
    let proofs: Vec<IssuedProof> = told[from..].iter().take(MAX_ISSUED).copied().collect();
    if proofs.is_empty() {
        tokio::time::sleep(Duration::from_millis(query.wait_ms)).await;
    }
    let newest = told.last().map_or(0, |proof| proof.number);
    Json(Issued { newest, proofs })
}
