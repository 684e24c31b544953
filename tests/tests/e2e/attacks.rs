//! What an attacker tries at the edges of a purchase, with real keys and real money. Each ends refused by its
//! code, and with nothing served. ARCHITECTURE.md lists every attack with the test of it.

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use reqwest::Method;
use serde_json::{Value, json};
use x402_schemas::{
    api::{keys::RotateKey, members::Role, owner::CreateAgent},
    policy::AllowedProvider,
};
use x402_tests::{
    api::PaidApi,
    raw,
    shared::run,
    world::{World, amount, eventually, policy, secret},
};

use crate::EXE;

/// Asks for the report, pays its invoice with changes, and redeems the proof: what the API then answers.
async fn buy_altered(world: &World, api: &PaidApi, changes: Value) -> (u16, Value) {
    let asked = reqwest::get(api.url("report")).await.unwrap();
    assert_eq!(asked.status(), 402);
    let header = |name: &str| asked.headers()[name].to_str().unwrap().to_owned();
    let terms = json!({
        "amount": header("x-402-amount"),
        "payTo": header("x-402-pay-to"),
        "network": header("x-402-network"),
        "providerUrl": api.url("report"),
    });
    let mut asking = terms.as_object().unwrap().clone();
    asking.extend(changes.as_object().unwrap().clone());
    let invoice_id = match asking.remove("invoiceId") {
        Some(other) => other.as_str().unwrap().to_owned(),
        None => header("x-402-invoice-id"),
    };
    let (status, quote) = world.quote(&invoice_id, Value::Object(asking)).await;
    assert_eq!(status, 200, "{quote}");
    let (status, paid) = world.pay(quote["quoteId"].as_str().unwrap()).await;
    assert_eq!(status, 200, "{paid}");
    redeem(api, paid["proof"].as_str().unwrap()).await
}

async fn redeem(api: &PaidApi, proof: &str) -> (u16, Value) {
    let client = reqwest::Client::new();
    let mut answer = (0, Value::Null);
    eventually("the API has decided", async || {
        let request = client.get(api.url("report")).header("x-402-proof", proof);
        let response = request.send().await.unwrap();
        answer = (response.status().as_u16(), response.json().await.unwrap());
        answer.0 != 503
    })
    .await;
    answer
}

#[track_caller]
fn assert_unserved((status, body): &(u16, Value), code: &str) {
    assert_eq!(
        (*status, body["error"].as_str()),
        (402, Some(code)),
        "{body}"
    );
    assert!(body.get("paid").is_none());
}

#[test]
fn paying_oneself_with_the_providers_invoice_buys_nothing() {
    run(async {
        let world = World::new(EXE).await;
        let api = PaidApi::start(&world, "0.05").await;
        world
            .set_policy(|policy| {
                policy.allowed_providers = vec![AllowedProvider::Anyone];
                policy.allow_unregistered = true;
            })
            .await;
        let attacker = PrivateKeySigner::random().address();
        let mut changes =
            json!({ "payTo": attacker.to_checksum(None), "providerUrl": api.url("report") });
        let (status, denied) = world.quote("inv_altered", changes.clone()).await;
        assert_eq!(
            (status.as_u16(), denied["reason"].as_str()),
            (403, Some("RECIPIENT_NOT_REGISTERED"))
        );
        // One that names another host is believed, as it is its own money.
        changes["providerUrl"] = json!("https://elsewhere.example.com/report");
        let answer = buy_altered(&world, &api, changes).await;
        assert_unserved(&answer, "INVOICE_MISMATCH");
        // The money did move, to where the headers were altered to say.
        assert_eq!(world.balance(attacker).await, amount("0.05"));
        assert_eq!(world.balance(world.pay_to).await, amount("0"));
        world.stop().await;
    });
}

#[test]
fn dust_buys_nothing() {
    run(async {
        let world = World::new(EXE).await;
        let api = PaidApi::start(&world, "0.05").await;
        for dust in ["0.000000000000000001", "0.049999999999999999"] {
            let answer = buy_altered(&world, &api, json!({ "amount": dust })).await;
            assert_unserved(&answer, "AMOUNT_MISMATCH");
        }
        // Paying the price of it makes the same API serve.
        let (status, body) = buy_altered(&world, &api, json!({})).await;
        assert_eq!((status, body["paid"].as_str()), (200, Some("0.05")));
        world.stop().await;
    });
}

#[test]
fn altered_headers_buy_nothing() {
    run(async {
        let world = World::new(EXE).await;
        let api = PaidApi::start(&world, "0.05").await;
        let other = json!({ "providerUrl": api.url("other") });
        assert_unserved(&buy_altered(&world, &api, other).await, "INVOICE_MISMATCH");
        let method = json!({ "method": "POST" });
        assert_unserved(&buy_altered(&world, &api, method).await, "INVOICE_MISMATCH");
        let invoice = json!({ "invoiceId": "inv_of_my_own" });
        assert_unserved(
            &buy_altered(&world, &api, invoice).await,
            "INVOICE_MISMATCH",
        );
        let network = json!({ "network": "mainnet" });
        let (status, denied) = world.quote("inv_1", network).await;
        assert_eq!(
            (status.as_u16(), denied["reason"].as_str()),
            (403, Some("NETWORK_NOT_ALLOWED"))
        );
        // A proof with one character changed, in each of its three parts.
        let proof = world.settled("inv_2").await["proof"].clone();
        let proof = proof.as_str().unwrap();
        let mut begin = 0;
        for part in proof.split('.') {
            let at = begin + part.len() / 2;
            let letter = if proof.as_bytes()[at] == b'A' {
                "B"
            } else {
                "A"
            };
            let altered = format!("{}{letter}{}", &proof[..at], &proof[at + 1..]);
            let answer = world.verify(&altered, "inv_2", json!({})).await;
            assert_eq!(
                (&answer["verified"], &answer["errorCode"]),
                (&json!(false), &json!("INVALID_PROOF")),
                "{answer}"
            );
            begin += part.len() + 1;
        }
        assert_eq!(
            world.verify(proof, "inv_2", json!({})).await["verified"],
            true
        );
        world.stop().await;
    });
}

