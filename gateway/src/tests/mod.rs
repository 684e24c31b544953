//! Rules of the gateway as a whole, over its router, on a real ledger and without a chain.

mod approvals;
mod bad_input;
mod check;
mod directory;
mod documents;
mod events;
mod idempotency;
mod issued;
mod keys;
mod ledger;
mod limits;
mod members;
mod policies;
mod pruning;
mod rates;
mod registration;
mod restart;
mod sessions;
mod tenancy;
mod webhooks;

use std::sync::Arc;

use alloy::primitives::{Address, B256, address};
use axum::{
    Router,
    body::Body,
    http::{Method, Request, header},
};
use http_body_util::BodyExt;
use jiff::SignedDuration;
use prometheus::Registry;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use x402_schemas::network::Network;
use x402_service::clock;

use crate::{
    chain::Chain,
    cipher::Cipher,
    directory::{FULL_LEASE, Followers},
    events::{news::News, stream::Streams},
    funds::Funds,
    gateway::Gateway,
    idempotency::{ANSWERS, IdempotencyKey},
    key_uses::KeyUses,
    ledger::Ledger,
    limits::{Limits, Terms},
    metrics::GatewayMetrics,
    pay::{
        lane::Lanes,
        reserve::{self, Reservation},
        wait::Waiters,
    },
    principal::Agent,
    proofs::Proofs,
    routes,
    seed::Seed,
    sessions::Sessions,
    traces::Traces,
    webhooks::{SECRETS, address::Reach, send::Sender},
};

const TOKEN: Address = address!("8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF");
const PAYEE: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const OPERATOR: &str = "operator-token-of-the-tests";
const SERVICE: &str = "service-token-of-the-tests";

/// A gateway on a ledger of its own. Its chain is away.
struct House {
    gateway: Arc<Gateway>,
    router: Router,
    folder: TempDir,
}

/// A workspace's id, and its owner's id and key.
struct Tenant {
    workspace_id: String,
    member_id: String,
    key: String,
}

/// An agent's or a member's id and key.
struct AgentKey {
    id: String,
    key: String,
}

impl House {
    async fn new() -> Self {
        Self::within(Terms {
            per_minute: std::num::NonZeroU32::MAX,
            concurrent: 1_000,
        })
        .await
    }

