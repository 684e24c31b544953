//! Members, their keys and their shares, on running services.

use std::process::{Command, Output};

use serde_json::{Value, json};
use x402_schemas::api::members::Role;
use x402_service::api_key::ApiKey;
use x402_tests::{
    raw,
    shared::run,
    world::{World, eventually, secret},
};

use crate::EXE;

fn x402(gateway: &str, key: &str, arguments: &[&str]) -> Output {
    Command::new(EXE)
        .args(arguments)
        .env("X402_GATEWAY_URL", gateway)
        .env("X402_OWNER_KEY", key)
        .output()
        .unwrap()
}

#[test]
fn an_owner_manages_members_from_the_command_line() {
    run(async {
        let world = World::new(EXE).await;
        let gateway = world.gateway().to_string();
        let owner_key = secret(&world.owner).to_owned();
        let done = |key: &str, arguments: &[&str]| -> Value {
            let output = x402(&gateway, key, arguments);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments:?}: {error}");
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let refused = |key: &str, arguments: &[&str], code: &str| {
            let output = x402(&gateway, key, arguments);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "{arguments:?}");
            assert!(error.contains(code), "{arguments:?}: {error}");
        };
        let created = done(&owner_key, &["member", "create", "ann", "--role", "viewer"]);
        let (ann, key) = (
            created["memberId"].as_str().unwrap(),
            created["apiKey"].as_str().unwrap(),
        );
        assert!(key.starts_with("x402_member_"));
        assert_eq!(done(key, &["member", "me"])["role"], "viewer");
        done(key, &["agent", "list"]);
        refused(key, &["agent", "pause", &world.agent_id], "ROLE_REQUIRED");
        done(&owner_key, &["member", "role", ann, "member"]);
        done(key, &["agent", "pause", &world.agent_id]);
        refused(key, &["agent", "resume", &world.agent_id], "ROLE_REQUIRED");
        let rotated = done(key, &["member", "rotate", "me", "--grace-seconds", "60"]);
        let new_key = rotated["apiKey"].as_str().unwrap();
        done(key, &["member", "me"]);
        let keys = done(&owner_key, &["key", "list"]);
        assert!(keys.as_array().unwrap().len() >= 5, "{keys}");
        let key_id = key.split('_').nth(2).unwrap();
        done(&owner_key, &["key", "revoke", key_id]);
        refused(key, &["member", "me"], "UNAUTHORIZED");
        done(new_key, &["member", "me"]);
        done(&owner_key, &["member", "remove", ann]);
        refused(new_key, &["member", "me"], "UNAUTHORIZED");
        let me = done(&owner_key, &["member", "me"]);
        let me = me["memberId"].as_str().unwrap();
        refused(&owner_key, &["member", "remove", me], "LAST_OWNER");
        world.stop().await;
    });
}

#[test]
fn when_a_key_was_last_used_outlives_a_restart() {
    run(async {
        let mut world = World::new(EXE).await;
        let viewer = world.member(Role::Viewer).await;
        let me = viewer.me().await.unwrap();
        let used = me.last_used_at.unwrap();
        world.restart().await;
        let members = world.owner.members().await.unwrap();
        let member = members.iter().find(|one| one.member_id == me.member_id);
        assert_eq!(member.unwrap().last_used_at, Some(used));
        world.stop().await;
    });
}

#[test]
fn when_a_provider_last_used_its_key_is_known_though_the_verifier_was_asked() {
    run(async {
        let world = World::new(EXE).await;
        let key: ApiKey = world.provider_key.parse().unwrap();
        let last = async || {
            let keys = world.owner.keys().await.unwrap();
            let its = keys.iter().find(|one| one.key_id == key.key_id());
            its.unwrap().last_used_at
        };
        assert_eq!(last().await, None);
        world.verify("no proof", "inv_1", json!({})).await;
        eventually("the use is known", async || last().await.is_some()).await;
        world.stop().await;
    });
}

#[test]
fn a_key_that_asks_too_much_is_refused_and_others_are_not() {
    run(async {
        const RATE: usize = 200;
        let flag = ("gateway", "key-rate-per-minute", RATE.to_string());
        let world = World::with_flag(EXE, flag).await;
        let viewer = world.member(Role::Viewer).await;
        let mut served = 0;
        let refused = loop {
            match viewer.workspace().await {
                Ok(_) => served += 1,
                Err(error) => break error.to_string(),
            }
            assert!(served < 5 * RATE, "never refused");
        };
        assert!(refused.starts_with("TOO_MANY_REQUESTS"), "{refused}");
        assert!(served >= RATE, "{served}");
        let url = world.gateway().join("workspace").unwrap();
        let (status, _) = raw::get(url.as_str(), None).await;
        assert_eq!(status, 401, "an address has a share of its own");
        assert!(world.owner.workspace().await.is_ok());
        let metrics = reqwest::get(format!("http://{}/metrics", world.stack.admin));
        let metrics = metrics.await.unwrap().text().await.unwrap();
        let counted = "x402_gateway_over_limit_total{limit=\"rate\",of=\"key\"}";
        let line = metrics.lines().find(|line| line.starts_with(counted));
        let count: u32 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(count >= 1, "{count}");
        world.stop().await;
    });
}
