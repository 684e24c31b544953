//! A paid API in this process and a verifier over real HTTP that answers by a script.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Request, Response, StatusCode},
    routing::{get, post},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use x402_schemas::{
    api::provider::VerifyRequest,
    proof::{ProofClaims, ProofSigner},
};
use x402_server::{
    Address, B256, InvoiceId, Network, PaidApi, SecretString, ServerConfig, Url, VerifiedPayment,
};

pub(crate) const KEY: &str = "x402_provider_0011223344556677_secret";
pub(crate) const PRICE: &str = "0.05";
pub(crate) const PUBLIC_URL: &str = "https://api.example.com";

/// How the verifier treats one question.
pub(crate) enum Reply {
    /// As a real one does: the first attempt claims, others are refused.
    Honest,
    /// As a real one does, and the answer is lost.
    LostAfterClaim,
    /// With a positive answer that was tampered with.
    Changed(&'static str, Value),
    /// With a refusal.
    Refused(&'static str, Option<u64>),
    /// With a status and a body.
    Raw(u16, String),
    /// With silence.
    Silence,
}

#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) url: Url,
    script: Arc<Mutex<VecDeque<Reply>>>,
    claims: Arc<Mutex<HashMap<InvoiceId, Option<String>>>>,
    pub(crate) asked: Arc<Mutex<Vec<(HeaderMap, VerifyRequest)>>>,
    /// The seeds of the keys that it publishes; none: it answers 503.
    pub(crate) seeds: Arc<Mutex<Vec<u8>>>,
    /// How often it was asked for them.
    pub(crate) keys_asked: Arc<AtomicUsize>,
}

impl Verifier {
    /// Treats questions like this, one after the other, and then honestly.
    pub(crate) async fn scripted(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let verifier = Self {
            url: format!("http://{}", listener.local_addr().unwrap())
                .parse()
                .unwrap(),
            script: Arc::new(Mutex::new(replies.into_iter().collect())),
            claims: Arc::default(),
            asked: Arc::default(),
            seeds: Arc::new(Mutex::new(vec![1])),
            keys_asked: Arc::default(),
        };
        let router = Router::new()
            .route("/verify", post(answer))
            .route("/.well-known/jwks.json", get(jwks))
            .with_state(verifier.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        verifier
    }

    pub(crate) fn asked(&self) -> Vec<VerifyRequest> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(_, question)| question.clone()).collect()
    }

    pub(crate) fn attempts(&self) -> Vec<String> {
        let attempts = self.asked().into_iter();
        attempts.map(|question| question.attempt.unwrap()).collect()
    }

    fn honest(&self, question: &VerifyRequest) -> Value {
        let mut claims = self.claims.lock().unwrap();
        let claimed = claims
            .entry(question.invoice_id.clone())
            .or_insert_with(|| question.attempt.clone());
        if *claimed == question.attempt {
            verified(question)
        } else {
            json!({"verified": false, "errorCode": "ALREADY_CLAIMED", "message": "used"})
        }
    }
}

async fn jwks(State(verifier): State<Verifier>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    assert!(!headers.contains_key("authorization"));
    verifier.keys_asked.fetch_add(1, Ordering::Relaxed);
    let seeds = verifier.seeds.lock().unwrap().clone();
    if seeds.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(Value::Null));
    }
    let keys = seeds.iter().map(|seed| {
        let signer = ProofSigner::from_seed(&[*seed; 32]).unwrap();
        json!(signer.public_key())
    });
    let keys: Vec<Value> = keys.collect();
    (StatusCode::OK, Json(json!({ "keys": keys })))
}

async fn answer(
    State(verifier): State<Verifier>,
    headers: HeaderMap,
    Json(question): Json<VerifyRequest>,
) -> (StatusCode, String) {
    verifier
        .asked
        .lock()
        .unwrap()
        .push((headers, question.clone()));
    let reply = verifier.script.lock().unwrap().pop_front();
    let body = match reply.unwrap_or(Reply::Honest) {
        Reply::Honest => verifier.honest(&question),
        Reply::LostAfterClaim => {
            verifier.honest(&question);
            return (StatusCode::BAD_GATEWAY, String::new());
        }
        Reply::Changed(field, value) => {
            let mut body = verified(&question);
            body[field] = value;
            body
        }
        Reply::Refused(code, retry_after_ms) => {
            json!({"verified": false, "errorCode": code, "message": "m", "retryAfterMs": retry_after_ms})
        }
        Reply::Raw(status, body) => return (StatusCode::from_u16(status).unwrap(), body),
        Reply::Silence => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            Value::Null
        }
    };
    (StatusCode::OK, body.to_string())
}

