//! Policies from the command line: approvals, pauses, dry runs.

use std::process::{Command, Output};

use serde_json::{Value, json};
use x402_tests::{
    ledger, raw,
    shared::run,
    world::{World, amount, eventually, secret},
};

use crate::EXE;

/// Runs a command as the world's owner.
fn x402(world: &World, arguments: &[&str]) -> Output {
    Command::new(EXE)
        .args(arguments)
        .env("X402_GATEWAY_URL", world.gateway().as_str())
        .env("X402_OWNER_KEY", secret(&world.owner))
        .output()
        .unwrap()
}

#[track_caller]
fn json_of(output: &Output) -> Value {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_payment_waits_for_the_owner_and_settles_once_it_is_approved() {
    run(async {
        let world = World::new(EXE).await;
        let pay_to = world.pay_to.to_checksum(None);
        let limits = ["--per-request", "1", "--daily", "5", "--monthly", "50"];
        let limits = [&limits[..], &["--allow", &pay_to]].concat();
        let mut policy = vec!["agent", "policy", &world.agent_id];
        policy.extend(&limits);
        policy.extend(["--approval-above", "0.04", "--active-hours", "00:00-23:59"]);
        let view = json_of(&x402(&world, &policy));
        assert_eq!(view["policy"]["approvalAbove"], "0.04");

        let (_, quote) = world.quote("inv_1", json!({})).await;
        let (status, waiting) = world.pay(quote["quoteId"].as_str().unwrap()).await;
        assert_eq!(
            (status.as_u16(), waiting["reason"].as_str()),
            (202, Some("APPROVAL_REQUIRED")),
            "{waiting}"
        );
        assert_eq!(world.balance(world.pay_to).await, amount("0"));
        let listed = json_of(&x402(&world, &["approval", "list"]));
        let id = listed[0]["paymentId"].as_str().unwrap();
        assert_eq!(id, waiting["paymentId"]);
        json_of(&x402(&world, &["approval", "approve", id]));
        let url = world.gateway().join(&format!("payments/{id}")).unwrap();
        eventually("the approved payment settles", async || {
            let (_, payment) = raw::get(url.as_str(), Some(&world.agent_key)).await;
            payment["status"] == "settled"
        })
        .await;
        let (_, payment) = raw::get(url.as_str(), Some(&world.agent_key)).await;
        let history = payment["history"].as_array().unwrap().iter();
        let statuses: Vec<&str> = history
            .map(|step| step["status"].as_str().unwrap())
            .collect();
        assert_eq!(
            statuses[..4],
            ["quoted", "awaiting_approval", "reserved", "signed"]
        );
        assert_eq!(statuses[statuses.len() - 2..], ["included", "settled"]);
        assert_eq!(world.balance(world.pay_to).await, amount("0.05"));

        let mut dry_run = vec!["agent", "dry-run", &world.agent_id];
        dry_run.extend(&limits);
        dry_run.extend(["--rolling", "24=0.04"]);
        let report = json_of(&x402(&world, &dry_run));
        assert_eq!(report["denials"][0]["reason"], "AGENT_ROLLING_LIMIT");
        json_of(&x402(&world, &["workspace", "pause"]));
        let (_, denied) = world.quote("inv_2", json!({})).await;
        assert_eq!(denied["reason"], "WORKSPACE_PAUSED");
        json_of(&x402(&world, &["workspace", "resume"]));
        ledger::assert_adds_up(&world, EXE);
        world.stop().await;
    });
}
