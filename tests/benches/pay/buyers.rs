//! Agents that quote and pay, over HTTP like any other.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use reqwest::{Client, Url};
use serde_json::{Value, json};
use x402_schemas::{api::owner::CreateAgent, policy::Policy};
use x402_tests::world::{World, amount, new_wallet, policy};

use crate::quantile_ms;

/// What each payment pays, small enough for every limit.
const PRICE: &str = "0.0001";
/// How long a payment may take: far longer than any does.
const WAIT_MS: u64 = 60_000;

/// One agent of a workspace of its own.
pub(crate) struct Buyer {
    client: Client,
    gateway: Url,
    key: String,
    pay_to: String,
    name: String,
    /// Invoices so far.
    count: usize,
}

/// What became of many requests.
pub(crate) struct Figures {
    seconds: f64,
    times: Vec<Duration>,
}

impl Figures {
    pub(crate) fn per_s(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        quantile_ms(&mut self.times.clone(), quantile)
    }
}

impl Buyer {
    /// The agent that every world has.
    pub(crate) async fn of_world(world: &World) -> Self {
        world.set_policy(|policy| *policy = generous(world)).await;
        Self::with(world, world.agent_key.clone(), "world".into())
    }

    /// An agent of another workspace with a treasury of its own.
    pub(crate) async fn new(world: &World, number: usize) -> Self {
        let owner = world.other_owner().await;
        world
            .fund_treasury(&owner, &new_wallet(&world.folder))
            .await;
        let agent = CreateAgent {
            name: "buyer".into(),
            policy: Some(generous(world)),
        };
        let key = owner.create_agent(&agent).await.unwrap().api_key;
        Self::with(world, key, format!("buyer{number}"))
    }

    fn with(world: &World, key: String, name: String) -> Self {
        Self {
            client: Client::new(),
            gateway: world.gateway(),
            key,
            pay_to: world.pay_to.to_checksum(None),
            name,
            count: 0,
        }
    }

    /// Whether it has bought nothing yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.count == 0
    }

    /// So many quotes of invoices of their own.
    pub(crate) async fn quotes(&mut self, count: usize, at_once: usize) -> Figures {
        let bodies = self.invoices(count);
        let begin = Instant::now();
        let times = stream::iter(&bodies)
            .map(async |body| {
                let begin = Instant::now();
                self.quote(body).await;
                begin.elapsed()
            })
            .buffer_unordered(at_once)
            .collect()
            .await;
        Figures {
            seconds: begin.elapsed().as_secs_f64(),
            times,
        }
    }

    /// So many payments, each after the one before has settled; the times of `/pay`, and what they are made of.
    pub(crate) async fn one_by_one(&mut self, world: &World, count: usize) -> (Figures, String) {
        let begin = Instant::now();
        let mut times = Vec::new();
        let mut steps: BTreeMap<(usize, String), Vec<Duration>> = BTreeMap::new();
        for body in self.invoices(count) {
            let quote_id = self.quote(&body).await;
            let begin = Instant::now();
            let paid = self.pay(&quote_id).await;
            times.push(begin.elapsed());
            let id = paid["paymentId"].as_str().unwrap();
            let url = world.gateway().join(&format!("payments/{id}")).unwrap();
            let request = self.client.get(url).bearer_auth(&self.key);
            let view: Value = request.send().await.unwrap().json().await.unwrap();
            for (number, pair) in view["history"].as_array().unwrap().windows(2).enumerate() {
                let at = |step: &Value| {
                    step["at"]
                        .as_str()
                        .unwrap()
                        .parse::<jiff::Timestamp>()
                        .unwrap()
                };
                let took = at(&pair[1]).duration_since(at(&pair[0]));
                let name = pair[1]["status"].as_str().unwrap().to_owned();
                let took = Duration::try_from(took).unwrap_or_default();
                steps.entry((number, name)).or_default().push(took);
            }
        }
        let steps: Vec<String> = steps
            .iter_mut()
            .filter(|(_, times)| times.len() * 2 > count)
            .map(|((_, name), times)| format!("{name} {:.0}", quantile_ms(times, 0.5)))
            .collect();
        let figures = Figures {
            seconds: begin.elapsed().as_secs_f64(),
            times,
        };
        (figures, steps.join(", "))
    }

    async fn quote(&self, body: &Value) -> String {
        let quote = self.post("quote", body).await;
        quote["quoteId"]
            .as_str()
            .unwrap_or_else(|| panic!("{quote}"))
            .to_owned()
    }

    async fn pay(&self, quote_id: &str) -> Value {
        let body = json!({ "quoteId": quote_id, "waitMs": WAIT_MS });
        let paid = self.post("pay", &body).await;
        assert_eq!(paid["status"], "settled", "{paid}");
        paid
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let url = self.gateway.join(path).unwrap();
        let request = self.client.post(url).bearer_auth(&self.key).json(body);
        request.send().await.unwrap().json().await.unwrap()
    }

    fn invoices(&mut self, count: usize) -> Vec<Value> {
        let first = self.count;
        self.count += count;
        (first..self.count)
            .map(|number| {
                json!({
                    "invoiceId": format!("inv_{}_{number}", self.name), "amount": PRICE, "payTo": self.pay_to,
                    "network": "devnet", "providerUrl": "http://127.0.0.1:1/report",
                })
            })
            .collect()
    }
}

/// So many payments of each buyer, all buyers at once.
pub(crate) async fn pay_together(buyers: &mut [Buyer], each: usize, at_once: usize) -> Figures {
    let mut quoted = Vec::new();
    for buyer in &mut *buyers {
        let bodies = buyer.invoices(each);
        let ids = stream::iter(&bodies)
            .map(|body| buyer.quote(body))
            .buffer_unordered(at_once)
            .collect::<Vec<_>>()
            .await;
        quoted.push(ids);
    }
    let begin = Instant::now();
    let all = buyers.iter().zip(&quoted).map(async |(buyer, ids)| {
        stream::iter(ids)
            .map(async |id| {
                let begin = Instant::now();
                buyer.pay(id).await;
                begin.elapsed()
            })
            .buffer_unordered(at_once)
            .collect::<Vec<_>>()
            .await
    });
    let times = futures::future::join_all(all).await.concat();
    Figures {
        seconds: begin.elapsed().as_secs_f64(),
        times,
    }
}

fn generous(world: &World) -> Policy {
    let mut policy = policy(world.pay_to);
    policy.daily = amount("1000");
    policy.monthly = amount("1000");
    policy
}
