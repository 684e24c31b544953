use x402_schemas::{
    invoice::{Invoice, InvoiceSigner, Resource},
    network::Network,
};

use super::*;

const HOST: &str = "api.example.com";
const SECOND_PAYEE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const STRANGER: &str = "0x90F79bf6EB2c4f870365E785982E1f101E93b906";

/// A provider of a host, its id and its key.
async fn seller(
    house: &House,
    owner: &Tenant,
    hosts: &[&str],
    payees: &[&str],
) -> (String, String) {
    let body = json!({"name": "seller", "payees": payees, "hosts": hosts});
    let (status, body) = house.send("POST", "/providers", &owner.key, body).await;
    assert_eq!(status, 201, "{body}");
    (text(&body, "providerId"), text(&body, "apiKey"))
}

/// Pays registered hosts only.
fn careful() -> Value {
    let mut policy = policy("1", "100", "100");
    policy.as_object_mut().unwrap().remove("allowUnregistered");
    policy
}

fn with(changes: &Value) -> Value {
    let mut body = quote_of("inv_1", "0.05");
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

async fn denial(house: &House, agent: &AgentKey, body: Value) -> Option<String> {
    let (status, answer) = house.send("POST", "/quote", &agent.key, body).await;
    match status {
        200 => None,
        403 => Some(text(&answer, "reason")),
        _ => panic!("{status} {answer}"),
    }
}

/// The signature of a provider over the invoice of `quote_of("inv_1", "0.05")`.
fn signature(api_key: &str) -> String {
    let invoice = Invoice {
        id: "inv_1".parse().unwrap(),
        pay_to: PAYEE.parse().unwrap(),
        amount: "0.05".parse().unwrap(),
        resource: format!("GET https://{HOST}/report")
            .parse::<Resource>()
            .unwrap(),
    };
    let hash = invoice.hash(Network::DEVNET, TOKEN);
    InvoiceSigner::of_api_key(api_key)
        .unwrap()
        .sign(hash)
        .to_string()
}

#[tokio::test]
async fn a_registered_host_is_paid_at_its_providers_payees_only() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let open = house.agent(&owner, policy("1", "100", "100")).await;
    let strict = house.agent(&owner, careful()).await;
    let refused = Some("RECIPIENT_NOT_REGISTERED".to_owned());
    let quote = || with(&json!({}));
    // Nobody has registered the host yet.
    assert_eq!(denial(&house, &strict, quote()).await, refused);
    assert_eq!(denial(&house, &open, quote()).await, None);
    // The workspace's policy has a say, too.
    let mut both = careful();
    let set = async |policy: &Value| {
        let body = json!({ "policy": policy });
        let (status, _) = house
            .send("PUT", "/workspace/policy", &owner.key, body)
            .await;
        assert_eq!(status, 200);
    };
    set(&both).await;
    assert_eq!(denial(&house, &open, quote()).await, refused);
    both["allowUnregistered"] = json!(true);
    set(&both).await;
    assert_eq!(denial(&house, &open, quote()).await, None);

    let (provider_id, _) = seller(&house, &owner, &[HOST], &[PAYEE, SECOND_PAYEE]).await;
    // Of another provider, though of the same workspace.
    seller(&house, &owner, &["other.example.com"], &[STRANGER]).await;
    for agent in [&strict, &open] {
        assert_eq!(denial(&house, agent, quote()).await, None);
        let second = with(&json!({"payTo": SECOND_PAYEE}));
        assert_eq!(denial(&house, agent, second).await, None);
        for url in [
            "https://api.example.com/report",
            "http://api.example.com.:8080/x",
        ] {
            let altered = with(&json!({"payTo": STRANGER, "providerUrl": url}));
            assert_eq!(denial(&house, agent, altered).await, refused, "{url}");
        }
    }
    let (status, _) = house
        .send(
            "POST",
            &format!("/providers/{provider_id}/revoke"),
            &owner.key,
            Value::Null,
        )
        .await;
    assert_eq!(status, 200);
    assert_eq!(denial(&house, &strict, quote()).await, refused);
    assert_eq!(denial(&house, &open, quote()).await, None);
}

