//! Paid APIs and agents of both SDKs: the Rust ones in this process, the TypeScript ones as processes of Node.js.

use std::{path::Path, process::Stdio, time::Duration};

use reqwest::{Method, Request, Url};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::process::Command;
use x402::local::{
    js::{self, JsPackages},
    server::Server,
};
use x402_agent::{
    AgentClient, AgentConfig, FetchError, Fetched, PayError, Proof, QuoteError, reqwest::Response,
};

use crate::{
    api::PaidApi,
    world::{World, amount, url},
};

/// What each of the paid APIs asks for a report.
pub const PRICE: &str = "0.05";

/// The scripts that newcomers copy, by framework.
const EXAMPLES: [(&str, &str); 3] = [
    ("Express", "examples/express-api.mjs"),
    ("Hono", "examples/hono-api.mjs"),
    ("fetch", "examples/fetch-api.mjs"),
];

/// A paid API of one of the SDKs.
#[derive(Debug)]
pub struct Seller {
    /// Its framework.
    pub name: &'static str,
    /// The paid route.
    pub report: Url,
    // Dropping it ends its process.
    _server: Option<Server>,
}

/// The TypeScript packages, installed and built on first use.
pub async fn packages() -> JsPackages {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/js");
    js::ensure(&folder)
        .await
        .unwrap_or_else(|error| panic!("the TypeScript packages can be built: {error}"))
}

impl Seller {
    /// One for each framework.
    pub async fn all(world: &World) -> Vec<Self> {
        let axum = PaidApi::start(world, PRICE).await;
        let mut sellers = vec![Self {
            name: "axum",
            report: axum.url("report"),
            _server: None,
        }];
        for (name, script) in EXAMPLES {
            sellers.push(Self::start(world, name, script, None).await);
        }
        sellers
    }

    /// One of the examples, reached under another URL if one is given.
    pub async fn start(
        world: &World,
        name: &'static str,
        script: &str,
        public_url: Option<&Url>,
    ) -> Self {
        let mut environment = selling(world);
        environment.extend(public_url.map(|url| ("PUBLIC_URL", url.to_string())));
        let log = world.folder.path().join(format!("{name}.log"));
        let server = packages()
            .await
            .serve(&world.shared.launcher, script, environment, log, None)
            .await
            .unwrap_or_else(|error| panic!("{name} starts: {error}"));
        let base = url(([127, 0, 0, 1], server.port).into());
        Self {
            name,
            report: base.join("report").unwrap(),
            _server: Some(server),
        }
    }
}

/// The settings of a paid API in TypeScript.
pub fn selling(world: &World) -> Vec<(&'static str, String)> {
    vec![
        ("X402_VERIFIER_URL", world.verifier().to_string()),
        ("X402_PROVIDER_KEY", world.provider_key.clone()),
        ("X402_PAY_TO", world.pay_to.to_checksum(None)),
        ("X402_NETWORK", "devnet".to_owned()),
        ("X402_TOKEN", world.token.address.to_checksum(None)),
    ]
}

/// What became of an operation of an agent.
#[derive(Debug)]
pub enum Outcome {
    /// The resource, and the proof that bought it.
    Served {
        /// The answer's body.
        body: Value,
        /// What redeemed it.
        proof: String,
    },
    /// Policy said no, by this code.
    Denied(String),
    /// This payment has not settled yet.
    Pending(String),
    /// Anything else.
    Other(String),
}

/// Which SDK an agent uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// `x402-agent`.
    Rust,
    /// `@x402/agent`.
    TypeScript,
}

/// An agent of one of the SDKs.
#[derive(Clone, Debug)]
pub struct Buyer {
    /// Its SDK.
    pub sdk: Sdk,
    gateway: Url,
    key: String,
}

impl Buyer {
    /// One for each SDK, both the world's agent.
    pub fn all(world: &World) -> [Self; 2] {
        [Sdk::Rust, Sdk::TypeScript].map(|sdk| Self {
            sdk,
            gateway: world.gateway(),
            key: world.agent_key.clone(),
        })
    }