    /// A gateway whose keys and addresses may ask so much.
    async fn within(terms: Terms) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).await.unwrap();
        let seed = Seed::from_bytes(&B256::repeat_byte(7));
        let nowhere = "http://127.0.0.1:1".parse().unwrap();
        let gateway = Arc::new(Gateway {
            chain: Chain::connect(nowhere, TOKEN, 1_000_000_000),
            network: Network::DEVNET,
            ledger_id: "led_test".to_owned(),
            key_pepper: seed.key_pepper().unwrap(),
            provider_key_pepper: seed.provider_key_pepper().unwrap(),
            limits: Limits::of(terms),
            sessions: Sessions::of(&seed, "http://gateway.test").unwrap(),
            key_uses: KeyUses::default(),
            answers: Cipher::of(&seed, ANSWERS).unwrap(),
            webhook_secrets: Cipher::of(&seed, SECRETS).unwrap(),
            operator_token: SecretString::from(OPERATOR),
            service_token: SecretString::from(SERVICE),
            issuer: "http://gateway.test".to_owned(),
            quote_ttl: SignedDuration::from_mins(1),
            approval_ttl: SignedDuration::from_mins(60),
            stuck_after: SignedDuration::from_mins(1),
            proofs: Proofs::open(&ledger, &seed, clock::now()).await.unwrap(),
            followers: Followers::load(&ledger, FULL_LEASE).await.unwrap(),
            funds: Funds::default(),
            lanes: Lanes::default(),
            waiters: Waiters::default(),
            traces: Traces::default(),
            news: News::default(),
            streams: Streams::default(),
            webhooks: Sender::new(Reach::Public).unwrap(),
            sending: TaskTracker::new(),
            sending_slots: Arc::new(tokio::sync::Semaphore::new(64)),
            verifier: None,
            metrics: GatewayMetrics::register(&Registry::new()).unwrap(),
            stop: CancellationToken::new(),
            lock: None,
            ledger,
            seed,
        });
        Self {
            router: routes::routes(&gateway),
            gateway,
            folder,
        }
    }

    /// Sends a request and returns status and body, null where the body is no JSON.
    async fn send(&self, method: &str, path: &str, key: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        self.send_raw(method, path, key, body).await
    }

    async fn send_raw(&self, method: &str, path: &str, key: &str, body: Vec<u8>) -> (u16, Value) {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn workspace(&self, monthly_budget: &str) -> Tenant {
        let body = json!({"name": "house", "monthlyBudget": monthly_budget});
        let (status, body) = self.send("POST", "/workspaces", OPERATOR, body).await;
        assert_eq!(status, 201, "{body}");
        Tenant {
            workspace_id: text(&body, "workspaceId"),
            member_id: text(&body, "memberId"),
            key: text(&body, "apiKey"),
        }
    }

    async fn agent(&self, owner: &Tenant, policy: Value) -> AgentKey {
        let mut body = json!({"name": "buyer"});
        if !policy.is_null() {
            body["policy"] = policy;
        }
        let (status, body) = self.send("POST", "/agents", &owner.key, body).await;
        assert_eq!(status, 201, "{body}");
        AgentKey {
            id: text(&body, "agentId"),
            key: text(&body, "apiKey"),
        }
    }

    /// Makes a member of that role; its id and key.
    async fn member(&self, owner: &Tenant, role: &str) -> AgentKey {
        let body = json!({"name": role, "role": role});
        let (status, body) = self.send("POST", "/members", &owner.key, body).await;
        assert_eq!(status, 201, "{body}");
        AgentKey {
            id: text(&body, "memberId"),
            key: text(&body, "apiKey"),
        }
    }

    /// A session of whoever has this key.
    async fn session(&self, key: &str) -> String {
        let (status, body) = self.send("POST", "/sessions", key, Value::Null).await;
        assert_eq!(status, 201, "{body}");
        text(&body, "token")
    }

    async fn provider(&self, owner: &Tenant, payee: &str) -> (u16, Value) {
        let body = json!({"name": "seller", "payees": [payee]});
        self.send("POST", "/providers", &owner.key, body).await
    }

    async fn get(&self, path: &str, key: &str) -> Value {
        let (status, body) = self.send("GET", path, key, Value::Null).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Asks to pay a fresh quote, which has to be allowed. Does not wait.
    async fn pay(&self, key: &str, invoice_id: &str, amount: &str) -> (u16, Value) {
        let (status, quote) = self.quote(key, invoice_id, amount).await;
        assert_eq!(status, 200, "{quote}");
        let pay = json!({"quoteId": text(&quote, "quoteId"), "waitMs": 0});
        self.send("POST", "/pay", key, pay).await
    }

    async fn quote(&self, key: &str, invoice_id: &str, amount: &str) -> (u16, Value) {
        self.send("POST", "/quote", key, quote_of(invoice_id, amount))
            .await
    }
}

/// Asks to pay a quote and leaves what comes of it undriven.
async fn reserve(gateway: &Gateway, who: &Agent, quote_id: &str) -> Reservation {
    let key = IdempotencyKey::default();
    let attempt = key.attempt(&who.agent_id, "POST /pay", &quote_id, clock::now());
    reserve::reserve(gateway, who, &attempt.unwrap(), quote_id)
        .await
        .unwrap()
}

fn text(body: &Value, field: &str) -> String {
    body[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {body}"))
        .to_owned()
}

fn policy(per_request: &str, daily: &str, monthly: &str) -> Value {
    json!({"perRequest": per_request, "daily": daily, "monthly": monthly, "allowedProviders": ["*"],
        "allowUnregistered": true})
}

fn quote_of(invoice_id: &str, amount: &str) -> Value {
    json!({
        "invoiceId": invoice_id, "amount": amount, "payTo": PAYEE, "network": "devnet",
        "providerUrl": "https://api.example.com/report?token=secret",
    })
}
