//! A paid request from 402 to the resource, with the SDKs on both sides.

use futures::future::join_all;
use serde_json::json;
use x402_schemas::{index::Change, transfer::TransferKind};
use x402_tests::{
    api::PaidApi,
    raw,
    shared::run,
    world::{World, amount},
};

use crate::EXE;

#[test]
fn an_agent_that_pays_signed_invoices_only_buys_from_the_server_sdk() {
    run(async {
        let world = World::new(EXE).await;
        let api = PaidApi::start(&world, "0.05").await;
        world
            .set_policy(|policy| policy.require_signed_invoices = true)
            .await;
        let bought = api.buy(&world, "report").await.unwrap();
        assert_eq!(bought.response.status(), 200);
        // By itself a quote for the same provider carries no signature.
        let (status, denied) = world.quote("inv_1", json!({})).await;
        assert_eq!(
            (status.as_u16(), denied["reason"].as_str()),
            (403, Some("INVOICE_NOT_SIGNED"))
        );
        world.stop().await;
    });
}

#[test]
fn an_agent_buys_and_the_row_is_in_clickhouse() {
    run(async {
        let world = World::new(EXE).await;
        let api = PaidApi::start(&world, "0.05").await;
        let bought = api.buy(&world, "report").await.unwrap();
        assert_eq!(bought.response.status(), 200);
        let payment = bought.payment.unwrap();
        let served: serde_json::Value = bought.response.json().await.unwrap();
        assert_eq!(served["paid"], "0.05");

        let found = world.index().find_by_tx(&[payment.tx_hash]).await.unwrap();
        let [Change::Added(transfer)] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(transfer.kind, TransferKind::Payment);
        assert_eq!(
            (transfer.from, transfer.to),
            (world.treasury.address(), world.pay_to)
        );
        assert_eq!(transfer.amount, amount("0.05"));
        assert_eq!(world.balance(world.pay_to).await, amount("0.05"));
        world.stop().await;
    });
}

#[test]
fn a_free_resource_costs_nothing_and_a_price_above_the_cap_is_not_paid() {
    run(async {
        let world = World::new(EXE).await;
        let api = PaidApi::start(&world, "0.50").await;
        let free = api.buy(&world, "free").await.unwrap();
        assert!(free.payment.is_none());
        assert!(api.buy_at_most(&world, "report", "0.49").await.is_err());
        assert_eq!(world.balance(world.pay_to).await, amount("0"));
        world.stop().await;
    });
}

#[test]
fn a_proof_buys_one_request_only() {
    run(async {
        let world = World::new(EXE).await;
        let api = PaidApi::start(&world, "0.05").await;
        let bought = api.buy(&world, "report").await.unwrap();
        let proof = bought.payment.unwrap().proof;
        for path in ["report", "other"] {
            let answer = reqwest::Client::new()
                .get(api.url(path))
                .header("x-402-proof", proof.as_str())
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 402, "{path}");
            let body: serde_json::Value = answer.json().await.unwrap();
            let expected = if path == "report" {
                "ALREADY_CLAIMED"
            } else {
                "INVOICE_MISMATCH"
            };
            assert_eq!(body["error"], expected, "{body}");
        }
        world.stop().await;
    });
}

#[test]
fn at_most_one_payment_per_workspace_invoice_and_payee() {
    run(async {
        let world = World::new(EXE).await;
        let mut quotes = Vec::new();
        for _ in 0..4 {
            let (status, quote) = world.quote("inv_1", json!({})).await;
            assert_eq!(status, 200, "{quote}");
            quotes.push(quote["quoteId"].as_str().unwrap().to_owned());
        }
        // Four quotes of one invoice, each paid five times at once.
        let answers = join_all(quotes.iter().cycle().take(20).map(|quote| world.pay(quote))).await;
        let first = &answers[0].1;
        for (status, body) in &answers {
            assert_eq!(*status, 200, "{body}");
            assert_eq!(body, first, "one payment, one proof");
        }
        assert_eq!(world.balance(world.pay_to).await, amount("0.05"));
        assert_eq!(
            &world.settled("inv_1").await,
            first,
            "a settled invoice asked again costs nothing"
        );
        assert_eq!(world.balance(world.pay_to).await, amount("0.05"));
        world.stop().await;
    });
}

#[test]
fn reserved_plus_spent_never_passes_a_limit_whatever_races() {
    run(async {
        let world = World::new(EXE).await;
        // Room for exactly five payments of 0.05.
        world
            .set_policy(|policy| policy.daily = amount("0.25"))
            .await;
        let payments = (0..20).map(|number| {
            let world = &world;
            async move {
                let (status, quote) = world.quote(&format!("inv_{number}"), json!({})).await;
                if status != 200 {
                    return false;
                }
                world.pay(quote["quoteId"].as_str().unwrap()).await.0 == 200
            }
        });
        let paid = join_all(payments)
            .await
            .into_iter()
            .filter(|paid| *paid)
            .count();
        assert_eq!(paid, 5);
        assert_eq!(world.balance(world.pay_to).await, amount("0.25"));
        world.stop().await;
    });
}

#[test]
fn openapi_jwks_health_and_metrics_are_served() {
    run(async {
        let world = World::new(EXE).await;
        for service in [world.gateway(), world.verifier()] {
            let (status, openapi) =
                raw::get(service.join("openapi.json").unwrap().as_str(), None).await;
            assert_eq!(status, 200);
            assert!(openapi["paths"].as_object().unwrap().len() > 2);
            let (_, jwks) = raw::get(
                service.join(".well-known/jwks.json").unwrap().as_str(),
                None,
            )
            .await;
            assert_eq!(jwks["keys"][0]["crv"], "Ed25519");
            let docs = reqwest::get(service.join("docs").unwrap()).await.unwrap();
            assert_eq!(docs.status(), 200);
        }
        let metrics = reqwest::get(format!("http://{}/metrics", world.stack.admin))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        for service in ["x402_indexer_", "x402_gateway_", "x402_verifier_"] {
            assert!(metrics.contains(service), "{service}");
        }
        let ready = reqwest::get(format!("http://{}/readyz", world.stack.admin))
            .await
            .unwrap();
        assert_eq!(ready.status(), 200);
        world.stop().await;
    });
}

#[test]
fn the_verifier_is_reachable_through_the_gateway() {
    run(async {
        let world = World::new(EXE).await;
        let paid = world.settled("inv_1").await;
        let url = world.gateway().join("verify").unwrap();
        let body = json!({ "proof": paid["proof"], "invoiceId": "inv_1" });
        let (status, answer) = raw::send(
            reqwest::Method::POST,
            url.as_str(),
            Some(&world.provider_key),
            &body,
        )
        .await;
        assert_eq!(
            (status.as_u16(), &answer["verified"]),
            (200, &json!(true)),
            "{answer}"
        );
        world.stop().await;
    });
}
