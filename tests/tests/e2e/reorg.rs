//! Reorgs as providers and agents see them.

use alloy::providers::Provider;
use reqwest::Url;
use serde_json::{Value, json};
use x402_tests::{
    ledger, raw,
    shared::run,
    spend,
    world::{World, amount, eventually},
};

use crate::EXE;

#[test]
fn a_reorg_that_drops_the_transfer_flips_the_answer_everywhere() {
    run(async {
        let world = World::on_own_chain(EXE, "flip").await;
        let before = world.snapshot().await;
        let paid = world.settled("inv_1").await;
        let proof = paid["proof"].as_str().unwrap();
        let held = world
            .verify(proof, "inv_1", json!({ "claim": false }))
            .await;
        assert_eq!(held["verified"], true, "{held}");

        world.drop_payments_since(before).await;
        eventually("the verifier takes its answer back", async || {
            let answer = world
                .verify(proof, "inv_1", json!({ "claim": false }))
                .await;
            answer["errorCode"] == "PAYMENT_REVERTED"
        })
        .await;
        world.stop().await;
    });
}

#[test]
fn a_payment_that_a_reorg_dropped_is_sent_again_and_paid_once() {
    run(async {
        let world = World::on_own_chain(EXE, "again").await;
        let rpc = world.chain().rpc();
        let before = world.snapshot().await;
        let paid = world.settled("inv_1").await;
        let payment_id = paid["paymentId"].as_str().unwrap().to_owned();
        let _: bool = rpc
            .raw_request("evm_revert".into(), (before,))
            .await
            .unwrap();
        world.chain().mine(3).await.unwrap();
        let url = world
            .gateway()
            .join(&format!("payments/{payment_id}"))
            .unwrap();
        eventually("the payment is settled again", async || {
            let (_, payment) = raw::get(url.as_str(), Some(&world.agent_key)).await;
            let paid_now = world.balance(world.pay_to).await == amount("0.05");
            payment["status"] == "settled" && payment["txHash"] == paid["txHash"] && paid_now
        })
        .await;
        // The proof of now verifies, once.
        let (_, payment) = raw::get(url.as_str(), Some(&world.agent_key)).await;
        let answer = world
            .verify(payment["proof"].as_str().unwrap(), "inv_1", json!({}))
            .await;
        assert_eq!(answer["verified"], true, "{answer}");
        let clickhouse = world.options.clickhouse_url.as_str();
        assert_eq!(spend::assert_reconciled(&world, clickhouse).await, 1);
        world.stop().await;
    });
}

#[test]
fn a_reorg_flips_a_claimed_answer_and_is_told_as_a_revocation() {
    run(async {
        let world = World::on_own_chain(EXE, "revoked").await;
        let before = world.snapshot().await;
        let paid = world.settled("inv_1").await;
        let proof = paid["proof"].as_str().unwrap();
        let claimed = world
            .verify(proof, "inv_1", json!({ "attempt": "a" }))
            .await;
        assert_eq!(claimed["verified"], true, "{claimed}");
        let revocations: Url = world.verifier().join("revocations").unwrap();
        let told = async || {
            let (status, body) = raw::get(revocations.as_str(), Some(&world.provider_key)).await;
            assert_eq!(status, 200, "{body}");
            body["revocations"].as_array().unwrap().clone()
        };
        assert_eq!(told().await, Vec::<Value>::new());

        world.drop_payments_since(before).await;
        eventually("the answer to the claimed payment flips", async || {
            let answer = world
                .verify(proof, "inv_1", json!({ "attempt": "a" }))
                .await;
            answer["errorCode"] == "PAYMENT_REVERTED"
        })
        .await;
        eventually("the provider is told of the revocation", async || {
            !told().await.is_empty()
        })
        .await;
        let revocations = told().await;
        assert_eq!(revocations.len(), 1, "{revocations:?}");
        assert_eq!(revocations[0]["event"], "revoked");
        assert_eq!(revocations[0]["invoiceId"], "inv_1");
        assert_eq!(revocations[0]["attempt"], "a");
        assert_eq!(revocations[0]["txHash"], paid["txHash"]);
        world.stop().await;
    });
}

#[test]
fn a_payment_that_a_reorg_dropped_for_good_is_told_and_released() {
    run(async {
        let world = World::on_own_chain(EXE, "dropped").await;
        let before = world.snapshot().await;
        let paid = world.settled("inv_1").await;
        let payment_id = paid["paymentId"].as_str().unwrap();
        let url = world
            .gateway()
            .join(&format!("payments/{payment_id}"))
            .unwrap();
        // Another transaction has the payment's nonce on the fork that wins.
        world.drop_payments_since(before).await;
        eventually("the payment is taken back", async || {
            let (_, payment) = raw::get(url.as_str(), Some(&world.agent_key)).await;
            payment["history"]
                .to_string()
                .contains("a reorg has removed its block")
        })
        .await;
        // Unknown until that fork is final, and then failed for good.
        world.chain().mine(100).await.unwrap();
        eventually("the payment has failed", async || {
            let (_, payment) = raw::get(url.as_str(), Some(&world.agent_key)).await;
            payment["status"] == "reverted" && payment["error"] == "TRANSACTION_FAILED"
        })
        .await;
        let agents = world.owner.agents().await.unwrap();
        assert_eq!(agents[0].daily_spent, amount("0"));
        // The invoice may be paid after all, and is paid once.
        world.settled("inv_1").await;
        assert_eq!(world.balance(world.pay_to).await, amount("0.05"));
        ledger::assert_adds_up(&world, EXE);
        let clickhouse = world.options.clickhouse_url.as_str();
        assert_eq!(spend::assert_reconciled(&world, clickhouse).await, 1);
        world.stop().await;
    });
}
