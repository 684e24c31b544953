use x402_schemas::api::members::Role;
use x402_service::api_key::{ApiKey, KeyKind};

use super::*;

/// Every route with the least role of a member that may ask it, and who else may.
const WELCOME: [(&str, &str, Option<Role>, &[&str]); 51] = {
    use Role::{Admin, Member, Owner, Viewer};
    [
        ("POST", "/quote", None, &["agent"]),
        ("POST", "/pay", None, &["agent"]),
        ("GET", "/payments/{id}", Some(Viewer), &["agent"]),
        ("GET", "/payments/{id}/events", Some(Viewer), &["agent"]),
        ("GET", "/events", Some(Viewer), &[]),
        ("GET", "/payments", Some(Viewer), &[]),
        ("GET", "/webhooks", Some(Admin), &[]),
        ("POST", "/webhooks", Some(Admin), &[]),
        ("DELETE", "/webhooks/{id}", Some(Admin), &[]),
        ("POST", "/webhooks/{id}/rotate", Some(Admin), &[]),
        ("POST", "/webhooks/{id}/test", Some(Admin), &[]),
        ("GET", "/webhooks/{id}/deliveries", Some(Admin), &[]),
        ("POST", "/payments/{id}/approve", Some(Member), &[]),
        ("POST", "/payments/{id}/reject", Some(Member), &[]),
        ("GET", "/approvals", Some(Viewer), &[]),
        ("POST", "/policy/dry-run", Some(Viewer), &[]),
        ("POST", "/workspaces", None, &["operator"]),
        ("GET", "/workspace", Some(Viewer), &[]),
        ("PUT", "/workspace/budget", Some(Owner), &[]),
        ("PUT", "/workspace/policy", Some(Owner), &[]),
        ("POST", "/workspace/pause", Some(Admin), &[]),
        ("POST", "/workspace/resume", Some(Owner), &[]),
        ("POST", "/sessions", Some(Viewer), &[]),
        ("GET", "/members", Some(Viewer), &[]),
        ("POST", "/members", Some(Owner), &[]),
        ("GET", "/members/me", Some(Viewer), &[]),
        ("PUT", "/members/{id}/role", Some(Owner), &[]),
        ("POST", "/members/{id}/rotate", Some(Owner), &[]),
        ("POST", "/members/{id}/remove", Some(Owner), &[]),
        ("GET", "/keys", Some(Admin), &[]),
        ("POST", "/keys/{id}/revoke", Some(Admin), &[]),
        ("POST", "/agents", Some(Admin), &[]),
        ("GET", "/agents", Some(Viewer), &[]),
        ("PUT", "/agents/{id}/policy", Some(Admin), &[]),
        ("POST", "/agents/{id}/pause", Some(Member), &[]),
        ("POST", "/agents/{id}/resume", Some(Admin), &[]),
        ("POST", "/agents/{id}/rotate", Some(Admin), &[]),
        ("POST", "/agents/{id}/revoke", Some(Admin), &[]),
        ("POST", "/providers", Some(Admin), &[]),
        ("GET", "/providers", Some(Viewer), &[]),
        ("POST", "/providers/{id}/rotate", Some(Admin), &[]),
        ("POST", "/providers/{id}/revoke", Some(Admin), &[]),
        ("PUT", "/providers/{id}/registration", Some(Admin), &[]),
        ("PUT", "/providers/{id}/confirmations", Some(Admin), &[]),
        ("GET", "/treasury", Some(Viewer), &[]),
        ("POST", "/treasury", Some(Owner), &[]),
        ("POST", "/treasury/relay", Some(Owner), &[]),
        ("POST", "/proof-keys/rotate", None, &["operator"]),
        ("GET", "/internal/directory", None, &["service"]),
        ("GET", "/internal/proofs", None, &["service"]),
        ("POST", "/internal/key-uses", None, &["service"]),
        ("POST", "/members/me/rotate", Some(Viewer), &[]),
    ]
};

