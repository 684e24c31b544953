//! Keys, tenants and bad input.

use reqwest::Method;
use serde_json::{Value, json};
use x402_schemas::api::{
    keys::RotateKey,
    owner::{AttachTreasury, CreateAgent, CreateProvider, Payee, RelayTransaction},
};
use x402_tests::{
    raw,
    shared::run,
    world::{World, amount, new_wallet},
};

use crate::EXE;

#[test]
fn no_key_and_a_wrong_key_open_nothing() {
    run(async {
        let world = World::new(EXE).await;
        let unknown = format!("x402_agent_{}_{}", "0".repeat(16), "0".repeat(64));
        let wrong_secret = format!(
            "{}{}",
            &world.agent_key[..world.agent_key.len() - 4],
            "0000"
        );
        for key in [
            None,
            Some("nonsense"),
            Some(unknown.as_str()),
            Some(wrong_secret.as_str()),
            Some(world.provider_key.as_str()),
        ] {
            for (method, path) in [
                (Method::POST, "quote"),
                (Method::POST, "pay"),
                (Method::GET, "payments/pay_1"),
                (Method::POST, "workspaces"),
                (Method::GET, "workspace"),
                (Method::POST, "agents"),
                (Method::GET, "agents"),
                (Method::POST, "providers"),
                (Method::GET, "providers"),
                (Method::POST, "treasury"),
                (Method::GET, "treasury"),
                (
                    Method::GET,
                    "internal/directory?since=0&verifier=x&waitMs=0",
                ),
            ] {
                let url = world.gateway().join(path).unwrap();
                let (status, body) = raw::send(method.clone(), url.as_str(), key, &json!({})).await;
                assert_eq!(status, 401, "{method} {path} {key:?}: {body}");
                assert_eq!(body["error"], "UNAUTHORIZED");
            }
        }
        let url = world.verifier().join("verify").unwrap();
        for key in [None, Some(world.agent_key.as_str()), Some("x")] {
            let (status, body) = raw::send(Method::POST, url.as_str(), key, &json!({})).await;
            assert_eq!(
                (status.as_u16(), body["error"].as_str()),
                (401, Some("UNAUTHORIZED"))
            );
        }
        world.stop().await;
    });
}

#[test]
fn an_agents_key_is_no_owners_key() {
    run(async {
        let world = World::new(EXE).await;
        for path in ["workspace", "agents", "providers", "treasury"] {
            let url = world.gateway().join(path).unwrap();
            let (status, _) = raw::get(url.as_str(), Some(&world.agent_key)).await;
            assert_eq!(status, 401, "{path}");
        }
        world.stop().await;
    });
}

#[test]
fn revocation_holds_at_once() {
    run(async {
        let world = World::new(EXE).await;
        let proof = world.settled("inv_1").await["proof"]
            .as_str()
            .unwrap()
            .to_owned();
        world.owner.revoke_agent(&world.agent_id).await.unwrap();
        let (status, _) = world.quote("inv_2", json!({})).await;
        assert_eq!(status, 401);
        world
            .owner
            .revoke_provider(&world.provider_id)
            .await
            .unwrap();
        let (status, _) = world
            .provider_post("verify", &json!({ "proof": proof, "invoiceId": "inv_1" }))
            .await;
        assert_eq!(status, 401);
        world.stop().await;
    });
}

#[test]
fn a_rotated_key_ends_the_one_before() {
    run(async {
        let world = World::new(EXE).await;
        let agent = world
            .owner
            .rotate_agent(&world.agent_id, RotateKey::default())
            .await
            .unwrap();
        assert_eq!(world.quote("inv_1", json!({})).await.0, 401);
        let world = World {
            agent_key: agent.api_key,
            ..world
        };
        assert_eq!(world.quote("inv_1", json!({})).await.0, 200);
        world.stop().await;
    });
}

