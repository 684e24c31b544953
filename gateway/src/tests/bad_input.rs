use super::*;

#[tokio::test]
async fn a_quote_with_a_bad_field_is_refused_and_nothing_is_stored() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let change = |field: &str, value: Value| {
        let mut body = quote_of("inv_1", "0.05");
        body[field] = value;
        body.to_string()
    };
    let mut bodies: Vec<String> = [
        "",
        "_",
        "1e18",
        "0x10",
        "-1",
        "0",
        "0.0",
        "0.0000000000000000001",
    ]
    .into_iter()
    .map(|amount| change("amount", json!(amount)))
    .collect();
    bodies.extend([
        change("amount", json!(0.05)),
        change("payTo", json!(PAYEE.replace("dc79", "DC79"))),
        change("payTo", json!("0x0000000000000000000000000000000000000000")),
        change("payTo", json!("")),
        change("network", json!("devne")),
        change("invoiceId", json!("")),
        change("invoiceId", json!("a".repeat(129))),
        change("providerUrl", json!("file:///etc/passwd")),
        change("providerUrl", json!("not a url")),
        change("method", json!("get")),
        change("description", json!("x".repeat(1_001))),
        change("more", json!(1)),
        change("amount", Value::Null),
        String::new(),
        "[]".to_owned(),
        "{".to_owned(),
        "null".to_owned(),
    ]);
    for body in bodies {
        let (status, answer) = house
            .send_raw("POST", "/quote", &agent.key, body.clone().into_bytes())
            .await;
        assert_eq!(
            (status, text(&answer, "error").as_str()),
            (400, "INVALID_REQUEST"),
            "{body}"
        );
    }
    let huge = vec![b' '; 10_000_000];
    let (status, answer) = house.send_raw("POST", "/quote", &agent.key, huge).await;
    assert_eq!(
        (status, text(&answer, "error").as_str()),
        (413, "PAYLOAD_TOO_LARGE")
    );
    let mut conn = house.gateway.ledger.read().await.unwrap();
    let quotes: i64 = sqlx::query_scalar("SELECT count(*) FROM quotes")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(quotes, 0);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn other_bad_input_gets_a_4xx_with_a_code() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let zero = "0x0000000000000000000000000000000000000000";
    let many = vec![PAYEE; 21];
    let with = |field: &str, value: Value| {
        let mut policy = policy("1", "1", "1");
        policy[field] = value;
        policy
    };
    let cases = [
        (
            "POST",
            "/workspaces",
            OPERATOR,
            json!({"name": "", "monthlyBudget": "1"}),
        ),
        (
            "POST",
            "/workspaces",
            OPERATOR,
            json!({"name": "a\u{0}b", "monthlyBudget": "1"}),
        ),
        (
            "POST",
            "/workspaces",
            OPERATOR,
            json!({"name": "x".repeat(101), "monthlyBudget": "1"}),
        ),
        (
            "POST",
            "/workspaces",
            OPERATOR,
            json!({"name": "x", "monthlyBudget": "-1"}),
        ),
        (
            "PUT",
            "/workspace/budget",
            &owner.key,
            json!({"monthlyBudget": "1e3"}),
        ),
        ("POST", "/agents", &owner.key, json!({"name": " "})),
        (
            "POST",
            "/agents",
            &owner.key,
            json!({"name": "x", "policy": {"daily": "1"}}),
        ),
        (
            "POST",
            "/agents",
            &owner.key,
            json!({"name": "x", "role": "admin"}),
        ),
        (
            "POST",
            "/providers",
            &owner.key,
            json!({"name": "x", "payees": []}),
        ),
        (
            "POST",
            "/providers",
            &owner.key,
            json!({"name": "x", "payees": [zero]}),
        ),
        (
            "POST",
            "/providers",
            &owner.key,
            json!({"name": "x", "payees": [PAYEE, PAYEE]}),
        ),
        (
            "POST",
            "/providers",
            &owner.key,
            json!({"name": "x", "payees": many}),
        ),
        (
            "POST",
            "/pay",
            &agent.key,
            json!({"quoteId": "qt_1", "waitMs": 60_001}),
        ),
        (
            "POST",
            "/pay",
            &agent.key,
            json!({"quoteId": "qt_1", "waitMs": -1}),
        ),
        ("POST", "/pay", &agent.key, json!({"quoteId": 1})),
        ("PUT", "/workspace/policy", &owner.key, json!({})),
        (
            "PUT",
            "/workspace/policy",
            &owner.key,
            json!({"policy": with("rolling", json!([{"hours": 0, "limit": "1"}]))}),
        ),
        (
            "POST",
            "/agents",
            &owner.key,
            json!({"name": "x", "policy": with("allowedHosts", json!(["https://a.com"]))}),
        ),
        (
            "POST",
            "/agents",
            &owner.key,
            json!({"name": "x", "policy": with("activeHours", json!({"from": "08:00", "to": "08:00"}))}),
        ),
        (
            "POST",
            "/agents",
            &owner.key,
            json!({"name": "x", "policy": with("paymentsPerMinute", json!(0))}),
        ),
        (
            "POST",
            "/policy/dry-run",
            &owner.key,
            json!({"policy": policy("1", "1", "1"), "days": 91}),
        ),
        (
            "POST",
            "/policy/dry-run",
            &owner.key,
            json!({"policy": policy("1", "1", "1"), "days": 0}),
        ),
        (
            "POST",
            "/payments/pay_1/reject",
            &owner.key,
            json!({"reason": "x".repeat(501)}),
        ),
        (
            "POST",
            "/treasury/relay",
            &owner.key,
            json!({"rawTransaction": "0xzz"}),
        ),
        ("GET", "/payments?limit=0", &owner.key, Value::Null),
        ("GET", "/payments?limit=201", &owner.key, Value::Null),
        ("GET", "/payments?limit=x", &owner.key, Value::Null),
        ("GET", "/payments?offset=1", &owner.key, Value::Null),
    ];
    for (method, path, key, body) in cases {
        let (status, answer) = house.send(method, path, key, body.clone()).await;
        assert_eq!(
            (status, text(&answer, "error").as_str()),
            (400, "INVALID_REQUEST"),
            "{method} {path} {body}"
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_not_there() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (status, answer) = house
        .send(
            "POST",
            "/treasury",
            &owner.key,
            json!({"address": PAYEE, "signature": "0x00"}),
        )
        .await;
    assert_eq!(
        (status, text(&answer, "error").as_str()),
        (400, "INVALID_SIGNATURE")
    );
    assert_eq!(
        house
            .send("GET", "/treasury", &owner.key, Value::Null)
            .await
            .0,
        404
    );
    assert_eq!(
        house
            .send("DELETE", "/agents", &owner.key, Value::Null)
            .await
            .0,
        405
    );
    assert_eq!(
        house
            .send("GET", "/nothing", &owner.key, Value::Null)
            .await
            .0,
        404
    );
    assert_eq!(
        house.send("POST", "/verify", &owner.key, json!({})).await.0,
        404
    );
}
