//! Many agents at once on limits that fit a few of them.

use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::Client;
use serde_json::{Value, json};
use x402_schemas::{
    api::owner::{CreateAgent, SetWorkspacePolicy},
    policy::{AllowedProvider, Policy},
};
use x402_tests::{
    ledger,
    shared::run,
    world::{World, amount, eventually, secret},
};

use crate::{EXE, crashes};

/// Agents that race, and what each asks for.
const AGENTS: usize = 10;
const REQUESTS: usize = 100;
/// What the limit has room for.
const ROOM: usize = 100;
/// Requests that are open at once.
const AT_ONCE: usize = 64;

/// A workspace whose limit for a day fits 100 payments of 0.05 MNEE, and the keys of its agents.
async fn crowded(world: &World) -> Vec<String> {
    let policy = Policy::new(
        amount("1"),
        amount("5"),
        amount("100"),
        vec![AllowedProvider::Anyone],
    );
    let request = SetWorkspacePolicy {
        policy: Some(policy),
    };
    world.owner.set_workspace_policy(&request).await.unwrap();
    let mut keys = Vec::new();
    for number in 0..AGENTS {
        let request = CreateAgent {
            name: format!("racer {number}"),
            policy: Some(x402_tests::world::policy(world.pay_to)),
        };
        keys.push(world.owner.create_agent(&request).await.unwrap().api_key);
    }
    keys
}

/// Every agent asks to pay its invoices, all at once. What comes of it is for later to judge.
async fn race(world: &World, keys: &[String]) {
    let client = Client::new();
    let asks = (0..AGENTS * REQUESTS).map(|number| {
        let (client, key) = (&client, &keys[number % AGENTS]);
        async move {
            let invoice = json!({
                "invoiceId": format!("inv_{number}"), "amount": "0.05", "payTo": world.pay_to.to_checksum(None),
                "network": "devnet", "providerUrl": "http://127.0.0.1:1/report",
            });
            let quote = post(world, client, key, "quote", &invoice).await?;
            let pay = json!({ "quoteId": quote["quoteId"].as_str()?, "waitMs": 0 });
            post(world, client, key, "pay", &pay).await.map(drop)
        }
    });
    stream::iter(asks)
        .buffer_unordered(AT_ONCE)
        .for_each(|_| async {})
        .await;
}

async fn post(
    world: &World,
    client: &Client,
    key: &str,
    path: &str,
    body: &Value,
) -> Option<Value> {
    let url = world.gateway().join(path).unwrap();
    let answer = client.post(url).bearer_auth(key).json(body).send().await;
    answer.ok()?.json().await.ok()
}

/// The status of every payment of the workspace.
async fn statuses(world: &World) -> Vec<String> {
    let client = Client::new();
    let (mut found, mut before) = (Vec::new(), None::<String>);
    loop {
        let mut url = world.gateway().join("payments?limit=200").unwrap();
        if let Some(id) = &before {
            url.query_pairs_mut().append_pair("before", id);
        }
        let answer = client.get(url).bearer_auth(secret(&world.owner)).send();
        let page: Vec<Value> = answer.await.unwrap().json().await.unwrap();
        let texts = page.iter().map(|one| one["status"].as_str().unwrap());
        found.extend(texts.map(str::to_owned));
        let Some(last) = page.last() else {
            return found;
        };
        before = last["paymentId"].as_str().map(str::to_owned);
    }
}

/// Exactly as many are paid as there is room for: by the gateway, on the chain, and in the ledger.
async fn assert_full(world: &World) {
    let mut ends = Vec::new();
    eventually("every payment has ended", async || {
        ends = statuses(world).await;
        ends.iter()
            .all(|status| ["settled", "denied", "failed"].contains(&status.as_str()))
    })
    .await;
    let settled = ends.iter().filter(|status| *status == "settled");
    assert_eq!(settled.count(), ROOM);
    assert_eq!(world.balance(world.pay_to).await, amount("5"));
    let workspace = world.owner.workspace().await.unwrap();
    assert_eq!(workspace.daily_spent, amount("5"));
    ledger::assert_adds_up(world, EXE);
}

#[test]
fn a_thousand_racing_requests_pay_exactly_what_the_limit_fits() {
    run(async {
        let world = World::new(EXE).await;
        let keys = crowded(&world).await;
        race(&world, &keys).await;
        assert_full(&world).await;
        world.stop().await;
    });
}

#[test]
fn the_limit_holds_while_the_gateway_is_killed_under_the_race() {
    run(async {
        let world = World::new(EXE).await;
        let keys = crowded(&world).await;
        world.stop().await;
        for round in 0..3_u64 {
            let mut node = crashes::start(&world).await;
            let moment = Duration::from_millis(400 + 700 * round);
            drop(tokio::time::timeout(moment, race(&world, &keys)).await);
            node.kill();
            ledger::assert_adds_up(&world, EXE);
        }
        let mut node = crashes::start(&world).await;
        // What a kill left reserved and unsigned is released, so there may be room again.
        race(&world, &keys).await;
        assert_full(&world).await;
        node.kill();
    });
}