#[test]
fn nobody_pays_anothers_quote() {
    run(async {
        let world = World::new(EXE).await;
        let (_, quote) = world.quote("inv_1", json!({})).await;
        let pay = json!({ "quoteId": quote["quoteId"], "waitMs": 0 });
        let request = CreateAgent {
            name: "sibling".into(),
            policy: Some(policy(world.pay_to)),
        };
        let sibling = world.owner.create_agent(&request).await.unwrap().api_key;
        let url = world.gateway().join("pay").unwrap();
        for (key, code) in [
            (None, "UNAUTHORIZED"),
            (Some("x402_agent_"), "UNAUTHORIZED"),
            (Some(world.provider_key.as_str()), "UNAUTHORIZED"),
            (Some(secret(&world.owner)), "UNAUTHORIZED"),
            (Some(sibling.as_str()), "QUOTE_NOT_FOUND"),
        ] {
            let (status, body) = raw::send(Method::POST, url.as_str(), key, &pay).await;
            let expected = if code == "UNAUTHORIZED" { 401 } else { 404 };
            assert_eq!(
                (status.as_u16(), body["error"].as_str()),
                (expected, Some(code)),
                "{body}"
            );
        }
        let payments = world.gateway().join("payments").unwrap();
        let (_, payments) = raw::get(payments.as_str(), Some(secret(&world.owner))).await;
        assert_eq!(payments, json!([]));
        world.stop().await;
    });
}

#[test]
fn a_viewer_reads_no_keys_and_moves_no_money() {
    run(async {
        let world = World::new(EXE).await;
        let viewer = world.member(Role::Viewer).await;
        let token = viewer.session().await.unwrap().token;
        let stranger = Address::repeat_byte(0x11).to_checksum(None);
        let payee = json!({ "name": "mine", "payees": [stranger] });
        let agent = format!("agents/{}", world.agent_id);
        let provider = format!("providers/{}", world.provider_id);
        for key in [secret(&viewer), &token] {
            for (method, path, body) in [
                (Method::GET, "keys", json!({})),
                (Method::POST, "agents", json!({ "name": "mine" })),
                (Method::POST, &format!("{agent}/rotate"), json!({})),
                (Method::PUT, &format!("{agent}/policy"), json!({})),
                (Method::POST, "providers", payee.clone()),
                (Method::POST, &format!("{provider}/rotate"), json!({})),
                (
                    Method::POST,
                    "members",
                    json!({ "name": "me", "role": "owner" }),
                ),
                (Method::POST, "payments/pay_1/approve", json!({})),
                (Method::POST, "treasury", json!({})),
                (
                    Method::PUT,
                    "workspace/budget",
                    json!({ "monthlyBudget": "9" }),
                ),
            ] {
                let url = world.gateway().join(path).unwrap();
                let (status, answer) = raw::send(method, url.as_str(), Some(key), &body).await;
                assert_eq!(
                    (status.as_u16(), answer["error"].as_str()),
                    (403, Some("ROLE_REQUIRED")),
                    "{path}: {answer}"
                );
            }
        }
        assert_eq!(viewer.agents().await.unwrap().len(), 1);
        world.stop().await;
    });
}

#[test]
fn a_providers_replaced_key_verifies_for_its_grace_only() {
    run(async {
        let world = World::new(EXE).await;
        let proof = world.settled("inv_1").await["proof"].clone();
        let body = json!({ "proof": proof, "invoiceId": "inv_1", "claim": false });
        let grace = RotateKey { grace_seconds: 8 };
        let rotated = world.owner.rotate_provider(&world.provider_id, grace).await;
        let new = rotated.unwrap().api_key;
        let url = world.verifier().join("verify").unwrap();
        let with = async |key: &str| {
            let answer = raw::send(Method::POST, url.as_str(), Some(key), &body);
            answer.await.0.as_u16()
        };
        assert_eq!(with(&world.provider_key).await, 200);
        assert_eq!(with(&new).await, 200);
        tokio::time::sleep(std::time::Duration::from_millis(8_050)).await;
        assert_eq!(with(&world.provider_key).await, 401);
        assert_eq!(with(&new).await, 200);
        // A second grace is ended by a revocation, at every verifier before it answers.
        let grace = RotateKey { grace_seconds: 600 };
        let rotated = world.owner.rotate_provider(&world.provider_id, grace).await;
        let newest = rotated.unwrap().api_key;
        assert_eq!(with(&new).await, 200);
        let key_id = new.split('_').nth(2).unwrap();
        world.owner.revoke_key(key_id).await.unwrap();
        assert_eq!(with(&new).await, 401);
        assert_eq!(with(&newest).await, 200);
        world
            .owner
            .revoke_provider(&world.provider_id)
            .await
            .unwrap();
        assert_eq!(with(&newest).await, 401);
        world.stop().await;
    });
}
