//! Agents {Rust, TypeScript} with paid APIs {axum, Express, Hono, fetch}, on a real chain and a real ClickHouse. Every test
//! plays all eight pairs, so no SDK can part from the other.

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use x402_agent::config::DEFAULT_DEADLINE;
use x402_tests::{
    pairs::{Buyer, Outcome, PRICE, Seller},
    raw,
    shared::run,
    world::{World, amount},
};

use crate::EXE;

/// Too short for any payment to settle in.
const AT_ONCE: Duration = Duration::from_millis(1);

/// How long the verifier is away while agents hold their proofs.
const OUTAGE: Duration = Duration::from_secs(1);

/// The answer of a paid API to a request with this proof.
async fn presented(report: &Url, proof: &str) -> raw::Answer {
    let request = Client::new()
        .get(report.clone())
        .header("x-402-proof", proof);
    let response = request.send().await.unwrap();
    let status = response.status();
    assert_eq!(response.headers()["cache-control"], "no-store");
    (status, response.json().await.unwrap())
}

/// What a 402 says, without what differs from one to the next.
fn words((status, body): &raw::Answer) -> (u16, Value) {
    let mut body = body.clone();
    for field in ["invoiceId", "resource", "expiresAt"] {
        assert!(body[field].is_string(), "{body}");
        body.as_object_mut().unwrap().remove(field);
    }
    (status.as_u16(), body)
}

/// A proof that pays for one report and has not been presented.
async fn paid_for(world: &World, report: &Url) -> String {
    let response = Client::new().get(report.clone()).send().await.unwrap();
    assert_eq!(response.status(), 402);
    let demand: Value = response.json().await.unwrap();
    let invoice_id = demand["invoiceId"].as_str().unwrap();
    let (status, quote) = world
        .quote(invoice_id, json!({ "providerUrl": report }))
        .await;
    assert_eq!(status, 200, "{quote}");
    let (status, paid) = world.pay(quote["quoteId"].as_str().unwrap()).await;
    assert_eq!(status, 200, "{paid}");
    paid["proof"].as_str().unwrap().to_owned()
}

fn assert_served(outcome: &Outcome, pair: &str) -> String {
    let Outcome::Served { body, proof } = outcome else {
        panic!("{pair}: {outcome:?}")
    };
    assert_eq!(body["paid"], PRICE, "{pair}: {body}");
    proof.clone()
}

#[test]
fn every_agent_buys_from_every_api_and_no_proof_buys_twice() {
    run(async {
        let world = World::new(EXE).await;
        let sellers = Seller::all(&world).await;
        let mut refusals = Vec::new();
        for buyer in Buyer::all(&world) {
            for (number, seller) in sellers.iter().enumerate() {
                let pair = format!("{:?} at {}", buyer.sdk, seller.name);
                let bought = buyer.buy(&seller.report, DEFAULT_DEADLINE).await;
                let proof = assert_served(&bought, &pair);
                // The same again, at another's, and what is no proof.
                let other = &sellers[(number + 1) % sellers.len()];
                refusals.push([
                    words(&presented(&seller.report, &proof).await),
                    words(&presented(&other.report, &proof).await),
                    words(&presented(&seller.report, "not a proof").await),
                ]);
            }
        }
        for answers in &refusals {
            assert_eq!(answers, &refusals[0], "all APIs refuse in the same words");
            let codes = answers
                .each_ref()
                .map(|(status, body)| (*status, body["error"].as_str().unwrap()));
            assert_eq!(
                codes,
                [
                    (402, "ALREADY_CLAIMED"),
                    (402, "INVOICE_MISMATCH"),
                    (402, "INVALID_PROOF")
                ]
            );
        }
        assert_eq!(
            world.balance(world.pay_to).await,
            amount("0.4"),
            "eight purchases of 0.05"
        );
        world.stop().await;
    });
}