    /// Fetches and pays up to 1 MNEE, in no more than the time.
    pub async fn buy(&self, report: &Url, deadline: Duration) -> Outcome {
        match self.sdk {
            Sdk::Rust => rust_outcome(self.client(deadline).fetch(get(report)).await).await,
            Sdk::TypeScript => {
                let deadline = u64::try_from(deadline.as_millis()).unwrap();
                self.script(json!({ "operation": "fetch", "url": report, "deadlineMs": deadline }))
                    .await
            }
        }
    }

    /// Goes on with a payment that was pending.
    pub async fn resume(&self, payment_id: &str, report: &Url) -> Outcome {
        match self.sdk {
            Sdk::Rust => {
                let client = self.client(x402_agent::config::DEFAULT_DEADLINE);
                rust_outcome(client.resume(payment_id, get(report)).await).await
            }
            Sdk::TypeScript => {
                let ask = json!({ "operation": "resume", "url": report, "paymentId": payment_id });
                self.script(ask).await
            }
        }
    }

    /// Sends the request with a proof that was kept.
    pub async fn redeem(&self, proof: &str, report: &Url) -> Outcome {
        match self.sdk {
            Sdk::Rust => {
                let client = self.client(x402_agent::config::DEFAULT_DEADLINE);
                let paid = proof.parse::<Proof>().unwrap().into();
                rust_outcome(client.retry_with_proof(paid, get(report)).await).await
            }
            Sdk::TypeScript => {
                let ask = json!({ "operation": "redeem", "url": report, "proof": proof });
                self.script(ask).await
            }
        }
    }

    fn client(&self, deadline: Duration) -> AgentClient {
        let key = SecretString::from(self.key.clone());
        let mut config = AgentConfig::new(self.gateway.clone(), key, amount("1"));
        config.deadline = deadline;
        AgentClient::new(config).unwrap()
    }

    /// One operation in a process of its own, so nothing is remembered in between.
    async fn script(&self, operation: Value) -> Outcome {
        let output = Command::new("node")
            .arg(packages().await.file("conformance/agent.mjs"))
            .env("X402_GATEWAY_URL", self.gateway.as_str())
            .env("X402_AGENT_KEY", &self.key)
            .env("X402_OPERATION", operation.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("Node.js runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let Ok(outcome) = serde_json::from_str::<Value>(&said) else {
            let error = String::from_utf8_lossy(&output.stderr);
            panic!("the TypeScript agent says {said:?} and {error}");
        };
        script_outcome(&outcome)
    }
}

fn get(report: &Url) -> Request {
    Request::new(Method::GET, report.clone())
}

async fn rust_outcome(fetched: Result<Fetched, FetchError>) -> Outcome {
    match fetched {
        Ok(Fetched {
            response,
            payment: Some(paid),
        }) if response.status() == 200 => Outcome::Served {
            body: json_of(response).await,
            proof: paid.proof.as_str().to_owned(),
        },
        Err(FetchError::Quote(QuoteError::Denied { code, .. })) => {
            Outcome::Denied(code.to_string())
        }
        Err(FetchError::Pay(PayError::Failed { code, .. })) => Outcome::Denied(code.to_string()),
        Err(FetchError::Pending { payment_id, .. }) => Outcome::Pending(payment_id),
        other => Outcome::Other(format!("{other:?}")),
    }
}

async fn json_of(response: Response) -> Value {
    let body = response.bytes().await.expect("the answer arrives");
    serde_json::from_slice(&body).expect("the answer is JSON")
}

fn script_outcome(outcome: &Value) -> Outcome {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let error = &outcome["error"];
    match (error["name"].as_str(), outcome["status"].as_u64()) {
        (None, Some(200)) => Outcome::Served {
            body: outcome["body"].clone(),
            proof: text(&outcome["proof"]),
        },
        (Some("PaymentDeniedError" | "PaymentFailedError"), _) => {
            Outcome::Denied(text(&error["reason"]))
        }
        (Some("PaymentPendingError"), _) => Outcome::Pending(text(&error["paymentId"])),
        _ => Outcome::Other(outcome.to_string()),
    }
}