#[test]
fn no_tenant_reads_or_spends_anothers_anything() {
    run(async {
        let world = World::new(EXE).await;
        let payment_id = world.settled("inv_1").await["paymentId"]
            .as_str()
            .unwrap()
            .to_owned();
        let (_, quote) = world.quote("inv_2", json!({})).await;
        let other = world.other_owner().await;
        let agent = other
            .create_agent(&CreateAgent {
                name: "spy".into(),
                policy: Some(x402_tests::world::policy(world.pay_to)),
            })
            .await
            .unwrap();

        // Another workspace's agent neither sees the payment nor uses the quote.
        let url = world
            .gateway()
            .join(&format!("payments/{payment_id}"))
            .unwrap();
        assert_eq!(raw::get(url.as_str(), Some(&agent.api_key)).await.0, 404);
        let url = world.gateway().join("pay").unwrap();
        let (_, body) = raw::send(
            Method::POST,
            url.as_str(),
            Some(&agent.api_key),
            &json!({ "quoteId": quote["quoteId"] }),
        )
        .await;
        assert_eq!(body["error"], "QUOTE_NOT_FOUND", "{body}");

        // Another owner changes nothing of ours, by id or by address.
        for refused in [
            other.revoke_agent(&world.agent_id).await.err(),
            other
                .rotate_agent(&world.agent_id, RotateKey::default())
                .await
                .err(),
            other
                .set_policy(&world.agent_id, &x402_tests::world::policy(world.pay_to))
                .await
                .err(),
            other.revoke_provider(&world.provider_id).await.err(),
            other
                .rotate_provider(&world.provider_id, RotateKey::default())
                .await
                .err(),
        ] {
            assert!(refused.unwrap().to_string().starts_with("NOT_FOUND"));
        }
        let workspace = other.workspace().await.unwrap();
        let address = world.treasury.address();
        let signature = world
            .treasury
            .sign_attachment(&world.workspace_id, workspace.network, workspace.token)
            .unwrap();
        assert!(
            other
                .attach_treasury(&AttachTreasury { address, signature })
                .await
                .is_err(),
            "a signature for another workspace"
        );
        let signature = world
            .treasury
            .sign_attachment(&workspace.workspace_id, workspace.network, workspace.token)
            .unwrap();
        assert!(
            other
                .attach_treasury(&AttachTreasury { address, signature })
                .await
                .is_err(),
            "an address of another workspace"
        );
        let payees = vec![Payee(world.pay_to)];
        assert!(
            other
                .create_provider(&CreateProvider {
                    name: "thief".into(),
                    payees,
                    hosts: Vec::new(),
                })
                .await
                .is_err(),
            "a payee of another provider"
        );
        let squatter = CreateProvider {
            name: "squatter".into(),
            payees: vec![Payee(alloy::primitives::Address::repeat_byte(0x33))],
            hosts: vec![x402_tests::world::HOST.parse().unwrap()],
        };
        assert!(
            other.create_provider(&squatter).await.is_err(),
            "a host of another provider"
        );
        assert_eq!(other.agents().await.unwrap().len(), 1);
        assert_eq!(other.providers().await.unwrap().len(), 0);
        world.stop().await;
    });
}

#[test]
fn the_relay_sends_approvals_of_the_own_spender_only() {
    run(async {
        let world = World::new(EXE).await;
        let mut view = world.owner.treasury().await.unwrap();
        view.spender = world.pay_to;
        let raw_transaction = world.treasury.sign_approval(&view, amount("1")).unwrap();
        assert!(
            world
                .owner
                .relay(&RelayTransaction { raw_transaction })
                .await
                .is_err(),
            "another spender"
        );
        let mut view = world.owner.treasury().await.unwrap();
        view.token = world.pay_to;
        let raw_transaction = world.treasury.sign_approval(&view, amount("1")).unwrap();
        assert!(
            world
                .owner
                .relay(&RelayTransaction { raw_transaction })
                .await
                .is_err(),
            "another token"
        );
        let view = world.owner.treasury().await.unwrap();
        let raw_transaction = new_wallet(&world.folder)
            .sign_approval(&view, amount("1"))
            .unwrap();
        assert!(
            world
                .owner
                .relay(&RelayTransaction { raw_transaction })
                .await
                .is_err(),
            "another signer"
        );
        world.stop().await;
    });
}

