//! The demo's agent: one purchase through the agent SDK alone.

use alloy::primitives::B256;
use anyhow::{Context, ensure};
use reqwest::{Method, Request, Url};
use secrecy::SecretString;
use x402_agent::{AgentClient, AgentConfig};

use super::{TEXT, api::Endpoint, setup::Cast};
use crate::{commands::steps, terminal::say};

/// Buys once and shows each step; returns the transaction.
pub(super) async fn buy(
    gateway: &Url,
    cast: &Cast,
    api: &Url,
    endpoint: &Endpoint,
) -> anyhow::Result<B256> {
    let config = AgentConfig::new(
        gateway.clone(),
        SecretString::from(cast.agent_key.clone()),
        endpoint.price.parse()?,
    );
    let agent =
        AgentClient::new(config)?.on_step(|step| say(format!("  {}", steps::describe(&step))));
    let mut request = Request::new(endpoint.method.parse::<Method>()?, api.join(endpoint.path)?);
    if request.method() == Method::POST {
        *request.body_mut() = Some(TEXT.into());
    }
    let fetched = agent.fetch(request).await?;
    ensure!(
        fetched.response.status().is_success(),
        "the API answered {}",
        fetched.response.status()
    );
    let payment = fetched
        .payment
        .context("the API served the request without a payment")?;
    say(format!("  answer     {}", fetched.response.text().await?));
    Ok(payment.tx_hash)
}
