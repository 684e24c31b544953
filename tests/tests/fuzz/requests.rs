//! The readers of request bodies, through the extractor that the verifier uses: an answer to every body, no body read in
//! two ways, and nothing read that is not in its type.

use std::sync::LazyLock;

use axum::{Router, body::Body, extract::DefaultBodyLimit, http::Request, routing::post};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;
use x402_schemas::api::provider::{VerifyBatchRequest, VerifyRequest};
use x402_service::json::StrictJson;

use crate::mutation::{field_mutation, fields, mutation, object};

/// As much as the verifier's own route takes.
const BODY_BYTES: usize = 64 * 1_024;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
});

/// Answers with what it has read.
static ROUTES: LazyLock<Router> = LazyLock::new(|| {
    let single = |StrictJson(request): StrictJson<VerifyRequest>| async move {
        serde_json::to_string(&request).unwrap()
    };
    let batch = |StrictJson(batch): StrictJson<VerifyBatchRequest>| async move {
        serde_json::to_string(&batch).unwrap()
    };
    Router::new()
        .route("/verify", post(single))
        .route("/verify/batch", post(batch))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
});

fn request() -> Value {
    json!({
        "proof": "eyJhbGciOiJFZERTQSJ9.e30.AAAA", "invoiceId": "inv_1", "amount": "0.05",
        "payTo": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "network": "devnet",
        "resource": "GET https://api.example.com/report", "minConfirmations": 1, "claim": true, "attempt": "a",
    })
}

/// The status, and the body that was read.
fn send(path: &str, body: Vec<u8>) -> (u16, String) {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap();
    RUNTIME.block_on(async {
        let response = ROUTES.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX);
        (
            status,
            String::from_utf8(body.await.unwrap().to_vec()).unwrap(),
        )
    })
}

/// What has to hold of every body there is.
fn holds(path: &str, body: Vec<u8>) {
    let text = String::from_utf8_lossy(&body).into_owned();
    let (status, read) = send(path, body);
    if status != 200 {
        let problem: Value = serde_json::from_str(&read).unwrap();
        assert!(
            matches!(status, 400 | 413 | 415 | 422),
            "{status} to {text}"
        );
        assert!(problem["error"].is_string(), "{read} to {text}");
        return;
    }
    // What was read, written out and read again is the same, and a lax reader finds no more in the body.
    assert_eq!(
        send(path, read.clone().into_bytes()),
        (200, read.clone()),
        "{text}"
    );
    let lax: Value = serde_json::from_str(&text).unwrap();
    let strict: Value = serde_json::from_str(&read).unwrap();
    let has_more =
        |(name, value): (&String, &Value)| !value.is_null() && strict.get(name).is_none();
    let more = lax
        .as_object()
        .unwrap()
        .iter()
        .find(|field| has_more(*field));
    assert_eq!(more, None, "{text}");
}

proptest! {
    #[test]
    fn a_body_that_was_changed_is_read_or_refused(mutations in prop::collection::vec(mutation(), 1..4)) {
        let mut body = request().to_string().into_bytes();
        for mutation in &mutations {
            body = mutation.apply(body, br#"{"proof":1}"#);
        }
        holds("/verify", body);
    }

    #[test]
    fn a_field_that_was_changed_is_read_or_refused(mutation in field_mutation()) {
        holds("/verify", mutation.apply(&fields(&request())).into_bytes());
    }

    #[test]
    fn an_item_that_was_changed_is_read_or_refused(mutation in field_mutation(), before in 0..3_usize) {
        let mut items = vec![request().to_string(); before];
        items.push(mutation.apply(&fields(&request())));
        holds("/verify/batch", format!(r#"{{"items":[{}]}}"#, items.join(",")).into_bytes());
    }

    #[test]
    fn bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        holds("/verify", body);
    }

    #[test]
    fn a_field_that_comes_twice_is_refused(which in 0..9_usize) {
        let mut twice = fields(&request());
        let again = twice[which % twice.len()].clone();
        twice.push(again);
        prop_assert_eq!(send("/verify", object(&twice).into_bytes()).0, 400);
    }
}

#[test]
fn a_body_that_nobody_touched_is_read() {
    let (status, read) = send("/verify", request().to_string().into_bytes());
    assert_eq!(status, 200);
    // Networks are written as CAIP-2; everything else comes back as it was.
    let mut expected = request();
    expected["network"] = serde_json::from_str::<Value>(&read).unwrap()["network"].clone();
    assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), expected);
}
