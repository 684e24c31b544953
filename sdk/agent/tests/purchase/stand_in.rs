//! A provider or gateway that answers by a script, over real HTTP, and remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, Response},
};
use serde_json::{Value, json};
use x402_agent::{
    AgentClient, AgentConfig, B256, Network, SecretString, Url,
    reqwest::{Method, Request},
};
use x402_schemas::proof::{ProofClaims, ProofSigner};

pub(crate) const KEY: &str = "x402_agent_0011223344556677_secret";
pub(crate) const PAY_TO: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// One scripted answer.
#[derive(Clone)]
pub(crate) enum Reply {
    Answer(u16, Vec<(&'static str, String)>, String),
    HangUp,
    Late(Duration, Box<Self>),
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

#[derive(Clone)]
pub(crate) struct StandIn {
    pub(crate) url: Url,
    script: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl StandIn {
    /// Answers with these, one after the other, and with 418 when there are none left.
    pub(crate) async fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stand_in = Self {
            url: format!("http://{address}").parse().unwrap(),
            script: Arc::new(Mutex::new(replies.into_iter().collect())),
            seen: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stand_in
    }

    pub(crate) fn then(&self, reply: Reply) {
        self.script.lock().unwrap().push_back(reply);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The request lines, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }
}

async fn answer(
    State(stand_in): State<StandIn>,
    request: axum::extract::Request,
) -> Response<Body> {
    let line = format!("{} {}", request.method(), request.uri());
    let headers = request.headers().clone();
    let body = to_bytes(request.into_body(), 1_000_000).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    stand_in.seen.lock().unwrap().push(Seen {
        line,
        headers,
        body,
    });
    let next = stand_in.script.lock().unwrap().pop_front();
    let mut reply = next.unwrap_or_else(|| text(418, "the script has ended"));
    loop {
        match reply {
            Reply::Late(time, then) => {
                tokio::time::sleep(time).await;
                reply = *then;
            }
            // Unwinding the connection's task closes the connection without an answer.
            Reply::HangUp => std::panic::resume_unwind(Box::new("hung up")),
            Reply::Answer(status, headers, body) => {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                return response.body(Body::from(body)).unwrap();
            }
        }
    }
}

pub(crate) fn text(status: u16, body: &str) -> Reply {
    Reply::Answer(status, vec![], body.to_owned())
}

pub(crate) fn json_reply(status: u16, body: &Value) -> Reply {
    text(status, &body.to_string())
}

pub(crate) fn redirect(to: &Url) -> Reply {
    Reply::Answer(307, vec![("location", to.to_string())], String::new())
}

pub(crate) fn payment_required() -> Reply {
    payment_required_of("0.05", "inv_1")
}

pub(crate) fn payment_required_of(amount: &str, invoice_id: &str) -> Reply {
    let headers = vec![
        ("x-402-invoice-id", invoice_id.to_owned()),
        ("x-402-amount", amount.to_owned()),
        ("x-402-pay-to", PAY_TO.to_owned()),
        ("x-402-network", "devnet".to_owned()),
        ("x-402-description", "a report".to_owned()),
        ("x-402-currency", "MNEE".to_owned()),
    ];
    Reply::Answer(402, headers, r#"{"error":"PAYMENT_REQUIRED"}"#.to_owned())
}

pub(crate) fn quoted() -> Reply {
    json_reply(
        200,
        &json!({
            "allowed": true, "quoteId": "quote_1", "expiresAt": "2026-01-01T00:00:00Z",
            "remaining": {"daily": "1", "monthly": "1", "workspaceMonthly": "1"},
        }),
    )
}

/// The gateway's proof of 0.05 MNEE for this invoice.
pub(crate) fn proof(resource: &str, invoice_id: &str) -> String {
    let claims = ProofClaims {
        iss: "http://127.0.0.1".into(),
        sub: "pay_1".into(),
        iat: 1_700_000_000,
        exp: 1_700_086_400,
        invoice_id: invoice_id.parse().unwrap(),
        amount: "0.05".parse().unwrap(),
        asset: x402_agent::Address::repeat_byte(1),
        pay_to: PAY_TO.parse().unwrap(),
        payer: x402_agent::Address::repeat_byte(2),
        network: Network::DEVNET,
        tx_hash: B256::repeat_byte(7),
        log_index: 3,
        block_number: 9,
        resource: resource.parse().unwrap(),
    };
    ProofSigner::from_seed(&[1; 32])
        .unwrap()
        .sign(&claims)
        .unwrap()
}

pub(crate) fn settled(proof: &str) -> Reply {
    json_reply(
        200,
        &json!({
            "success": true, "status": "settled", "paymentId": "pay_1", "invoiceId": "inv_1",
            "txHash": B256::repeat_byte(7), "proof": proof,
        }),
    )
}

pub(crate) fn pending(retry_after_ms: u64) -> Reply {
    json_reply(
        202,
        &json!({"status": "pending", "paymentId": "pay_1", "txHash": B256::repeat_byte(7), "retryAfterMs": retry_after_ms}),
    )
}

/// `GET /payments/pay_1`, with a proof when settled.
pub(crate) fn view(status: &str, resource: &str, proof: Option<&str>) -> Reply {
    json_reply(
        200,
        &json!({
            "paymentId": "pay_1", "agentId": "agent_1", "status": status, "invoiceId": "inv_1",
            "amount": "0.05", "payTo": PAY_TO, "network": "devnet", "resource": resource,
            "txHash": B256::repeat_byte(7), "proof": proof,
            "error": if status == "failed" { Some("TOKEN_PAUSED") } else { None },
            "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
        }),
    )
}

pub(crate) fn key() -> SecretString {
    SecretString::from(KEY)
}

pub(crate) fn client(gateway: &StandIn) -> AgentClient {
    let mut config = AgentConfig::new(gateway.url.clone(), key(), "0.05".parse().unwrap());
    config.deadline = Duration::from_secs(3);
    AgentClient::new(config).unwrap()
}

pub(crate) fn order(provider: &StandIn) -> Request {
    let mut request = Request::new(Method::POST, provider.url("/report?private=1"));
    *request.body_mut() = Some("the order".into());
    request
}

pub(crate) fn resource(provider: &StandIn) -> String {
    format!("POST {}", provider.url("/report"))
}

pub(crate) fn proof_for(provider: &StandIn) -> String {
    proof(&resource(provider), "inv_1")
}

/// A provider that asks to be paid and then answers with `replies`, and a gateway that pays it.
pub(crate) async fn paying(replies: impl IntoIterator<Item = Reply>) -> (StandIn, StandIn) {
    let provider = StandIn::answering([payment_required()].into_iter().chain(replies)).await;
    let gateway = StandIn::answering([quoted(), settled(&proof_for(&provider))]).await;
    (provider, gateway)
}
