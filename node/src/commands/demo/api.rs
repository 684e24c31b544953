//! The demo's paid API: three endpoints, three prices, made paid by the server SDK alone.

use std::net::SocketAddr;

use alloy::primitives::Address;
use axum::{
    Extension, Json, Router,
    routing::{get, post},
};
use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Value, json};
use x402_schemas::network::Network;
use x402_server::{PaidApi, ServerConfig, VerifiedPayment};
use x402_service::{lifecycle::Tasks, serve};

use crate::stack::url_of;

/// One thing to buy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) price: &'static str,
}

/// Everything that is for sale, cheapest first.
pub(super) const ENDPOINTS: [Endpoint; 3] = [
    Endpoint {
        method: "GET",
        path: "weather",
        price: "0.01",
    },
    Endpoint {
        method: "GET",
        path: "report",
        price: "0.05",
    },
    Endpoint {
        method: "POST",
        path: "summary",
        price: "0.10",
    },
];

/// Starts the API and returns its URL.
pub(super) async fn start(
    listen: SocketAddr,
    verifier: Url,
    provider_key: &str,
    pay_to: Address,
    (network, token): (Network, Address),
    tasks: &Tasks,
) -> anyhow::Result<Url> {
    let (listener, address) = serve::bind(listen).await?;
    let url: Url = url_of(address).parse()?;
    let key = SecretString::from(provider_key.to_owned());
    let mut config = ServerConfig::new(verifier, key, pay_to, network, url.clone());
    config.token = token;
    let api = PaidApi::new(config)?;
    let [weather, report, summary] = ENDPOINTS;
    let routes = Router::new()
        .route(
            "/weather",
            get(forecast).route_layer(api.layer(weather.price.parse()?, "weather forecast")?),
        )
        .route(
            "/report",
            get(market_report).route_layer(api.layer(report.price.parse()?, "market report")?),
        )
        .route(
            "/summary",
            post(summarize).route_layer(api.layer(summary.price.parse()?, "text summary")?),
        )
        .route("/", get(catalogue));
    let stop = tasks.stop_token();
    tasks.spawn("demo API", serve::serve(listener, routes, stop));
    Ok(url)
}

async fn catalogue() -> Json<Value> {
    let entries = ENDPOINTS.map(|endpoint| json!({ "method": endpoint.method, "path": endpoint.path, "priceMnee": endpoint.price }));
    Json(json!({ "endpoints": entries }))
}

async fn forecast(Extension(payment): Extension<VerifiedPayment>) -> Json<Value> {
    Json(json!({ "forecast": "clear, 19 degrees", "receipt": receipt(&payment) }))
}

async fn market_report(Extension(payment): Extension<VerifiedPayment>) -> Json<Value> {
    Json(json!({ "report": "demand for paid APIs rises", "receipt": receipt(&payment) }))
}

async fn summarize(Extension(payment): Extension<VerifiedPayment>, text: String) -> Json<Value> {
    let summary: String = text
        .split_whitespace()
        .take(8)
        .collect::<Vec<_>>()
        .join(" ");
    Json(json!({ "summary": summary, "receipt": receipt(&payment) }))
}

fn receipt(payment: &VerifiedPayment) -> Value {
    json!({
        "paymentId": payment.payment_id,
        "amount": payment.amount,
        "txHash": payment.tx_hash,
        "logIndex": payment.log_index,
        "blockNumber": payment.block_number,
    })
}