#[tokio::test]
async fn a_host_belongs_to_one_provider_at_a_time_and_to_the_first_that_asks() {
    let house = House::new().await;
    let (owner, other) = (house.workspace("1").await, house.workspace("1").await);
    let (first, _) = seller(&house, &owner, &["*.example.com", "b.io:8443"], &[PAYEE]).await;
    for (host, taken) in [
        ("api.example.com", true),
        ("*.api.example.com", true),
        ("api.example.com:443", true),
        ("*.example.com", true),
        ("b.io", true),
        ("*.io", true),
        ("b.io:443", false),
        ("example.com", false),
        ("a.io", false),
    ] {
        let body = json!({"name": "late", "payees": [SECOND_PAYEE], "hosts": [host]});
        let (status, answer) = house.send("POST", "/providers", &other.key, body).await;
        let outcome = (status, answer["error"].as_str());
        match (host, taken) {
            // A whole top-level domain is nobody's.
            ("*.io", _) => assert_eq!(outcome, (400, Some("INVALID_REQUEST"))),
            (_, true) => assert_eq!(outcome, (409, Some("HOST_TAKEN")), "{host}"),
            (_, false) => {
                assert_eq!(status, 201, "{host}: {answer}");
                let path = format!("/providers/{}/revoke", text(&answer, "providerId"));
                house.send("POST", &path, &other.key, Value::Null).await;
            }
        }
    }
    // What refused left nothing behind, and what is revoked is free.
    let path = format!("/providers/{first}/revoke");
    house.send("POST", &path, &owner.key, Value::Null).await;
    seller(&house, &other, &["api.example.com"], &[SECOND_PAYEE]).await;
    let listed = house.get("/providers", &owner.key).await;
    assert_eq!(listed[0]["hosts"], json!(["*.example.com", "b.io:8443"]));
}

#[tokio::test]
async fn a_registration_is_replaced_as_a_whole() {
    let house = House::new().await;
    let (owner, other) = (house.workspace("100").await, house.workspace("1").await);
    let agent = house.agent(&owner, careful()).await;
    let (id, _) = seller(&house, &owner, &[HOST], &[PAYEE]).await;
    let path = format!("/providers/{id}/registration");
    let set = async |payees: &[&str], hosts: &[&str]| {
        let body = json!({"payees": payees, "hosts": hosts});
        house.send("PUT", &path, &owner.key, body).await
    };
    let elsewhere =
        with(&json!({"payTo": SECOND_PAYEE, "providerUrl": "https://new.example.com/report"}));
    let refused = Some("RECIPIENT_NOT_REGISTERED".to_owned());

    assert_eq!(set(&[SECOND_PAYEE], &["new.example.com"]).await.0, 200);
    assert_eq!(denial(&house, &agent, with(&json!({}))).await, refused);
    assert_eq!(denial(&house, &agent, elsewhere.clone()).await, None);
    let listed = async || house.get("/providers", &owner.key).await[0].clone();
    let now = (json!([SECOND_PAYEE]), json!(["new.example.com"]));
    assert_eq!(
        (&listed().await["payees"], &listed().await["hosts"]),
        (&now.0, &now.1)
    );

    // The host is free for anybody, the address for this workspace only.
    seller(&house, &other, &[HOST], &[STRANGER]).await;
    let body = json!({"name": "late", "payees": [PAYEE], "hosts": []});
    let (status, _) = house.send("POST", "/providers", &other.key, body).await;
    assert_eq!(status, 409);
    for (payees, hosts, code) in [
        (&[PAYEE][..], &[HOST][..], "HOST_TAKEN"),
        (&[STRANGER], &[], "PAYEE_TAKEN"),
        (&[], &[], "INVALID_REQUEST"),
    ] {
        let (_, answer) = set(payees, hosts).await;
        assert_eq!(answer["error"], code);
    }
    assert_eq!(
        listed().await["payees"],
        now.0,
        "what is refused changes nothing"
    );
    assert_eq!(denial(&house, &agent, elsewhere).await, None);

    assert_eq!(
        set(&[PAYEE, SECOND_PAYEE], &["other.example.com"]).await.0,
        200
    );
    let back = with(&json!({"providerUrl": "https://other.example.com/report"}));
    assert_eq!(denial(&house, &agent, back).await, None);
}

