//! A paid API of the kind that providers run, with the server SDK and nothing else.

use std::net::{Ipv4Addr, SocketAddr};

use axum::{Extension, Json, Router, routing::get};
use reqwest::{Method, Request, Url};
use secrecy::SecretString;
use serde_json::{Value, json};
use x402_agent::{AgentClient, AgentConfig, FetchError, Fetched};
use x402_schemas::network::Network;
use x402_server::{PaidApi as Layers, ServerConfig, VerifiedPayment};

use crate::world::{World, amount, url};

/// A running paid API: `report` and `other` cost the price, `free` costs nothing.
#[derive(Debug)]
pub struct PaidApi {
    base: Url,
}

impl PaidApi {
    /// Starts it for the world's provider.
    pub async fn start(world: &World, price: &str) -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = tokio::net::TcpListener::bind(anywhere).await.unwrap();
        let base = url(listener.local_addr().unwrap());
        let key = SecretString::from(world.provider_key.clone());
        let mut config = ServerConfig::new(
            world.verifier(),
            key,
            world.pay_to,
            Network::DEVNET,
            base.clone(),
        );
        config.token = world.token.address;
        let layers = Layers::new(config).unwrap();
        let layer = layers.layer(amount(price), "a report").unwrap();
        let routes = Router::new()
            .route("/report", get(paid).route_layer(layer.clone()))
            .route("/other", get(paid).route_layer(layer))
            .route("/free", get(|| async { "free" }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { base }
    }

    /// A route's URL.
    pub fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }

    /// Fetches a route as the world's agent, paying up to 1 MNEE.
    pub async fn buy(&self, world: &World, path: &str) -> Result<Fetched, FetchError> {
        self.buy_at_most(world, path, "1").await
    }

    /// The same with a price limit of the caller's.
    pub async fn buy_at_most(
        &self,
        world: &World,
        path: &str,
        most: &str,
    ) -> Result<Fetched, FetchError> {
        let key = SecretString::from(world.agent_key.clone());
        let agent = AgentClient::new(AgentConfig::new(world.gateway(), key, amount(most))).unwrap();
        agent.fetch(Request::new(Method::GET, self.url(path))).await
    }
}

async fn paid(Extension(payment): Extension<VerifiedPayment>) -> Json<Value> {
    Json(json!({ "paid": payment.amount, "txHash": payment.tx_hash }))
}
