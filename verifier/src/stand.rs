//! A whole verifier for tests, with a scripted index.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    response::Response,
};
use http_body_util::BodyExt;
use prometheus::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use tower::ServiceExt;
use x402_schemas::{
    api::provider::MAX_BATCH,
    index::{Change, IndexError},
    proof::{ProofClaims, ProofSigner},
    transfer::TransferId,
};
use x402_service::{api_key::ApiKey, clock};

use crate::{
    Verifier,
    claims::Claims,
    directory::DirectoryView,
    issued::IssuedProofs,
    limits::{InHand, Terms},
    metrics::VerifierMetrics,
    routes,
    samples::{self, BLOCK, PAYEE, PROVIDER, SERVED, provider, tip},
    statements::Statements,
    transfers::{LookUp, Memory, Transfers},
    verdict::Served,
};

/// A verifier with a scripted index: rows, or away.
pub(crate) struct Stand {
    pub(crate) router: Router,
    pub(crate) memory: Arc<Memory>,
    pub(crate) directory: Arc<DirectoryView>,
    pub(crate) index: Arc<Mutex<Option<Vec<Change>>>>,
    pub(crate) signer: ProofSigner,
    pub(crate) key: ApiKey,
    pub(crate) other_key: ApiKey,
    pub(crate) signed_at: u64,
    pub(crate) claims: Claims,
    pub(crate) issued: Arc<IssuedProofs>,
    pub(crate) metrics: Arc<VerifierMetrics>,
    #[expect(dead_code, reason = "kept until the verifier is gone")]
    pub(crate) folder: TempDir,
}

impl Stand {
    pub(crate) async fn new() -> Self {
        let terms = Terms {
            per_second: NonZeroU32::new(10_000).unwrap(),
            concurrent: 100,
        };
        Self::with(terms, SERVED).await
    }

    /// A verifier that gives each provider so much, and serves this.
    pub(crate) async fn with(terms: Terms, served: Served) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(VerifierMetrics::register(&Registry::new()).unwrap());
        let (claims, writer) = Claims::open(
            folder.path(),
            1_000,
            metrics.claim_commit_duration_seconds.clone(),
        )
        .await
        .unwrap();
        tokio::spawn(writer.run());
        let memory = Arc::new(Memory::new(1_000));
        memory.restart(Some(tip(5, BLOCK)), &[]);
        let (look_up, task) = LookUp::new(Arc::clone(&memory), Arc::clone(&metrics));
        let index: Arc<Mutex<Option<Vec<Change>>>> = Arc::new(Mutex::new(Some(Vec::new())));
        let rows = Arc::clone(&index);
        tokio::spawn(task.run(move |ids| std::future::ready(find(&rows, &ids))));
        let signer = samples::signer(1);
        let ((entry, key), (other, other_key)) =
            (provider(PROVIDER, &[PAYEE]), provider("prov_2", &[PAYEE]));
        let directory = Arc::new(DirectoryView::new(terms));
        directory.accept(
            samples::directory(1, &signer, vec![entry, other]),
            Instant::now(),
        );
        let issued = Arc::new(IssuedProofs::new(1_000));
        let router = routes::router(Verifier {
            directory: Arc::clone(&directory),
            transfers: Transfers::new(Arc::clone(&memory), look_up, Arc::clone(&metrics)),
            claims: claims.clone(),
            in_hand: InHand::new(MAX_BATCH),
            statements: Statements::new(1_000, Arc::clone(&issued), Arc::clone(&metrics)),
            metrics: Arc::clone(&metrics),
            served,
            domain: samples::domain(),
        });
        let signed_at = clock::unix_seconds(clock::now());
        Self {
            router,
            memory,
            directory,
            index,
            signer,
            key,
            other_key,
            signed_at,
            claims,
            issued,
            metrics,
            folder,
        }
    }

    /// A payment that the index has, with its proof's claims.
    pub(crate) fn paid(&self, number: u8) -> ProofClaims {
        let claims = samples::claims(number, self.signed_at);
        self.set_row(Change::Added(samples::transfer(&claims)));
        claims
    }

    /// The gateway knows nobody any more.
    pub(crate) fn revoke_everyone(&self) {
        let nobody = samples::directory(9, &self.signer, Vec::new());
        self.directory.accept(nobody, Instant::now());
    }

    pub(crate) fn set_row(&self, row: Change) {
        self.index.lock().unwrap().get_or_insert_default().push(row);
    }

    pub(crate) fn body(&self, claims: &ProofClaims) -> Value {
        let proof = self.signer.sign(claims).unwrap();
        json!({ "proof": proof, "invoiceId": claims.invoice_id })
    }

    pub(crate) async fn send(
        &self,
        key: Option<&ApiKey>,
        path: &str,
        body: String,
    ) -> (StatusCode, Value) {
        let mut request = Request::post(path).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {}", key.expose()));
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(response.headers()["retry-after"], "1");
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// The whole answer to a POST.
    pub(crate) async fn raw(&self, key: &ApiKey, path: &str, body: String) -> Response {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", key.expose()))
            .body(Body::from(body))
            .unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn revocations(&self, key: &ApiKey, query: &str) -> Value {
        let request = Request::get(format!("/revocations{query}"))
            .header("authorization", format!("Bearer {}", key.expose()))
            .body(Body::empty())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    pub(crate) async fn verify(&self, body: &Value) -> Value {
        let (status, answer) = self
            .send(Some(&self.key), "/verify", body.to_string())
            .await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

fn find(rows: &Mutex<Option<Vec<Change>>>, ids: &[TransferId]) -> Result<Vec<Change>, IndexError> {
    let rows = rows.lock().unwrap();
    let rows = rows
        .as_ref()
        .ok_or(IndexError::ClickHouse(clickhouse::error::Error::TimedOut))?;
    Ok(rows
        .iter()
        .filter(|row| ids.contains(&row.transfer().id))
        .copied()
        .collect())
}
