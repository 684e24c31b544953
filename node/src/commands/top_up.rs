//! `x402 wallet top-up`: ether for the workspace's spender, which pays the gas.

use std::time::Duration;

use alloy::{
    primitives::B256,
    providers::{Provider, ProviderBuilder, RootProvider},
};
use anyhow::{Context, bail};
use reqwest::Url;
use x402_schemas::{
    amount::Amount,
    api::owner::{RelayTransaction, TreasuryView},
};

use crate::{owner::Owner, wallet::Wallet};

/// How long it may take to be mined before the command stops waiting.
const ARRIVAL_WAIT: Duration = Duration::from_mins(2);

/// Signs it and has it sent: by the gateway, which relays for the treasury only, or by an endpoint.
pub(super) async fn send(
    owner: &Owner,
    wallet: &Wallet,
    ether: Amount,
    rpc_url: Option<Url>,
) -> anyhow::Result<B256> {
    if ether.is_zero() {
        bail!("give more than 0 ether");
    }
    let mut from = owner.treasury().await?;
    // Ether has as many decimals as MNEE.
    let wei = ether.base_units();
    if let Some(url) = rpc_url {
        let chain: RootProvider = ProviderBuilder::default().connect_http(url);
        let id = chain.get_chain_id().await.context("with --rpc-url")?;
        if id != from.network.chain_id() {
            bail!(
                "--rpc-url is of chain {id}, the gateway pays on {}",
                from.network
            );
        }
        from.nonce = chain
            .get_transaction_count(wallet.address())
            .pending()
            .await?;
        let raw = wallet.sign_top_up(&from, wei)?;
        let sent = chain.send_raw_transaction(&raw).await;
        return Ok(*sent.context("the chain refuses it")?.tx_hash());
    }
    if from.address != wallet.address() {
        bail!(
            "this keystore is of {}, the workspace's treasury is {}; give --rpc-url to send it yourself",
            wallet.address(),
            from.address
        );
    }
    let raw_transaction = wallet.sign_top_up(&from, wei)?;
    let relayed = owner.relay(&RelayTransaction { raw_transaction }).await?;
    Ok(relayed.tx_hash)
}

/// Waits until the spender has more than it had, or other than it had should it pay meanwhile.
pub(super) async fn arrived(owner: &Owner, had: &str) -> anyhow::Result<TreasuryView> {
    let shown = async {
        loop {
            let treasury = owner.treasury().await?;
            if treasury.spender_gas_wei != had {
                return anyhow::Ok(treasury);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    match tokio::time::timeout(ARRIVAL_WAIT, shown).await {
        Ok(treasury) => treasury,
        Err(_) => bail!("it is not mined yet; `x402 wallet balance` shows when it is"),
    }
}
