//! Who takes part in the demo: an owner with a treasury, an agent with a policy, a provider.
//!
//! Made on the first start through the same requests that a real owner sends, and remembered in the
//! data folder, so that the next start goes on with them.

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use alloy::{
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
};
use anyhow::Context;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use x402_schemas::{
    address::checksummed,
    amount::Amount,
    api::owner::{CreateAgent, CreateProvider, CreateWorkspace, Payee},
    policy::{AllowedProvider, Policy},
};

use crate::{commands::wallet, local::token::LocalToken, owner::Owner, wallet::Wallet};

/// Gas money for the treasury and the workspace's spender: one ether each, far more than the demo burns.
const GAS_WEI: u128 = 1_000_000_000_000_000_000;
/// Where the demo's API is, at whatever port.
const API_HOST: &str = "127.0.0.1";
/// Protects keys that hold money of the local chain only.
pub(super) const KEYSTORE_PASSPHRASE: &str = "for the local demo only";

/// The amounts of the demo, in MNEE.
mod money {
    pub(super) const MINTED: &str = "1000";
    pub(super) const APPROVED: &str = "100";
    pub(super) const BUDGET: &str = "100";
    pub(super) const PER_REQUEST: &str = "0.25";
    pub(super) const DAILY: &str = "5";
    pub(super) const MONTHLY: &str = "50";
}

/// Everybody's keys. Of the local chain only, so a file may keep them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cast {
    pub(super) owner_key: String,
    pub(super) agent_key: String,
    pub(super) provider_key: String,
    #[serde(with = "checksummed")]
    pub(super) pay_to: Address,
    #[serde(with = "checksummed")]
    pub(super) treasury: Address,
}

impl Cast {
    /// The cast of an earlier start, or `None` on the first one.
    pub(super) fn remembered(folder: &Path) -> anyhow::Result<Option<Self>> {
        remembered(&file(folder))
    }

    /// Makes everybody: workspace, treasury with money and allowance, agent with policy, provider.
    pub(super) async fn make(
        folder: &Path,
        gateway: &Url,
        operator_token: &SecretString,
        token: &LocalToken,
    ) -> anyhow::Result<Self> {
        let operator = Owner::new(gateway.clone(), operator_token.clone())?;
        let workspace = operator
            .create_workspace(&CreateWorkspace {
                name: "demo".into(),
                monthly_budget: amount(money::BUDGET)?,
            })
            .await?;
        let owner = Owner::new(
            gateway.clone(),
            SecretString::from(workspace.api_key.clone()),
        )?;

        let keystore = folder.join(format!("treasury-{}.json", workspace.workspace_id));
        let treasury = tokio::task::spawn_blocking(move || {
            Wallet::create(&keystore, &SecretString::from(KEYSTORE_PASSPHRASE))
        })
        .await??;
        token
            .mint(treasury.address(), amount(money::MINTED)?)
            .await?;
        token
            .fund_gas(treasury.address(), U256::from(GAS_WEI))
            .await?;
        let attached = wallet::attach(&owner, &treasury).await?;
        token
            .fund_gas(attached.spender, U256::from(GAS_WEI))
            .await?;
        wallet::approve(&owner, &treasury, amount(money::APPROVED)?).await?;
        wallet::approved(&owner, amount(money::APPROVED)?).await?;

        let pay_to = PrivateKeySigner::random().address();
        let provider = owner
            .create_provider(&CreateProvider {
                name: "demo API".into(),
                payees: vec![Payee(pay_to)],
                hosts: vec![API_HOST.parse()?],
            })
            .await?;
        let policy = Policy::new(
            amount(money::PER_REQUEST)?,
            amount(money::DAILY)?,
            amount(money::MONTHLY)?,
            vec![AllowedProvider::Payee(pay_to)],
        );
        let agent = owner
            .create_agent(&CreateAgent {
                name: "demo agent".into(),
                policy: Some(policy),
            })
            .await?;
        let cast = Self {
            owner_key: owner.key().expose_secret().to_owned(),
            agent_key: agent.api_key,
            provider_key: provider.api_key,
            pay_to,
            treasury: treasury.address(),
        };
        remember(&file(folder), &cast)?;
        Ok(cast)
    }
}

/// What an earlier start has left in a file, if it has.
pub(super) fn remembered<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is damaged; delete its folder to start over",
                path.display()
            )
        })?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Leaves it for later starts, for its owner alone to read.
pub(super) fn remember<T: Serialize>(path: &Path, what: &T) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(what)?;
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("{} cannot be written", path.display()))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("cast.json")
}

pub(super) fn amount(text: &str) -> anyhow::Result<Amount> {
    Ok(text.parse()?)
}