#[tokio::test]
async fn what_is_altered_after_it_was_signed_is_refused() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, careful()).await;
    let (_, key) = seller(&house, &owner, &[HOST], &[PAYEE, SECOND_PAYEE]).await;
    let (_, others) = seller(&house, &owner, &["other.example.com"], &[STRANGER]).await;
    let signed = |changes: Value| {
        let mut body = with(&json!({"signature": signature(&key)}));
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    assert_eq!(denial(&house, &agent, signed(json!({}))).await, None);
    assert_eq!(
        denial(&house, &agent, with(&json!({}))).await,
        None,
        "unsigned is fine"
    );
    let wrong = Some("INVOICE_SIGNATURE_INVALID".to_owned());
    for altered in [
        json!({"amount": "0.050000000000000001"}),
        json!({"payTo": SECOND_PAYEE}),
        json!({"providerUrl": "https://api.example.com/report2"}),
        json!({"providerUrl": "http://api.example.com/report"}),
        json!({"method": "POST"}),
        json!({"network": "mainnet"}),
        json!({"invoiceId": "inv_2"}),
        json!({"signature": signature(&others)}),
        json!({"signature": "0011223344556677.AAAA"}),
        json!({"signature": ""}),
    ] {
        let denied = denial(&house, &agent, signed(altered.clone())).await;
        assert_eq!(denied, wrong, "{altered}");
    }
    let (status, _) = house
        .send(
            "POST",
            "/quote",
            &agent.key,
            with(&json!({"signature": "x".repeat(257)})),
        )
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_policy_may_pay_signed_invoices_only() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let mut strict = careful();
    strict["requireSignedInvoices"] = json!(true);
    let agent = house.agent(&owner, strict.clone()).await;
    let (id, key) = seller(&house, &owner, &[HOST], &[PAYEE]).await;
    let unsigned = Some("INVOICE_NOT_SIGNED".to_owned());
    assert_eq!(denial(&house, &agent, with(&json!({}))).await, unsigned);
    let signed = with(&json!({"signature": signature(&key)}));
    let (status, quote) = house
        .send("POST", "/quote", &agent.key, signed.clone())
        .await;
    assert_eq!(status, 200, "{quote}");
    // A dry run knows of the signatures of then.
    let draft = json!({"agentId": agent.id, "policy": strict, "days": 1});
    let (_, report) = house
        .send("POST", "/policy/dry-run", &owner.key, draft)
        .await;
    assert_eq!(report["denials"][0]["reason"], "INVOICE_NOT_SIGNED");
    // The signature still counts when the quote is paid, and a key that has ended signs no more.
    let pay = json!({"quoteId": text(&quote, "quoteId"), "waitMs": 0});
    let path = format!("/providers/{id}/rotate");
    let (status, rotated) = house.send("POST", &path, &owner.key, Value::Null).await;
    assert_eq!(status, 200);
    let wrong = Some("INVOICE_SIGNATURE_INVALID".to_owned());
    let again = with(&json!({"signature": signature(&key), "invoiceId": "inv_1"}));
    assert_eq!(denial(&house, &agent, again).await, wrong);
    let renewed = with(&json!({"signature": signature(&text(&rotated, "apiKey"))}));
    assert_eq!(denial(&house, &agent, renewed).await, None);
    let (status, paid) = house.send("POST", "/pay", &agent.key, pay).await;
    assert_ne!(
        (status, paid["error"].as_str()),
        (403, wrong.as_deref()),
        "{paid}"
    );
    assert_ne!(
        (status, paid["error"].as_str()),
        (403, unsigned.as_deref()),
        "{paid}"
    );
}

#[tokio::test]
async fn a_provider_that_ends_between_quote_and_payment_is_not_paid() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, careful()).await;
    let (id, _) = seller(&house, &owner, &[HOST], &[PAYEE]).await;
    let (_, quote) = house.quote(&agent.key, "inv_1", "0.05").await;
    let path = format!("/providers/{id}/revoke");
    house.send("POST", &path, &owner.key, Value::Null).await;
    let pay = json!({"quoteId": text(&quote, "quoteId"), "waitMs": 0});
    let (status, paid) = house.send("POST", "/pay", &agent.key, pay).await;
    assert_eq!(
        (status, paid["error"].as_str()),
        (403, Some("RECIPIENT_NOT_REGISTERED")),
        "{paid}"
    );
}
