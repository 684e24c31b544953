//! After the payment: the proof, where it goes and what is made of the answer.

use std::sync::{Arc, Mutex};

use serde_json::json;
use x402_agent::{
    FetchError, NotServed, PaidWith, Proof, ProofProblem, QuoteError, Step,
    reqwest::{Method, StatusCode},
};

use crate::stand_in::{
    KEY, Reply, StandIn, client, json_reply, order, paying, payment_required, payment_required_of,
    proof, proof_for, quoted, redirect, settled, text,
};

#[tokio::test]
async fn a_402_is_paid_and_the_request_sent_again_with_the_proof() {
    let (provider, gateway) = paying([text(200, "the report")]).await;
    let steps = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&steps);
    let client = client(&gateway).on_step(move |step| log.lock().unwrap().push(step));

    let fetched = client.fetch(order(&provider)).await.unwrap();
    let paid = fetched.payment.unwrap();
    assert_eq!(paid.payment_id, "pay_1");
    assert_eq!(paid.proof.claims().block_number, 9);
    let kept: Proof = paid.proof.as_str().parse().unwrap();
    assert_eq!(PaidWith::from(kept), paid);
    assert_eq!(fetched.response.text().await.unwrap(), "the report");

    let asked = provider.seen();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].header("x-402-proof"), Some(paid.proof.as_str()));
    assert!(
        asked
            .iter()
            .all(|asked| asked.body == "the order" && asked.line == "POST /report?private=1")
    );
    assert_eq!(gateway.lines(), ["POST /quote", "POST /pay"]);
    let quote: serde_json::Value = serde_json::from_str(&gateway.seen()[0].body).unwrap();
    assert_eq!(quote["providerUrl"], provider.url("/report").as_str());
    assert_eq!(quote["method"], "POST");
    assert_eq!(quote["amount"], "0.05");

    let steps = steps.lock().unwrap();
    assert!(matches!(
        steps.as_slice(),
        [
            Step::Requested {
                status: StatusCode::PAYMENT_REQUIRED,
                ..
            },
            Step::PaymentRequired { .. },
            Step::Quoted { .. },
            Step::Paid { .. },
            Step::Served {
                status: StatusCode::OK,
                ..
            },
        ]
    ));
}

#[tokio::test]
async fn the_key_goes_to_the_gateway_only_and_is_never_shown() {
    let (provider, gateway) = paying([text(503, "down")]).await;
    let client = client(&gateway);
    let error = client.fetch(order(&provider)).await.unwrap_err();
    for asked in provider.seen() {
        assert!(!format!("{asked:?}").contains(KEY));
        assert_eq!(asked.header("authorization"), None);
    }
    for asked in gateway.seen() {
        assert_eq!(
            asked.header("authorization"),
            Some(format!("Bearer {KEY}").as_str())
        );
    }
    let shown = format!("{client:?} {error:?}");
    assert!(!shown.contains(KEY));
    assert!(!shown.contains(error.paid().unwrap().proof.as_str()));
}

