//! Varied traffic for as long as the demo runs, so that dashboards and alerts have something to show: companies whose
//! agents buy at shops, prices that change, denials, replays, approvals, payments that fail, late blocks and reorgs.
//!
//! Everybody goes through the gateway's and the verifier's routes. The shops serve nothing: only what they are paid counts.

use std::{iter, path::Path, time::Duration};

use alloy::primitives::{Address, B256, U256};
use anyhow::Context;
use fastrand::Rng;
use reqwest::Url;
use secrecy::SecretString;
use tokio::{task::JoinSet, time::MissedTickBehavior};
use x402_agent::{AgentClient, AgentConfig};
use x402_schemas::network::Network;

use self::{
    catalogue::{COMPANIES, Product, SHOPS},
    errand::{Errand, Oddity},
    town::{Ground, Town},
};
use super::setup::amount;
use crate::{
    local::{chain::Chain, token::LocalToken},
    owner::Owner,
    terminal::say,
};

/// Who is in town.
mod catalogue;

/// Their keys.
mod town;

/// One errand.
mod errand;

/// The chain's moods.
mod weather;

/// From one errand to the next.
const PACE: Duration = Duration::from_millis(600);
/// How long prices stay.
const SEASON: Duration = Duration::from_secs(45);
/// Errands that are run at once; while there are more, none begins.
const MOST_AT_ONCE: usize = 12;
/// More than any agent of the town may spend at once, in MNEE.
const TOO_DEAR: &str = "7.5";
/// What an owner is asked about, in MNEE.
const DEAR: &str = "1.75";

/// Where the traffic goes.
pub(super) struct Roads<'a> {
    pub(super) folder: &'a Path,
    pub(super) gateway: &'a Url,
    pub(super) verifier: &'a Url,
    pub(super) operator_token: &'a SecretString,
    pub(super) token: &'a LocalToken,
    pub(super) chain: &'a Chain,
    pub(super) network: Network,
}

/// Goes on until it is dropped. What it cannot do is no failure of the demo.
pub(super) async fn run(roads: Roads<'_>) {
    let ground = Ground {
        folder: roads.folder,
        gateway: roads.gateway,
        operator_token: roads.operator_token,
        token: roads.token,
    };
    let town = match ground.town().await {
        Ok(town) => town,
        Err(error) => return say(format!("\nThere is no traffic: {error:#}")),
    };
    say(format!(
        "\nTraffic: {} companies' agents buy at {} shops, a few requests a second, with denials, replays, approvals and a \
         reorg now and then (--no-traffic goes without)",
        COMPANIES.len(),
        SHOPS.len()
    ));
    let buying = buy(&roads, &town);
    tokio::join!(buying, weather::run(roads.chain));
}

async fn buy(roads: &Roads<'_>, town: &Town) {
    let mut rng = Rng::new();
    let http = reqwest::Client::new();
    let mut paces = tokio::time::interval(PACE);
    paces.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seasons = tokio::time::interval(SEASON);
    let mut prices = [0, 1, 2].into_iter().cycle();
    let mut price = 0;
    let mut firsts = Oddity::EACH.into_iter();
    let mut errands = JoinSet::new();
    loop {
        tokio::select! {
            _ = seasons.tick() => price = prices.next().unwrap_or_default(),
            Some(_) = errands.join_next() => (),
            _ = paces.tick(), if errands.len() < MOST_AT_ONCE => {
                let drawn = draw(&mut rng, firsts.next(), price);
                match drawn.and_then(|drawn| drawn.errand(roads, town, &http)) {
                    Ok(errand) => drop(errands.spawn(run_one(errand))),
                    Err(error) => tracing::debug!(error = format!("{error:#}"), "no errand"),
                }
            }
        }
    }
}

async fn run_one(errand: Errand) {
    if let Err(error) = errand.run().await {
        tracing::debug!(error = format!("{error:#}"), "an errand came to nothing");
    }
}

/// An errand by its places in the catalogue.
#[derive(Debug)]
struct Drawn {
    company: usize,
    agent: usize,
    shop: usize,
    product: &'static Product,
    price: &'static str,
    pay_to: Option<Address>,
    oddity: Oddity,
    is_approved: bool,
    invoice_id: String,
}