fn verified(question: &VerifyRequest) -> Value {
    json!({
        "verified": true, "paymentId": "pay_1", "invoiceId": question.invoice_id,
        "amount": question.amount, "payTo": question.pay_to.unwrap().to_checksum(None),
        "resource": question.resource, "paidAt": "2026-01-01T00:00:00Z",
        "txHash": B256::repeat_byte(7), "logIndex": 3, "blockNumber": 9,
        "blockHash": B256::repeat_byte(8), "confirmations": 1, "finalized": false,
        "payer": Address::repeat_byte(2).to_checksum(None), "claimedAt": "2026-01-01T00:00:01Z",
    })
}

pub(crate) fn config(verifier: &Verifier) -> ServerConfig {
    let mut config = ServerConfig::new(
        verifier.url.clone(),
        SecretString::from(KEY),
        Address::repeat_byte(1),
        Network::DEVNET,
        PUBLIC_URL.parse().unwrap(),
    );
    config.verifier_timeout = Duration::from_millis(300);
    config
}

/// What the handler answers, one after the other, and then 200.
pub(crate) type Statuses = Arc<Mutex<VecDeque<u16>>>;

/// `/report` and `/other` cost 0.05, `/dear` 0.06.
pub(crate) fn router(config: ServerConfig, statuses: &Statuses) -> Router {
    let api = PaidApi::new(config).unwrap();
    let paid = |price: &str| api.layer(price.parse().unwrap(), "A report").unwrap();
    let report = get(serve).post(serve);
    Router::new()
        .route("/report", report.route_layer(paid(PRICE)))
        .route("/other", get(serve).route_layer(paid(PRICE)))
        .route("/dear", get(serve).route_layer(paid("0.06")))
        .with_state(Arc::clone(statuses))
}

async fn serve(
    State(statuses): State<Statuses>,
    Extension(payment): Extension<VerifiedPayment>,
) -> (StatusCode, String) {
    let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
    match status {
        0 => std::panic::resume_unwind(Box::new("the handler fell over")),
        1 => std::future::pending().await,
        _ => {
            let status = StatusCode::from_u16(status).unwrap();
            let yet = if payment.confirmed {
                ""
            } else {
                ", not confirmed yet"
            };
            (status, format!("served to {}{yet}", payment.payment_id))
        }
    }
}

pub(crate) async fn paid_api(verifier: &Verifier) -> Router {
    router(config(verifier), &Statuses::default())
}

/// One answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and code.
    pub(crate) fn code(&self) -> (u16, String) {
        (
            self.status,
            self.json()["error"].as_str().unwrap().to_owned(),
        )
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

pub(crate) async fn send(api: &Router, request: Request<Body>) -> Answer {
    let response: Response<Body> = api.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) fn request(line: &str, proof: Option<&str>) -> Request<Body> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    if let Some(proof) = proof {
        request = request.header("x-402-proof", proof);
    }
    request.body(Body::empty()).unwrap()
}

/// A proof of what the 402 to this request asks for.
pub(crate) async fn bought(api: &Router, line: &str) -> String {
    let asked = send(api, request(line, None)).await;
    assert_eq!(asked.status, 402, "{asked:?}");
    proof(asked.header("x-402-invoice-id"), line)
}

pub(crate) fn proof(invoice_id: &str, line: &str) -> String {
    sign(1, &claims(invoice_id, line))
}

/// Signed with the key of a seed.
pub(crate) fn sign(seed: u8, claims: &ProofClaims) -> String {
    let signer = ProofSigner::from_seed(&[seed; 32]).unwrap();
    signer.sign(claims).unwrap()
}

/// What a proof of this invoice states.
pub(crate) fn claims(invoice_id: &str, line: &str) -> ProofClaims {
    let (method, path) = line.split_once(' ').unwrap();
    ProofClaims {
        iss: "http://127.0.0.1".into(),
        sub: "pay_1".into(),
        iat: 1_700_000_000,
        exp: 1_700_086_400,
        invoice_id: invoice_id.parse().unwrap(),
        amount: PRICE.parse().unwrap(),
        asset: Address::repeat_byte(9),
        pay_to: Address::repeat_byte(1),
        payer: Address::repeat_byte(2),
        network: Network::DEVNET,
        tx_hash: B256::repeat_byte(7),
        log_index: 3,
        block_number: 9,
        resource: format!("{method} {PUBLIC_URL}{path}").parse().unwrap(),
    }
}
