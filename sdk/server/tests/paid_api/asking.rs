//! Without a proof: what a 402 says, and what cannot be configured.

use std::time::Duration;

use axum::http::Method;
use x402_agent::PaymentRequired;
use x402_schemas::invoice::{InvoiceSignature, InvoiceSigner};
use x402_server::{Address, ConfigError, MNEE, Network, PaidApi, SecretString};

use crate::stand_in::{KEY, PRICE, PUBLIC_URL, Verifier, config, paid_api, request, send};

#[tokio::test]
async fn a_request_without_a_proof_is_told_the_price_in_headers_and_body() {
    let verifier = Verifier::scripted([]).await;
    let api = paid_api(&verifier).await;
    let answer = send(&api, request("GET /report?q=private", None)).await;
    assert_eq!(answer.code(), (402, "PAYMENT_REQUIRED".into()));
    let pay_to = Address::repeat_byte(1).to_checksum(None);
    for (name, value) in [
        ("x-402-amount", "0.05"),
        ("x-402-pay-to", &pay_to),
        ("x-402-network", "devnet"),
        ("x-402-description", "A report"),
        ("x-402-currency", "MNEE"),
        ("cache-control", "no-store"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let body = answer.json();
    assert_eq!(body["invoiceId"], answer.header("x-402-invoice-id"));
    assert_eq!(body["amount"], "0.05");
    assert_eq!(body["payTo"], pay_to.as_str());
    assert_eq!(body["network"], "devnet");
    assert_eq!(body["description"], "A report");
    assert_eq!(body["resource"], "GET https://api.example.com/report");
    assert!(body["message"].as_str().unwrap().contains("X-402-Proof"));
    assert!(body["expiresAt"].is_string());
    assert!(verifier.asked().is_empty());
}

#[tokio::test]
async fn the_agents_client_reads_what_the_layer_writes() {
    let api = paid_api(&Verifier::scripted([]).await).await;
    let answer = send(&api, request("POST /report?q=private", None)).await;
    let url = format!("{PUBLIC_URL}/report?q=private").parse().unwrap();
    let required = PaymentRequired::read(&Method::POST, &url, &answer.headers).unwrap();
    let body = answer.json();
    assert_eq!(body["invoiceId"], required.invoice.id.as_str());
    assert_eq!(body["resource"], required.invoice.resource.as_str());
    assert_eq!(required.invoice.amount, PRICE.parse().unwrap());
    assert_eq!(required.invoice.pay_to, Address::repeat_byte(1));
    assert_eq!(required.network, Network::DEVNET);
    assert_eq!(required.description.as_deref(), Some("A report"));
    // Signed with what the gateway can check, over what the headers say.
    let signature: InvoiceSignature = required.signature.unwrap().parse().unwrap();
    let hash = required.invoice.hash(required.network, MNEE);
    let key = InvoiceSigner::of_api_key(KEY).unwrap().public_key();
    assert_eq!(signature.key_id(), "0011223344556677");
    assert!(signature.is_of(key, hash));
}

#[tokio::test]
async fn what_does_not_exist_is_not_sold() {
    let api = paid_api(&Verifier::scripted([]).await).await;
    for (line, status) in [("GET /nothing", 404), ("DELETE /report", 405)] {
        assert_eq!(send(&api, request(line, None)).await.status, status);
    }
}

#[tokio::test]
async fn each_request_gets_an_invoice_of_its_own() {
    let api = paid_api(&Verifier::scripted([]).await).await;
    let one = send(&api, request("GET /report", None)).await;
    let other = send(&api, request("GET /report", None)).await;
    assert_ne!(
        one.header("x-402-invoice-id"),
        other.header("x-402-invoice-id")
    );
    assert!(one.header("x-402-invoice-id").len() <= 128);
}

#[tokio::test]
async fn a_path_in_another_spelling_is_a_bad_request() {
    let api = PaidApi::new(config(&Verifier::scripted([]).await)).unwrap();
    let layer = api.layer("1".parse().unwrap(), "all").unwrap();
    let everything = axum::Router::new().fallback(|| async {}).layer(layer);
    for path in ["/a/../b", "/a/%2e%2e/b"] {
        let answer = send(&everything, request(&format!("GET {path}"), None)).await;
        assert_eq!(answer.code(), (400, "INVALID_REQUEST".into()), "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_served_cannot_be_configured() {
    let verifier = Verifier::scripted([]).await;
    let with = |change: &dyn Fn(&mut x402_server::ServerConfig)| {
        let mut config = config(&verifier);
        change(&mut config);
        PaidApi::new(config).unwrap_err()
    };
    assert!(matches!(
        with(&|config| config.verifier_url = "http://verifier.example.com".parse().unwrap()),
        ConfigError::VerifierUrl(_)
    ));
    assert!(matches!(
        with(&|config| config.api_key = SecretString::from("a\nb")),
        ConfigError::ApiKey
    ));
    assert!(matches!(
        with(&|config| config.pay_to = Address::ZERO),
        ConfigError::PayTo
    ));
    for url in ["ftp://x.io", "https://x.io?a", "https://u@x.io", "data:x"] {
        assert!(matches!(
            with(&|config| config.public_url = url.parse().unwrap()),
            ConfigError::PublicUrl
        ));
    }
    for ttl in [Duration::ZERO, Duration::from_secs(86_401)] {
        assert!(matches!(
            with(&|config| config.invoice_ttl = ttl),
            ConfigError::InvoiceTtl
        ));
    }
    let api = PaidApi::new(config(&verifier)).unwrap();
    let price = "1".parse().unwrap();
    assert!(matches!(
        api.layer("0".parse().unwrap(), "free"),
        Err(ConfigError::Price)
    ));
    for description in ["", "a\r\nb", "é", &"a".repeat(201)] {
        assert!(matches!(
            api.layer(price, description),
            Err(ConfigError::Description)
        ));
    }
}

#[tokio::test]
async fn no_secret_shows_in_debug_output() {
    let verifier = Verifier::scripted([]).await;
    let api = PaidApi::new(config(&verifier)).unwrap();
    let layer = api.layer("1".parse().unwrap(), "x").unwrap();
    let shown = format!("{api:?} {layer:?} {:?}", config(&verifier));
    assert!(!shown.contains("secret"), "{shown}");
}
