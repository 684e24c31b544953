//! Every way in which a payment is refused before money moves. Each starts from a purchase that
//! passes, breaks one thing, and names the refusal.

use alloy::primitives::Address;
use serde_json::{Value, json};
use x402_schemas::{api::owner::SetBudget, policy::AllowedProvider};
use x402_tests::{
    raw,
    shared::run,
    world::{World, amount, eventually},
};

use crate::EXE;

/// A quote that policy denies: 403, the code, and no money moved.
#[track_caller]
fn assert_denied((status, body): &raw::Answer, reason: &str) {
    assert_eq!(*status, 403, "{body}");
    assert_eq!(body["allowed"], false, "{body}");
    assert_eq!(body["reason"], reason, "{body}");
    assert!(!body["message"].as_str().unwrap().is_empty());
}

/// Quotes, which must be allowed, and pays, which must fail with the code.
async fn assert_pay_fails(world: &World, error: &str) {
    let (status, quote) = world.quote("inv_refused", json!({})).await;
    assert_eq!(status, 200, "{quote}");
    let before = world.balance(world.treasury.address()).await;
    let (status, body) = world.pay(quote["quoteId"].as_str().unwrap()).await;
    assert!(status.is_client_error(), "{status} {body}");
    assert_eq!(body["success"], false, "{body}");
    assert_eq!(body["error"], error, "{body}");
    assert_eq!(world.balance(world.treasury.address()).await, before);
    // The reservation is released, once: everything may be spent again.
    let agents = world.owner.agents().await.unwrap();
    assert_eq!(agents[0].daily_spent, amount("0"));
}

#[test]
fn each_rule_of_the_policy_denies_by_its_code() {
    run(async {
        let world = World::new(EXE).await;
        let (status, _) = world.quote("inv_fine", json!({})).await;
        assert_eq!(status, 200);

        let stranger = Address::repeat_byte(0x11).to_checksum(None);
        assert_denied(
            &world.quote("inv_a", json!({ "payTo": stranger })).await,
            "PROVIDER_NOT_ALLOWED",
        );
        assert_denied(
            &world.quote("inv_b", json!({ "network": "mainnet" })).await,
            "NETWORK_NOT_ALLOWED",
        );
        assert_denied(
            &world
                .quote("inv_c", json!({ "amount": "10.000000000000000001" }))
                .await,
            "AGENT_REQUEST_LIMIT",
        );
        world
            .set_policy(|policy| policy.daily = amount("0.049999999999999999"))
            .await;
        assert_denied(&world.quote("inv_d", json!({})).await, "AGENT_DAILY_LIMIT");
        world
            .set_policy(|policy| policy.monthly = amount("0.049999999999999999"))
            .await;
        assert_denied(
            &world.quote("inv_e", json!({})).await,
            "AGENT_MONTHLY_LIMIT",
        );
        world
            .set_policy(|policy| policy.allowed_providers = Vec::new())
            .await;
        assert_denied(
            &world.quote("inv_f", json!({})).await,
            "PROVIDER_NOT_ALLOWED",
        );
        world
            .set_policy(|policy| policy.allowed_providers = vec![AllowedProvider::Anyone])
            .await;
        assert_denied(
            &world.quote("inv_h", json!({ "payTo": stranger })).await,
            "RECIPIENT_NOT_REGISTERED",
        );
        let elsewhere = json!({ "providerUrl": "https://nobody.example.com/" });
        assert_denied(
            &world.quote("inv_i", elsewhere).await,
            "RECIPIENT_NOT_REGISTERED",
        );
        let monthly_budget = amount("0.049999999999999999");
        world
            .owner
            .set_budget(&SetBudget { monthly_budget })
            .await
            .unwrap();
        assert_denied(
            &world.quote("inv_g", json!({})).await,
            "WORKSPACE_BUDGET_EXCEEDED",
        );
        world.stop().await;
    });
}

#[test]
fn an_agent_without_a_policy_may_spend_nothing() {
    run(async {
        let world = World::new(EXE).await;
        let request = x402_schemas::api::owner::CreateAgent {
            name: "bare".into(),
            policy: None,
        };
        let agent = world.owner.create_agent(&request).await.unwrap();
        let world = World {
            agent_key: agent.api_key,
            ..world
        };
        assert_denied(&world.quote("inv_1", json!({})).await, "AGENT_DISABLED");
        world.stop().await;
    });
}

#[test]
fn limits_count_what_is_spent() {
    run(async {
        let world = World::new(EXE).await;
        world
            .set_policy(|policy| policy.daily = amount("0.1"))
            .await;
        world.settled("inv_1").await;
        let (status, quote) = world.quote("inv_2", json!({})).await;
        assert_eq!(
            (status.as_u16(), quote["remaining"]["daily"].as_str()),
            (200, Some("0")),
            "{quote}"
        );
        world.pay(quote["quoteId"].as_str().unwrap()).await;
        assert_denied(&world.quote("inv_3", json!({})).await, "AGENT_DAILY_LIMIT");
        world.stop().await;
    });
}

