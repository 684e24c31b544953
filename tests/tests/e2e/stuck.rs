//! Payments that no block takes at the fees that they bid.

use alloy::providers::Provider;
use serde_json::{Value, json};
use x402_tests::{
    ledger, raw,
    shared::run,
    world::{World, amount, eventually},
};

use crate::EXE;

/// What one gas costs once the chain is busy: more than any payment bid before, within the ceiling.
const BUSY_WEI: u64 = 50_000_000_000;

#[test]
fn a_payment_stuck_by_low_fees_is_replaced_and_settles_once() {
    run(async {
        let flag = ("gateway", "stuck-seconds", "1".to_owned());
        let world = World::on_own_chain_with(EXE, "stuck", flag).await;
        let rpc = world.chain().rpc();
        let _: () = rpc
            .raw_request("evm_setAutomine".into(), (false,))
            .await
            .unwrap();
        let (_, quote) = world.quote("inv_1", json!({})).await;
        let body = json!({ "quoteId": quote["quoteId"], "waitMs": 0 });
        let (_, pending) = world.agent_post("pay", &body).await;
        let id = pending["paymentId"].as_str().unwrap();
        let url = world.gateway().join(&format!("payments/{id}")).unwrap();
        let payment = async || -> Value { raw::get(url.as_str(), Some(&world.agent_key)).await.1 };
        eventually("a node has the payment", async || {
            payment().await["status"] == "broadcast"
        })
        .await;
        let first = payment().await["txHash"].clone();

        // The base fee rises above the payment's bid, so the next block leaves it out.
        let _: () = rpc
            .raw_request("anvil_setNextBlockBaseFeePerGas".into(), (BUSY_WEI,))
            .await
            .unwrap();
        world.chain().mine(1).await.unwrap();
        eventually("more is bid", async || payment().await["txHash"] != first).await;
        eventually("the payment settles", async || {
            world.chain().mine(1).await.unwrap();
            payment().await["status"] == "settled"
        })
        .await;
        let settled = payment().await;
        assert_ne!(settled["txHash"], first);
        assert!(settled["history"].to_string().contains("replaced by"));
        assert_eq!(world.balance(world.pay_to).await, amount("0.05"));
        // The first can never be mined any more: its nonce is used.
        let _: () = rpc
            .raw_request("anvil_setNextBlockBaseFeePerGas".into(), (1_u64,))
            .await
            .unwrap();
        world.chain().mine(3).await.unwrap();
        assert_eq!(world.balance(world.pay_to).await, amount("0.05"));
        eventually("what it cost is recorded", async || {
            payment().await["gasPaidWei"].is_string()
        })
        .await;
        ledger::assert_adds_up(&world, EXE);
        world.stop().await;
    });
}