#[test]
fn secrets_are_stored_hashed_only() {
    run(async {
        let world = World::new(EXE).await;
        world.settled("inv_1").await;
        world.stop().await;
        let secrets = [&world.agent_key, &world.provider_key]
            .map(|key| key.rsplit('_').next().unwrap().to_owned());
        let mut files = 0;
        for entry in walk(world.folder.path()) {
            // The database removes its log when its last connection closes.
            let Ok(bytes) = std::fs::read(&entry) else {
                continue;
            };
            files += 1;
            for secret in &secrets {
                assert!(
                    !bytes
                        .windows(secret.len())
                        .any(|window| window == secret.as_bytes()),
                    "{}",
                    entry.display()
                );
            }
        }
        assert!(files > 2, "the ledger, the seed and the claims are files");
    });
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Every body that `POST /quote` must refuse.
fn bad_quotes(world: &World) -> Vec<String> {
    let pay_to = world.pay_to.to_checksum(None);
    let with = |key: &str, value: Value| {
        let mut body = json!({
            "invoiceId": "inv_1", "amount": "0.05", "payTo": pay_to, "network": "devnet",
            "providerUrl": "http://127.0.0.1:1/report",
        });
        body[key] = value;
        body.to_string()
    };
    let wrong_checksum: String = pay_to
        .chars()
        .map(|letter| match letter {
            'x' => 'x',
            'a'..='z' => letter.to_ascii_uppercase(),
            _ => letter.to_ascii_lowercase(),
        })
        .collect();
    let amounts = [
        "",
        "_",
        "1e18",
        "0x10",
        "-1",
        "0.1234567890123456789",
        "0",
        "1_000",
        "NaN",
    ];
    let mut bodies: Vec<String> = amounts
        .iter()
        .map(|amount| with("amount", json!(amount)))
        .collect();
    bodies.extend([
        with("amount", json!(0.05)),
        with("amount", json!(null)),
        with("payTo", json!(wrong_checksum)),
        with("payTo", json!("0x12")),
        with("network", json!("solana:1")),
        with("invoiceId", json!("a b")),
        with("invoiceId", json!("x".repeat(129))),
        with("providerUrl", json!("file:///etc/passwd")),
        with("providerUrl", json!("nonsense")),
        with("unknown", json!(1)),
        with("method", json!("get it")),
        with("description", json!("x".repeat(100_000))),
        String::new(),
        "not json".into(),
        "[]".into(),
        "{\"invoiceId\":".into(),
        "\u{0}".into(),
    ]);
    bodies
}

#[test]
fn bad_input_gets_a_clear_4xx_and_creates_nothing() {
    run(async {
        let world = World::new(EXE).await;
        let url = world.gateway().join("quote").unwrap();
        for body in bad_quotes(&world) {
            let (status, answer) = raw::send_text(
                Method::POST,
                url.as_str(),
                Some(&world.agent_key),
                body.clone(),
            )
            .await;
            assert!(
                status.is_client_error(),
                "{status} for {body:.200}: {answer}"
            );
            assert!(
                answer["error"].is_string() && answer["message"].is_string(),
                "{body:.200}: {answer}"
            );
        }
        // A body far past the limit is refused, or cut off, without being read.
        let huge = reqwest::Client::new()
            .post(url.clone())
            .bearer_auth(&world.agent_key)
            .header("content-type", "application/json")
            .body("x".repeat(10_000_000))
            .send()
            .await;
        assert!(huge.is_err() || huge.unwrap().status() == 413);
        for service in [world.gateway(), world.verifier()] {
            assert_eq!(
                raw::get(service.join("nowhere").unwrap().as_str(), None)
                    .await
                    .0,
                404
            );
        }
        assert_eq!(raw::get(url.as_str(), None).await.0, 405);
        let payments = world.gateway().join("payments").unwrap();
        let (_, payments) = raw::get(
            payments.as_str(),
            Some(x402_tests::world::secret(&world.owner)),
        )
        .await;
        assert_eq!(payments, json!([]), "nothing was created");
        assert_eq!(
            world.quote("inv_1", json!({})).await.0,
            200,
            "and the services go on"
        );
        world.stop().await;
    });
}