#[test]
fn a_policy_that_shrank_since_the_quote_counts_at_the_payment() {
    run(async {
        let world = World::new(EXE).await;
        let (_, quote) = world.quote("inv_1", json!({})).await;
        world
            .set_policy(|policy| policy.per_request = amount("0.01"))
            .await;
        let (status, body) = world.pay(quote["quoteId"].as_str().unwrap()).await;
        assert_eq!(
            (status.as_u16(), body["error"].as_str()),
            (403, Some("AGENT_REQUEST_LIMIT")),
            "{body}"
        );
        assert_eq!(world.balance(world.pay_to).await, amount("0"));
        world.stop().await;
    });
}

#[test]
fn a_paused_token_is_refused_before_signing() {
    run(async {
        let world = World::new(EXE).await;
        world.token.pause().await.unwrap();
        assert_pay_fails(&world, "TOKEN_PAUSED").await;
        world.stop().await;
    });
}

#[test]
fn a_blacklisted_payer_or_payee_and_a_frozen_payer_are_refused_before_signing() {
    run(async {
        let world = World::new(EXE).await;
        let treasury = world.treasury.address();
        world.token.blacklist(treasury).await.unwrap();
        assert_pay_fails(&world, "ACCOUNT_BLOCKED").await;
        world.token.delist(treasury).await.unwrap();
        world.token.blacklist(world.pay_to).await.unwrap();
        assert_pay_fails(&world, "ACCOUNT_BLOCKED").await;
        world.token.delist(world.pay_to).await.unwrap();
        world.token.freeze(treasury).await.unwrap();
        assert_pay_fails(&world, "ACCOUNT_BLOCKED").await;
        world.token.unfreeze(treasury).await.unwrap();
        // What was refused before it was signed may be paid after all.
        world.settled("inv_refused").await;
        world.stop().await;
    });
}

#[test]
fn an_empty_treasury_is_refused_before_signing() {
    run(async {
        let world = World::new(EXE).await;
        world
            .token
            .burn_holdings(world.treasury.address())
            .await
            .unwrap();
        assert_pay_fails(&world, "INSUFFICIENT_BALANCE").await;
        world.stop().await;
    });
}

#[test]
fn a_revoked_allowance_is_refused_before_signing() {
    run(async {
        let world = World::new(EXE).await;
        world.approve(&world.owner, &world.treasury, "0").await;
        assert_pay_fails(&world, "INSUFFICIENT_ALLOWANCE").await;
        world.stop().await;
    });
}

#[test]
fn a_spender_without_gas_money_is_refused_before_signing_and_warned_of() {
    run(async {
        let world = World::new(EXE).await;
        let spender = world.owner.workspace().await.unwrap().spender;
        let wei = alloy::primitives::U256::from(1_000_000_u64);
        world.token.fund_gas(spender, wei).await.unwrap();
        assert_pay_fails(&world, "INSUFFICIENT_GAS").await;
        eventually("quotes warn", async || {
            let (_, quote) = world.quote("inv_warned", json!({})).await;
            quote["warnings"] == json!(["INSUFFICIENT_GAS"])
        })
        .await;
        let metrics = format!("http://{}/metrics", world.stack.admin);
        let metrics = reqwest::get(metrics).await.unwrap().text().await.unwrap();
        assert!(
            metrics.contains("x402_gateway_spenders_without_gas 1\n"),
            "{metrics}"
        );
        assert!(metrics.contains("x402_gateway_lowest_spender_balance_ether 0.000000000001\n"));
        world.stop().await;
    });
}

#[test]
fn a_workspace_without_a_treasury_pays_nothing() {
    run(async {
        let world = World::new(EXE).await;
        let other = world.other_owner().await;
        let request = x402_schemas::api::owner::CreateAgent {
            name: "poor".into(),
            policy: Some(x402_tests::world::policy(world.pay_to)),
        };
        let agent = other.create_agent(&request).await.unwrap();
        let world = World {
            agent_key: agent.api_key,
            owner: other,
            ..world
        };
        assert_pay_fails(&world, "WALLET_ERROR").await;
        world.stop().await;
    });
}

#[test]
fn an_expired_or_unknown_quote_pays_nothing() {
    run(async {
        let world = World::with_quote_ttl(EXE, 1).await;
        let (_, quote) = world.quote("inv_1", json!({})).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        let (status, body) = world.pay(quote["quoteId"].as_str().unwrap()).await;
        assert!(status.is_client_error());
        assert_eq!(body["error"], "QUOTE_EXPIRED", "{body}");
        let (status, body) = world.pay("quo_000000000000000000000000").await;
        assert!(status.is_client_error());
        assert_eq!(body["error"], "QUOTE_NOT_FOUND", "{body}");
        assert_eq!(world.balance(world.pay_to).await, amount("0"));
        world.stop().await;
    });
}

#[test]
fn one_invoice_is_never_paid_with_other_terms() {
    run(async {
        let world = World::new(EXE).await;
        world.settled("inv_1").await;
        let answer = world.quote("inv_1", json!({ "amount": "0.06" })).await;
        assert_denied(&answer, "DUPLICATE_PAYMENT");
        let (status, body): (_, Value) = world.quote("inv_1", json!({ "method": "POST" })).await;
        assert_eq!(
            (status.as_u16(), body["reason"].as_str()),
            (403, Some("DUPLICATE_PAYMENT"))
        );
        eventually("one payment was made", async || {
            world.balance(world.pay_to).await == amount("0.05")
        })
        .await;
        world.stop().await;
    });
}