/// Draws an errand: mostly a plain purchase at a shop that the agent may buy from. The first ones are the first company's
/// first agent's, whom an owner can be asked for.
fn draw(rng: &mut Rng, first: Option<Oddity>, price: usize) -> anyhow::Result<Drawn> {
    let companies = COMPANIES.iter().enumerate();
    let companies: Vec<usize> = companies
        .flat_map(|(place, company)| iter::repeat_n(place, company.share))
        .collect();
    let is_first = first.is_some();
    let company = if is_first {
        0
    } else {
        rng.choice(companies).context("no company")?
    };
    let agents = COMPANIES.get(company).context("no company")?.agents;
    let agent = if is_first {
        0
    } else {
        rng.usize(..agents.len())
    };
    let job = agents.get(agent).context("no agent")?;
    let may_stray = !is_first && !job.buys_anywhere();
    let strays = may_stray && rng.u8(..100) < 4;
    let shops = SHOPS.iter().enumerate();
    let shops: Vec<usize> = shops
        .filter(|(_, shop)| job.buys_at.contains(&shop.host) != strays)
        .map(|(place, _)| place)
        .collect();
    let shop = rng.choice(shops).context("no shop")?;
    let products = SHOPS.get(shop).context("no shop")?.products;
    let product = rng.choice(products).context("nothing to buy")?;
    let oddity = first.unwrap_or_else(|| match rng.u8(..100) {
        0..4 => Oddity::Replay,
        4..6 => Oddity::Forgery,
        6..9 => Oddity::TooDear,
        9..12 => Oddity::Dear,
        12 => Oddity::Forgotten,
        13..16 => Oddity::Misdirected,
        _ => Oddity::None,
    });
    Ok(Drawn {
        company,
        agent,
        shop,
        product,
        price: match oddity {
            Oddity::TooDear => TOO_DEAR,
            Oddity::Dear | Oddity::Forgotten => DEAR,
            Oddity::None | Oddity::Replay | Oddity::Forgery | Oddity::Misdirected => {
                product.prices.get(price).context("no price")?
            }
        },
        pay_to: (oddity == Oddity::Misdirected)
            .then(|| Address::from_word(B256::from(U256::from(rng.u128(1..))))),
        oddity,
        is_approved: rng.u8(..4) > 0,
        invoice_id: format!("inv_{:032x}", rng.u128(..)),
    })
}

impl Drawn {
    /// The errand, with everybody's keys.
    fn errand(
        self,
        roads: &Roads<'_>,
        town: &Town,
        http: &reqwest::Client,
    ) -> anyhow::Result<Errand> {
        let company = town.companies.get(self.company).context("no company")?;
        let agent_key = company.agent_keys.get(self.agent).context("no agent")?;
        let shop = town.shops.get(self.shop).context("no shop")?;
        let host = SHOPS.get(self.shop).context("no shop")?.host;
        let amount = amount(self.price)?;
        let key = |key: &str| SecretString::from(key.to_owned());
        let config = AgentConfig::new(roads.gateway.clone(), key(agent_key), amount);
        Ok(Errand {
            agent: AgentClient::new(config)?,
            owner: Owner::new(roads.gateway.clone(), key(&company.owner_key))?,
            verifier: roads.verifier.clone(),
            http: http.clone(),
            provider_key: shop.provider_key.clone(),
            oddity: self.oddity,
            is_approved: self.is_approved,
            invoice_id: self.invoice_id.parse()?,
            method: self.product.method,
            url: format!("https://{host}{}", self.product.path).parse()?,
            pay_to: self.pay_to.unwrap_or(shop.pay_to),
            amount,
            network: roads.network,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errand_leads_to_a_shop_and_has_a_price() {
        let mut rng = Rng::with_seed(402);
        let mut oddities = Vec::new();
        for number in 0..2_000 {
            let drawn = draw(&mut rng, None, number % 3).unwrap();
            assert!(!amount(drawn.price).unwrap().is_zero());
            assert!(SHOPS.get(drawn.shop).is_some());
            oddities.push(drawn.oddity);
        }
        for oddity in Oddity::EACH {
            assert!(oddities.contains(&oddity), "{oddity:?}");
        }
    }

    #[test]
    fn what_is_too_dear_is_denied_and_what_is_dear_asks_an_owner() {
        let jobs = COMPANIES.iter().flat_map(|company| company.agents);
        for job in jobs.clone() {
            assert!(amount(job.per_request).unwrap() < amount(TOO_DEAR).unwrap());
            let shops = SHOPS.iter().map(|shop| shop.host);
            let there = shops.filter(|host| job.buys_at.contains(host)).count();
            assert_eq!(there, job.buys_at.len(), "{}", job.name);
        }
        let first = jobs.clone().next().unwrap();
        let asked_from = amount(first.approval_above.unwrap()).unwrap();
        let dear = amount(DEAR).unwrap();
        assert!(asked_from < dear && dear <= amount(first.per_request).unwrap());
    }
}