/// Routes that anybody may ask, or whose answer is another service's.
const OPEN: [&str; 6] = [
    "/.well-known/jwks.json",
    "/verify",
    "/verify/batch",
    "/openapi.json",
    "/docs",
    "other",
];

#[test]
fn the_table_of_who_is_welcome_names_every_route() {
    for route in routes::ALL {
        let named = WELCOME.iter().any(|(_, path, ..)| *path == route);
        assert_ne!(named, OPEN.contains(&route), "{route}");
    }
}

#[tokio::test]
async fn every_route_refuses_every_wrong_principal() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let mut members = vec![(Role::Owner, "owner", owner.key.clone())];
    for role in [Role::Admin, Role::Member, Role::Viewer] {
        let member = house.member(&owner, role.as_str()).await;
        let session = house.session(&member.key).await;
        members.push((role, "a session", session));
        members.push((role, "a key", member.key));
    }
    let session = house.session(&owner.key).await;
    members.insert(0, (Role::Owner, "a session", session));
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let (_, provider) = house.provider(&owner, PAYEE).await;
    let stranger = ApiKey::generate(KeyKind::Owner).unwrap().expose();
    let raised = agent.key.replace("_agent_", "_owner_");
    let lowered = owner.key.replace("_owner_", "_member_");
    let others = [
        ("agent", agent.key.as_str()),
        ("provider", &text(&provider, "apiKey")),
        ("operator", OPERATOR),
        ("service", SERVICE),
        ("stranger", &stranger),
        ("raised", &raised),
        ("lowered", &lowered),
        ("nothing", ""),
    ];
    for (method, pattern, least, welcome) in WELCOME {
        let mut path = pattern.replace("{id}", "some_1");
        if pattern == "/events" {
            // Malformed, so that those who are welcome get a refusal and no stream without an end.
            path.push_str("?after=x");
        }
        // Nobody's key ends here before it has been asked with.
        let body = if pattern == "/members/me/rotate" {
            json!({"graceSeconds": 60})
        } else {
            Value::Null
        };
        for (name, key) in others {
            let (status, body) = house.send(method, &path, key, body.clone()).await;
            let refused = (status, body["error"].as_str()) == (401, Some("UNAUTHORIZED"));
            assert_eq!(
                refused,
                !welcome.contains(&name),
                "{name} at {method} {path}: {status} {body}"
            );
        }
        for (role, by, key) in &members {
            let (status, body) = house.send(method, &path, key, body.clone()).await;
            let code = body["error"].as_str();
            let asked = format!("{role} with {by} at {method} {path}: {status} {body}");
            match least {
                None => assert_eq!((status, code), (401, Some("UNAUTHORIZED")), "{asked}"),
                Some(least) if *role < least => {
                    assert_eq!((status, code), (403, Some("ROLE_REQUIRED")), "{asked}");
                }
                Some(_) if pattern == "/sessions" && *by == "a session" => {
                    assert_eq!((status, code), (403, Some("KEY_REQUIRED")), "{asked}");
                }
                Some(_) => assert!(status != 401 && status != 403, "{asked}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_another_tenants_is_not_found() {
    let house = House::new().await;
    let (one, two) = (house.workspace("100").await, house.workspace("100").await);
    let agent = house.agent(&one, policy("1", "1", "1")).await;
    let (_, provider) = house.provider(&one, PAYEE).await;
    let provider = format!("/providers/{}", text(&provider, "providerId"));
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    let pay = json!({"quoteId": text(&quote, "quoteId"), "waitMs": 0});
    house.send("POST", "/pay", &agent.key, pay.clone()).await;
    let (_, page) = house.send("GET", "/payments", &one.key, Value::Null).await;
    let payment_id = text(&page[0], "paymentId");

    let hook = json!({"url": "https://example.com/hook"});
    let (_, webhook) = house.send("POST", "/webhooks", &one.key, hook).await;
    let webhook_id = text(&webhook, "webhookId");

    let cases = [
        (
            "PUT",
            format!("/agents/{}/policy", agent.id),
            policy("9", "9", "9"),
        ),
        ("POST", format!("/agents/{}/rotate", agent.id), Value::Null),
        ("POST", format!("/agents/{}/pause", agent.id), Value::Null),
        ("POST", format!("/agents/{}/resume", agent.id), Value::Null),
        (
            "POST",
            "/policy/dry-run".to_owned(),
            json!({"agentId": agent.id, "policy": policy("9", "9", "9"), "days": 1}),
        ),
        (
            "POST",
            format!("/payments/{payment_id}/approve"),
            Value::Null,
        ),
        ("POST", format!("/payments/{payment_id}/reject"), json!({})),
        ("POST", format!("/agents/{}/revoke", agent.id), Value::Null),
        ("POST", format!("{provider}/rotate"), Value::Null),
        ("POST", format!("{provider}/revoke"), Value::Null),
        (
            "PUT",
            format!("{provider}/registration"),
            json!({"payees": [PAYEE], "hosts": []}),
        ),
        (
            "PUT",
            format!("{provider}/confirmations"),
            json!({"finalized": true}),
        ),
        ("GET", format!("/payments/{payment_id}"), Value::Null),
        ("GET", format!("/payments/{payment_id}/events"), Value::Null),
        ("DELETE", format!("/webhooks/{webhook_id}"), Value::Null),
        (
            "POST",
            format!("/webhooks/{webhook_id}/rotate"),
            Value::Null,
        ),
        ("POST", format!("/webhooks/{webhook_id}/test"), Value::Null),
        (
            "GET",
            format!("/webhooks/{webhook_id}/deliveries"),
            Value::Null,
        ),
        ("GET", format!("/payments?before={payment_id}"), Value::Null),
    ];
    for (method, path, body) in cases {
        let (status, answer) = house.send(method, &path, &two.key, body).await;
        assert_eq!(
            (status, text(&answer, "error").as_str()),
            (404, "NOT_FOUND"),
            "{method} {path}"
        );
    }
    let sibling = house.agent(&one, policy("1", "1", "1")).await;
    let foreign = house.agent(&two, policy("1", "1", "1")).await;
    for key in [&sibling.key, &foreign.key] {
        let path = format!("/payments/{payment_id}");
        assert_eq!(house.send("GET", &path, key, Value::Null).await.0, 404);
        let (status, answer) = house.send("POST", "/pay", key, pay.clone()).await;
        assert_eq!(
            (status, text(&answer, "error").as_str()),
            (404, "QUOTE_NOT_FOUND")
        );
    }
    for path in ["/agents", "/providers", "/webhooks"] {
        let (_, list) = house.send("GET", path, &two.key, Value::Null).await;
        assert!(
            !list.to_string().contains(&one.workspace_id) && !list.to_string().contains(&agent.id)
        );
    }
    let own = format!("/payments/{payment_id}");
    assert_eq!(
        house.send("GET", &own, &agent.key, Value::Null).await.0,
        200
    );
    assert_eq!(house.send("GET", &own, &one.key, Value::Null).await.0, 200);
}

#[tokio::test]
async fn revocation_and_rotation_end_the_old_key_at_once() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let path = format!("/agents/{}", agent.id);
    let (status, rotated) = house
        .send("POST", &format!("{path}/rotate"), &owner.key, Value::Null)
        .await;
    assert_eq!(status, 200);
    let new_key = text(&rotated, "apiKey");
    assert_eq!(house.quote(&agent.key, "inv_1", "0.05").await.0, 401);
    assert_eq!(house.quote(&new_key, "inv_1", "0.05").await.0, 200);
    let (status, first) = house
        .send("POST", &format!("{path}/revoke"), &owner.key, Value::Null)
        .await;
    assert_eq!(status, 200);
    assert_eq!(house.quote(&new_key, "inv_1", "0.05").await.0, 401);
    // Revoking again changes nothing, and a revoked agent gets no new key and no new policy.
    let (_, again) = house
        .send("POST", &format!("{path}/revoke"), &owner.key, Value::Null)
        .await;
    assert_eq!(first, again);
    assert_eq!(
        house
            .send("POST", &format!("{path}/rotate"), &owner.key, Value::Null)
            .await
            .0,
        404
    );
    let body = policy("1", "1", "1");
    assert_eq!(
        house
            .send("PUT", &format!("{path}/policy"), &owner.key, body)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn keys_are_shown_once_and_stored_as_hashes_only() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, Value::Null).await;
    let (_, list) = house.send("GET", "/agents", &owner.key, Value::Null).await;
    let secret = agent.key.rsplit('_').next().unwrap();
    assert!(!list.to_string().contains(secret));
    let stored = std::fs::read(house.folder.path().join("ledger.sqlite")).unwrap();
    let log = std::fs::read(house.folder.path().join("ledger.sqlite-wal")).unwrap();
    for bytes in [stored, log] {
        assert!(
            !bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes())
        );
    }
}

#[tokio::test]
async fn a_treasury_belongs_to_the_workspace_that_its_key_signed_for() {
    use alloy::signers::{SignerSync, local::PrivateKeySigner};
    use x402_schemas::api::owner::attachment_hash;

    let house = House::new().await;
    let (one, two) = (house.workspace("100").await, house.workspace("100").await);
    let treasury = PrivateKeySigner::random();
    let signed_for = |workspace: &str, network| {
        let hash = attachment_hash(workspace, treasury.address(), network, TOKEN);
        let signature = treasury.sign_hash_sync(&hash).unwrap();
        json!({"address": treasury.address().to_checksum(None), "signature": signature.to_string()})
    };
    let attach = |key: String, body: Value| {
        let house = &house;
        async move {
            let (status, body) = house.send("POST", "/treasury", &key, body).await;
            (status, text(&body, "error"))
        }
    };
    let wrong = (400, "INVALID_SIGNATURE".to_owned());
    let for_one = signed_for(&one.workspace_id, Network::DEVNET);
    assert_eq!(attach(two.key.clone(), for_one.clone()).await, wrong);
    let other_network = signed_for(&one.workspace_id, Network::MAINNET);
    assert_eq!(attach(one.key.clone(), other_network).await, wrong);
    // The chain is away in this test, so an attached treasury cannot be shown.
    let away = (503, "CHAIN_UNAVAILABLE".to_owned());
    assert_eq!(attach(one.key.clone(), for_one).await, away);
    let for_two = signed_for(&two.workspace_id, Network::DEVNET);
    assert_eq!(
        attach(two.key.clone(), for_two).await,
        (409, "TREASURY_TAKEN".into())
    );
}

#[tokio::test]
async fn an_address_is_paid_for_one_provider_only() {
    let house = House::new().await;
    let (one, two) = (house.workspace("100").await, house.workspace("100").await);
    let (status, first) = house.provider(&one, PAYEE).await;
    assert_eq!(status, 201);
    for owner in [&one, &two] {
        let (status, body) = house.provider(owner, PAYEE).await;
        assert_eq!(
            (status, text(&body, "error").as_str()),
            (409, "PAYEE_TAKEN")
        );
    }
    let path = format!("/providers/{}/revoke", text(&first, "providerId"));
    assert_eq!(
        house.send("POST", &path, &one.key, Value::Null).await.0,
        200
    );
    assert_eq!(house.provider(&two, PAYEE).await.0, 409);
    assert_eq!(house.provider(&one, PAYEE).await.0, 201);
    // The refused ones left nothing behind.
    let (_, list) = house.send("GET", "/providers", &two.key, Value::Null).await;
    assert_eq!(list, json!([]));
}
