//! The commands, as a person types them.

use std::process::{Command, Output};

use serde_json::Value;
use x402_schemas::proof::read::read_unchecked;
use x402_tests::{
    api::PaidApi,
    shared::run,
    world::{OPERATOR_TOKEN, World, amount},
};

use crate::EXE;

fn x402(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(EXE)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[track_caller]
fn json(output: &Output) -> Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_owner_sets_everything_up_from_the_command_line_and_an_agent_pays() {
    run(async {
        let world = World::new(EXE).await;
        let api = PaidApi::start(&world, "0.05").await;
        let gateway = world.gateway().to_string();
        let keystore = world.folder.path().join("mine.json").display().to_string();
        let operator = [
            ("X402_GATEWAY_URL", gateway.as_str()),
            ("X402_OPERATOR_TOKEN", OPERATOR_TOKEN),
        ];
        let created = json(&x402(
            &["workspace", "create", "mine", "--monthly-budget", "50"],
            &operator,
        ));
        let owner_key = created["apiKey"].as_str().unwrap();
        let owner = [
            ("X402_GATEWAY_URL", gateway.as_str()),
            ("X402_OWNER_KEY", owner_key),
            ("X402_KEYSTORE", keystore.as_str()),
            ("X402_KEYSTORE_PASSPHRASE", "mine"),
        ];
        let address = x402(&["wallet", "new"], &owner);
        assert!(address.status.success());
        let address: alloy::primitives::Address = String::from_utf8(address.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(
            !x402(&["wallet", "new"], &owner).status.success(),
            "a keystore is never overwritten"
        );
        let treasury = json(&x402(&["wallet", "attach"], &owner));
        let ether = alloy::primitives::U256::from(10_u64.pow(18));
        world.token.fund_gas(address, ether).await.unwrap();
        assert_eq!(treasury["spenderGasWei"], "0");
        let topped_up = json(&x402(&["wallet", "top-up", "0.5"], &owner));
        assert_eq!(topped_up["spenderGasWei"], "500000000000000000");
        world.token.mint(address, amount("20")).await.unwrap();
        let approved = json(&x402(&["wallet", "approve", "10"], &owner));
        assert_eq!(
            (approved["allowance"].as_str(), approved["balance"].as_str()),
            (Some("10"), Some("20"))
        );
        assert_eq!(
            json(&x402(&["wallet", "balance"], &owner))["allowance"],
            "10"
        );

        let allow = world.pay_to.to_checksum(None);
        let limits = [
            "--per-request",
            "1",
            "--daily",
            "5",
            "--monthly",
            "20",
            "--allow",
            &allow,
        ];
        let agent = json(&x402(
            &[&["agent", "create", "buyer"], limits.as_slice()].concat(),
            &owner,
        ));
        let agent_key = agent["apiKey"].as_str().unwrap();
        let buyer = [
            ("X402_GATEWAY_URL", gateway.as_str()),
            ("X402_AGENT_KEY", agent_key),
        ];
        let url = api.url("report").to_string();
        assert!(
            !x402(&["pay", &url, "--max-amount", "0.04"], &buyer)
                .status
                .success()
        );
        let bought = x402(&["pay", &url, "--max-amount", "0.05", "-v"], &buyer);
        assert_eq!(json(&bought)["paid"], "0.05");
        assert!(String::from_utf8_lossy(&bought.stderr).contains("payment settled"));
        assert_eq!(
            json(&x402(&["agent", "list"], &owner))[0]["dailySpent"],
            "0.05"
        );
        assert_eq!(
            json(&x402(&["workspace", "show"], &owner))["monthlySpent"],
            "0.05"
        );
        json(&x402(
            &["agent", "revoke", agent["agentId"].as_str().unwrap()],
            &owner,
        ));
        assert!(!x402(&["pay", &url], &buyer).status.success());
        world.stop().await;
    });
}

#[test]
fn a_proof_is_verified_from_the_command_line_without_using_it_up() {
    run(async {
        let world = World::new(EXE).await;
        let proof = world.settled("inv_1").await["proof"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(read_unchecked(&proof).unwrap().invoice_id.as_str(), "inv_1");
        let verifier = world.verifier().to_string();
        let provider = [
            ("X402_VERIFIER_URL", verifier.as_str()),
            ("X402_PROVIDER_KEY", world.provider_key.as_str()),
        ];
        for _ in 0..2 {
            assert_eq!(
                json(&x402(&["verify", &proof], &provider))["verified"],
                true
            );
        }
        let refused = x402(&["verify", &proof, "--invoice-id", "inv_2"], &provider);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stdout).contains("INVOICE_MISMATCH"));
        world.stop().await;
    });
}

#[test]
fn an_audit_of_a_whole_index_exits_zero() {
    run(async {
        let world = World::new(EXE).await;
        world.settled("inv_1").await;
        let token = world.token.address.to_checksum(None);
        let flags = [
            "audit",
            "--rpc-url",
            world.chain().url.as_str(),
            "--clickhouse-url",
            world.options.clickhouse_url.as_str(),
            "--clickhouse-database",
            &world.options.database,
            "--token",
            &token,
        ];
        let output = x402(&flags, &[]);
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        world.stop().await;
    });
}

#[test]
fn wrong_settings_exit_64_and_name_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x402.toml");
    let path = file.display().to_string();
    for (text, named) in [
        ("lissten = \"127.0.0.1:1\"", "lissten"),
        ("[gateway]\nlissten = \"127.0.0.1:1\"", "gateway.lissten"),
        ("[gateway]\nlisten = \"nowhere\"", "--listen"),
        ("[indexer]\ntoken = \"0x12\"", "--token"),
        ("not toml", "TOML"),
    ] {
        std::fs::write(&file, text).unwrap();
        let command = if text.contains("indexer") {
            "indexer"
        } else {
            "gateway"
        };
        let output = x402(
            &[
                "--config",
                &path,
                command,
                "--rpc-url",
                "http://127.0.0.1:1",
            ],
            &[
                ("X402_OPERATOR_TOKEN", "x"),
                ("X402_SERVICE_TOKEN", "x"),
                ("X402_GATEWAY_PASSPHRASE", "x"),
            ],
        );
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{text}: {error}");
        assert!(error.contains(named), "{text}: {error}");
    }
}

#[test]
fn every_command_explains_itself() {
    for command in [
        "demo",
        "node",
        "indexer",
        "gateway",
        "verifier",
        "audit",
        "wallet",
        "workspace",
        "member",
        "key",
        "agent",
        "provider",
        "pay",
        "verify",
    ] {
        let output = x402(&[command, "--help"], &[]);
        assert!(output.status.success(), "{command}");
        assert!(output.stdout.len() > 200, "{command}");
    }
}
