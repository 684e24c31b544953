//! The keys of everybody in town: made on the first start, remembered in the data folder.

use std::path::{Path, PathBuf};

use alloy::{
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, ensure};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use x402_schemas::{
    address::checksummed,
    api::owner::{CreateAgent, CreateProvider, CreateWorkspace, Payee},
    policy::{AllowedProvider, Policy},
};

use super::{
    super::setup::{KEYSTORE_PASSPHRASE, amount, remember, remembered},
    catalogue::{COMPANIES, Company, Job, SHOPS, Shop},
};
use crate::{commands::wallet, local::token::LocalToken, owner::Owner, wallet::Wallet};

/// Gas money of each treasury and spender, for days of traffic: twenty ether.
const GAS_WEI: u128 = 20_000_000_000_000_000_000;
/// What each treasury holds, in MNEE.
const MINTED: &str = "10000";

/// Everybody's keys, in the order of the catalogue. Of the local chain only, so a file may keep them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Town {
    pub(super) shops: Vec<ShopKey>,
    pub(super) companies: Vec<CompanyKeys>,
}

/// A provider's key, and where it is paid.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ShopKey {
    pub(super) provider_key: String,
    #[serde(with = "checksummed")]
    pub(super) pay_to: Address,
}

/// An owner's key, and those of the agents.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CompanyKeys {
    pub(super) owner_key: String,
    pub(super) agent_keys: Vec<String>,
}

/// What the town is made with.
pub(super) struct Ground<'a> {
    pub(super) folder: &'a Path,
    pub(super) gateway: &'a Url,
    pub(super) operator_token: &'a SecretString,
    pub(super) token: &'a LocalToken,
}

impl Ground<'_> {
    /// The town of an earlier start, or a new one.
    pub(super) async fn town(&self) -> anyhow::Result<Town> {
        let path = self.folder.join("town.json");
        if let Some(town) = remembered::<Town>(&path)? {
            let is_whole =
                town.shops.len() == SHOPS.len() && town.companies.len() == COMPANIES.len();
            ensure!(is_whole, "{} is of another version", path.display());
            return Ok(town);
        }
        let town = self.build().await?;
        remember(&path, &town)?;
        Ok(town)
    }

    async fn build(&self) -> anyhow::Result<Town> {
        let payees: Vec<Address> = SHOPS
            .iter()
            .map(|_| PrivateKeySigner::random().address())
            .collect();
        let mut town = Town {
            shops: Vec::new(),
            companies: Vec::new(),
        };
        let mut landlord = None;
        for company in &COMPANIES {
            let owner = self.open(company).await?;
            let mut agent_keys = Vec::new();
            for job in company.agents {
                agent_keys.push(employ(&owner, job, &payees).await?);
            }
            town.companies.push(CompanyKeys {
                owner_key: owner.key().expose_secret().to_owned(),
                agent_keys,
            });
            landlord.get_or_insert(owner);
        }
        let landlord = landlord.context("there is no company")?;
        for (shop, pay_to) in SHOPS.iter().zip(payees) {
            town.shops.push(register(&landlord, shop, pay_to).await?);
        }
        Ok(town)
    }

    /// A workspace with a treasury that has approved its allowance.
    async fn open(&self, company: &Company) -> anyhow::Result<Owner> {
        let operator = Owner::new(self.gateway.clone(), self.operator_token.clone())?;
        let request = CreateWorkspace {
            name: company.name.into(),
            monthly_budget: amount(company.monthly_budget)?,
        };
        let workspace = operator.create_workspace(&request).await?;
        let owner = Owner::new(
            self.gateway.clone(),
            SecretString::from(workspace.api_key.clone()),
        )?;
        let keystore = self.keystore(&workspace.workspace_id);
        let passphrase = SecretString::from(KEYSTORE_PASSPHRASE);
        let treasury =
            tokio::task::spawn_blocking(move || Wallet::create(&keystore, &passphrase)).await??;
        let (address, gas) = (treasury.address(), U256::from(GAS_WEI));
        self.token.mint(address, amount(MINTED)?).await?;
        self.token.fund_gas(address, gas).await?;
        let attached = wallet::attach(&owner, &treasury).await?;
        self.token.fund_gas(attached.spender, gas).await?;
        let allowance = amount(company.allowance)?;
        wallet::approve(&owner, &treasury, allowance).await?;
        wallet::approved(&owner, allowance).await?;
        Ok(owner)
    }

    fn keystore(&self, workspace_id: &str) -> PathBuf {
        self.folder.join(format!("treasury-{workspace_id}.json"))
    }
}

async fn employ(owner: &Owner, job: &Job, payees: &[Address]) -> anyhow::Result<String> {
    let allowed: Vec<AllowedProvider> = if job.buys_anywhere() {
        vec![AllowedProvider::Anyone]
    } else {
        let shops = SHOPS.iter().zip(payees);
        shops
            .filter(|(shop, _)| job.buys_at.contains(&shop.host))
            .map(|(_, payee)| AllowedProvider::Payee(*payee))
            .collect()
    };
    let mut policy = Policy::new(
        amount(job.per_request)?,
        amount(job.daily)?,
        amount(job.monthly)?,
        allowed,
    );
    policy.approval_above = job.approval_above.map(amount).transpose()?;
    let request = CreateAgent {
        name: job.name.into(),
        policy: Some(policy),
    };
    Ok(owner.create_agent(&request).await?.api_key)
}

async fn register(owner: &Owner, shop: &Shop, pay_to: Address) -> anyhow::Result<ShopKey> {
    let request = CreateProvider {
        name: shop.name.into(),
        payees: vec![Payee(pay_to)],
        hosts: vec![shop.host.parse()?],
    };
    Ok(ShopKey {
        provider_key: owner.create_provider(&request).await?.api_key,
        pay_to,
    })
}
