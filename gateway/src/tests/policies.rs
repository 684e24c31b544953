//! Rules of policies over the router: pauses, both levels, purchases, dry runs.

use super::*;

fn with(field: &str, value: Value) -> Value {
    let mut policy = policy("1", "100", "100");
    policy[field] = value;
    policy
}

async fn denied(house: &House, key: &str, invoice_id: &str) -> String {
    let (status, body) = house.quote(key, invoice_id, "0.05").await;
    assert_eq!(status, 403, "{body}");
    text(&body, "reason")
}

#[tokio::test]
async fn a_pause_holds_until_it_is_lifted() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    for (path, code) in [
        (format!("/agents/{}", agent.id), "AGENT_PAUSED"),
        ("/workspace".to_owned(), "WORKSPACE_PAUSED"),
    ] {
        let (_, quote) = house.quote(&agent.key, code, "0.05").await;
        let (status, paused) = house
            .send("POST", &format!("{path}/pause"), &owner.key, Value::Null)
            .await;
        assert_eq!(status, 200);
        assert!(paused["pausedAt"].is_string(), "{paused}");
        assert_eq!(denied(&house, &agent.key, "inv_1").await, code);
        // A quote from before is no way around it.
        let pay = json!({"quoteId": text(&quote, "quoteId")});
        let (status, body) = house.send("POST", "/pay", &agent.key, pay).await;
        assert_eq!((status, text(&body, "error").as_str()), (403, code));
        let (status, resumed) = house
            .send("POST", &format!("{path}/resume"), &owner.key, Value::Null)
            .await;
        assert_eq!((status, &resumed["pausedAt"]), (200, &Value::Null));
        assert_eq!(house.quote(&agent.key, "inv_1", "0.05").await.0, 200);
    }
}

#[tokio::test]
async fn a_payment_has_to_satisfy_the_agents_and_the_workspaces_policy() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    let set = async |policy: Value| {
        let body = json!({ "policy": policy });
        let (status, view) = house
            .send("PUT", "/workspace/policy", &owner.key, body)
            .await;
        assert_eq!(status, 200, "{view}");
    };
    for (policy, code) in [
        (with("perRequest", json!("0.04")), "WORKSPACE_REQUEST_LIMIT"),
        (with("daily", json!("0.04")), "WORKSPACE_BUDGET_EXCEEDED"),
        (with("allowedProviders", json!([])), "PROVIDER_NOT_ALLOWED"),
        (
            with("allowedHosts", json!(["*.example.org"])),
            "PROVIDER_NOT_ALLOWED",
        ),
        (
            with("deniedHosts", json!(["api.example.com"])),
            "PROVIDER_NOT_ALLOWED",
        ),
        (with("networks", json!(["mainnet"])), "NETWORK_NOT_ALLOWED"),
        (
            with("expiresAt", json!("2026-01-01T00:00:00Z")),
            "POLICY_EXPIRED",
        ),
    ] {
        set(policy).await;
        assert_eq!(denied(&house, &agent.key, "inv_1").await, code);
    }
    set(Value::Null).await;
    assert_eq!(house.quote(&agent.key, "inv_1", "0.05").await.0, 200);
}

#[tokio::test]
async fn what_an_agent_has_bought_counts_in_windows_rates_and_as_a_duplicate() {
    let rules = [
        (
            "rolling",
            json!([{"hours": 1, "limit": "0.09"}]),
            "AGENT_ROLLING_LIMIT",
        ),
        ("total", json!("0.09"), "AGENT_BUDGET_EXCEEDED"),
        ("paymentsPerMinute", json!(1), "RATE_LIMITED"),
        ("duplicateWithinSeconds", json!(3_600), "DUPLICATE_PURCHASE"),
    ];
    for (field, value, code) in rules {
        let house = House::new().await;
        let owner = house.workspace("100").await;
        let agent = house.agent(&owner, with(field, value)).await;
        let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
        let who = crate::principal::Agent {
            workspace_id: owner.workspace_id.clone(),
            agent_id: agent.id.clone(),
        };
        let id = text(&quote, "quoteId");
        reserve(&house.gateway, &who, &id).await;
        assert_eq!(denied(&house, &agent.key, "inv_2").await, code);
    }
}

#[tokio::test]
async fn a_denied_payment_is_kept_with_its_reason() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "100", "100")).await;
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    let path = format!("/agents/{}/policy", agent.id);
    house
        .send("PUT", &path, &owner.key, policy("0.01", "1", "1"))
        .await;
    let pay = json!({"quoteId": text(&quote, "quoteId")});
    for _ in 0..2 {
        let (status, body) = house.send("POST", "/pay", &agent.key, pay.clone()).await;
        assert_eq!(
            (status, text(&body, "error").as_str()),
            (403, "AGENT_REQUEST_LIMIT")
        );
    }
    let payments = house.get("/payments", &owner.key).await;
    assert_eq!(payments.as_array().unwrap().len(), 1);
    assert_eq!(
        (&payments[0]["status"], &payments[0]["error"]),
        (&json!("denied"), &json!("AGENT_REQUEST_LIMIT"))
    );
}

#[tokio::test]
async fn a_dry_run_shows_what_a_draft_would_have_denied_and_changes_nothing() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "0.10", "100")).await;
    let who = crate::principal::Agent {
        workspace_id: owner.workspace_id.clone(),
        agent_id: agent.id.clone(),
    };
    for number in 0..2 {
        let (_, quote) = house
            .quote(&agent.key, &format!("inv_{number}"), "0.05")
            .await;
        let id = text(&quote, "quoteId");
        reserve(&house.gateway, &who, &id).await;
    }
    assert_eq!(
        denied(&house, &agent.key, "inv_2").await,
        "AGENT_DAILY_LIMIT"
    );
    let before = house.get("/agents", &owner.key).await;
    let run = async |policy: Value, agent_id: Value| {
        let body = json!({"policy": policy, "agentId": agent_id, "days": 7});
        let (status, report) = house
            .send("POST", "/policy/dry-run", &owner.key, body)
            .await;
        assert_eq!(status, 200, "{report}");
        report
    };
    let tight = run(policy("1", "0.05", "100"), json!(agent.id)).await;
    assert_eq!(
        [
            &tight["replayed"],
            &tight["allowed"],
            &tight["denied"],
            &tight["newlyAllowed"]
        ],
        [&json!(3), &json!(1), &json!(2), &json!(0)]
    );
    assert_eq!(tight["paidThatWouldBeDenied"], json!("0.05"));
    assert_eq!(tight["denials"][0]["invoiceId"], json!("inv_1"));
    assert_eq!(tight["denials"][0]["was"], Value::Null);
    assert_eq!(tight["denials"][1]["was"], json!("AGENT_DAILY_LIMIT"));
    let wide = run(policy("1", "100", "100"), json!(agent.id)).await;
    assert_eq!(
        [&wide["denied"], &wide["newlyAllowed"]],
        [&json!(0), &json!(1)]
    );
    let asking = run(with("approvalAbove", json!("0.01")), Value::Null).await;
    // The agent's own policy is still there: the third stays denied.
    assert_eq!(
        [&asking["approvals"], &asking["denied"]],
        [&json!(2), &json!(1)]
    );
    let body = json!({"policy": policy("1", "1", "1"), "agentId": "ag_none", "days": 7});
    assert_eq!(
        house
            .send("POST", "/policy/dry-run", &owner.key, body)
            .await
            .0,
        404
    );
    assert_eq!(house.get("/agents", &owner.key).await, before);
}