#[test]
fn every_agent_is_denied_at_every_api_before_money_moves() {
    run(async {
        let world = World::new(EXE).await;
        let sellers = Seller::all(&world).await;
        world
            .set_policy(|policy| policy.per_request = amount("0.049999999999999999"))
            .await;
        for buyer in Buyer::all(&world) {
            for seller in &sellers {
                let outcome = buyer.buy(&seller.report, DEFAULT_DEADLINE).await;
                let denied =
                    matches!(&outcome, Outcome::Denied(code) if code == "AGENT_REQUEST_LIMIT");
                assert!(denied, "{:?} at {}: {outcome:?}", buyer.sdk, seller.name);
            }
        }
        assert_eq!(world.balance(world.pay_to).await, amount("0"));
        world.stop().await;
    });
}

#[test]
fn every_agent_resumes_a_payment_that_was_pending_at_every_api() {
    run(async {
        let world = World::new(EXE).await;
        let sellers = Seller::all(&world).await;
        for buyer in Buyer::all(&world) {
            for seller in &sellers {
                let pair = format!("{:?} at {}", buyer.sdk, seller.name);
                let outcome = buyer.buy(&seller.report, AT_ONCE).await;
                let Outcome::Pending(payment_id) = outcome else {
                    panic!("{pair}: {outcome:?}")
                };
                assert_served(&buyer.resume(&payment_id, &seller.report).await, &pair);
            }
        }
        assert_eq!(
            world.balance(world.pay_to).await,
            amount("0.4"),
            "resuming pays nothing"
        );
        world.stop().await;
    });
}

#[test]
fn every_pair_survives_a_restart_of_the_verifier() {
    run(async {
        let mut world = World::new(EXE).await;
        let sellers = Seller::all(&world).await;
        let mut holding = Vec::new();
        for buyer in Buyer::all(&world) {
            for seller in &sellers {
                let proof = paid_for(&world, &seller.report).await;
                holding.push((buyer.clone(), seller.name, seller.report.clone(), proof));
            }
        }
        world.stop().await;
        let redeeming =
            tokio::spawn(join_all(holding.clone().into_iter().map(
                async |(buyer, _, report, proof)| buyer.redeem(&proof, &report).await,
            )));
        tokio::time::sleep(OUTAGE).await;
        assert!(
            !redeeming.is_finished(),
            "nobody is served or refused while the verifier is away"
        );
        world.restart().await;
        for (outcome, (buyer, name, report, proof)) in redeeming.await.unwrap().iter().zip(&holding)
        {
            assert_served(outcome, &format!("{:?} at {name}", buyer.sdk));
            let (status, body) = presented(report, proof).await;
            assert_eq!(
                (status.as_u16(), &body["error"]),
                (402, &json!("ALREADY_CLAIMED")),
                "{name}"
            );
        }
        world.stop().await;
    });
}

#[test]
fn an_instance_of_one_sdk_redeems_what_an_instance_of_the_other_has_issued() {
    run(async {
        let world = World::new(EXE).await;
        let sellers = Seller::all(&world).await;
        let [axum, express, ..] = sellers.as_slice() else {
            panic!("{sellers:?}")
        };
        let base = axum.report.join("/").unwrap();
        let twin = Seller::start(&world, "twin", "examples/express-api.mjs", Some(&base)).await;
        let proof = paid_for(&world, &axum.report).await;
        let answer = Client::new()
            .get(twin.report.clone())
            .header("x-402-proof", &proof);
        assert_eq!(answer.send().await.unwrap().status(), 200);
        // Issued by TypeScript under the same name, redeemed by Rust.
        let issued = Client::new().get(twin.report.clone()).send().await.unwrap();
        let demand: Value = issued.json().await.unwrap();
        let invoice_id = demand["invoiceId"].as_str().unwrap();
        let (_, quote) = world
            .quote(invoice_id, json!({ "providerUrl": axum.report }))
            .await;
        let (status, paid) = world.pay(quote["quoteId"].as_str().unwrap()).await;
        assert_eq!(status, 200, "{paid}");
        let proof = paid["proof"].as_str().unwrap();
        assert_eq!(
            presented(&express.report, proof).await.1["error"],
            "INVOICE_MISMATCH"
        );
        let answer = Client::new()
            .get(axum.report.clone())
            .header("x-402-proof", proof);
        assert_eq!(answer.send().await.unwrap().status(), 200);
        world.stop().await;
    });
}