#[tokio::test]
async fn a_second_402_is_an_error_and_never_a_second_payment() {
    let provider =
        StandIn::answering([payment_required(), payment_required_of("0.05", "inv_2")]).await;
    let gateway = StandIn::answering([quoted(), settled(&proof_for(&provider))]).await;
    let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
    let FetchError::ProofRefused { paid, body } = error else {
        panic!("{error:?}")
    };
    assert_eq!(paid.invoice.id.as_str(), "inv_1");
    assert_eq!(body, r#"{"error":"PAYMENT_REQUIRED"}"#);
    assert_eq!(gateway.lines(), ["POST /quote", "POST /pay"]);
}

#[tokio::test]
async fn a_paid_request_that_is_not_served_keeps_its_proof_for_another_try() {
    for (trouble, status) in [(text(500, "oops"), Some(500)), (Reply::HangUp, None)] {
        let (provider, gateway) = paying([trouble, text(200, "the report")]).await;
        let client = client(&gateway);
        let error = client.fetch(order(&provider)).await.unwrap_err();
        let FetchError::NotServed { paid, source } = error else {
            panic!("{error:?}")
        };
        match (source, status) {
            (NotServed::Status { status, .. }, Some(expected)) => assert_eq!(status, expected),
            (NotServed::Connection(_), None) => (),
            (source, _) => panic!("{source:?}"),
        }
        let fetched = client.retry_with_proof(*paid, order(&provider)).await;
        assert_eq!(
            fetched.unwrap().response.text().await.unwrap(),
            "the report"
        );
        assert_eq!(gateway.lines(), ["POST /quote", "POST /pay"]);
    }
}

#[tokio::test]
async fn a_proof_that_cannot_be_verified_yet_is_sent_again() {
    let wait = json!({"error": "PAYMENT_PENDING", "message": "m", "retryAfterMs": 100});
    let away = json!({"error": "VERIFIER_UNAVAILABLE", "message": "m", "retryAfterMs": 100});
    let (provider, gateway) = paying([
        json_reply(503, &wait),
        json_reply(503, &away),
        text(200, "the report"),
    ])
    .await;
    let fetched = client(&gateway).fetch(order(&provider)).await.unwrap();
    assert_eq!(fetched.response.status(), 200);
    let proofs: Vec<_> = provider.seen()[1..]
        .iter()
        .map(|asked| asked.header("x-402-proof").unwrap().to_owned())
        .collect();
    assert_eq!(proofs, vec![proof_for(&provider); 3]);
    assert_eq!(gateway.lines(), ["POST /quote", "POST /pay"]);
}

#[tokio::test]
async fn a_proof_is_not_sent_again_past_the_deadline() {
    let wait = json!({"error": "PAYMENT_PENDING", "message": "m", "retryAfterMs": 9_000});
    let (provider, gateway) = paying([json_reply(503, &wait)]).await;
    let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
    assert!(matches!(error, FetchError::NotServed { .. }), "{error:?}");
    assert!(error.paid().is_some());
}

#[tokio::test]
async fn no_redirect_carries_the_key_or_the_proof_away() {
    let thief = StandIn::answering([text(200, "thanks"), text(200, "thanks")]).await;
    let provider = StandIn::answering([payment_required()]).await;
    let gateway = StandIn::answering([redirect(&thief.url)]).await;
    let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Quote(QuoteError::Gateway(_))),
        "{error:?}"
    );

    let (provider, gateway) = paying([redirect(&thief.url)]).await;
    let fetched = client(&gateway).fetch(order(&provider)).await.unwrap();
    assert_eq!(fetched.response.status(), 307);
    assert!(thief.seen().is_empty());
}

#[tokio::test]
async fn a_proof_of_something_else_is_not_sent_anywhere() {
    for other in [
        "nonsense".to_owned(),
        proof("GET http://127.0.0.1/other", "inv_1"),
    ] {
        let provider = StandIn::answering([payment_required()]).await;
        let gateway = StandIn::answering([quoted(), settled(&other)]).await;
        let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
        assert!(
            matches!(
                &error,
                FetchError::WrongProof { payment_id, source: ProofProblem::OtherInvoice | ProofProblem::Unreadable(_) }
                    if payment_id == "pay_1"
            ),
            "{error:?}"
        );
        assert_eq!(provider.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_proof_goes_only_to_what_was_paid_for() {
    let (provider, gateway) = paying([text(200, "the report")]).await;
    let client = client(&gateway);
    let paid = client
        .fetch(order(&provider))
        .await
        .unwrap()
        .payment
        .unwrap();
    let mut other_method = order(&provider);
    *other_method.method_mut() = Method::PUT;
    let mut other_path = order(&provider);
    *other_path.url_mut() = provider.url("/report/2");
    let other_host = order(&StandIn::answering([]).await);
    for request in [other_method, other_path, other_host] {
        let error = client
            .retry_with_proof(paid.clone(), request)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::OtherResource), "{error:?}");
    }
    assert_eq!(provider.seen().len(), 2);
    let mut carries = order(&provider);
    let value = paid.proof.as_str().parse().unwrap();
    carries.headers_mut().insert("x-402-proof", value);
    let error = client.fetch(carries).await.unwrap_err();
    assert!(matches!(error, FetchError::CarriesProof), "{error:?}");
}
