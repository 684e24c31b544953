//! With a proof: who is served, who is refused, and what the verifier is asked.

use serde_json::json;
use x402_server::{Refusal, SecretString};

use crate::stand_in::{
    KEY, PRICE, Reply, Statuses, Verifier, bought, config, paid_api, proof, request, router, send,
};

#[tokio::test]
async fn a_verified_payment_reaches_the_handler() {
    let verifier = Verifier::scripted([]).await;
    let api = paid_api(&verifier).await;
    let proof = bought(&api, "POST /report").await;
    let answer = send(&api, request("POST /report?q=1", Some(&proof))).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "served to pay_1")
    );
    assert_eq!(answer.header("cache-control"), "private");

    let asked = verifier.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].proof, proof);
    assert_eq!(asked[0].amount, Some(PRICE.parse().unwrap()));
    assert_eq!(asked[0].claim, Some(true));
    assert_eq!(asked[0].min_confirmations, Some(1));
    assert_eq!(
        asked[0].resource.as_ref().unwrap().as_str(),
        "POST https://api.example.com/report"
    );
    let (headers, _) = &verifier.asked.lock().unwrap()[0];
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
}

#[tokio::test]
async fn a_proof_serves_once() {
    let verifier = Verifier::scripted([]).await;
    let api = paid_api(&verifier).await;
    let proof = bought(&api, "GET /report").await;
    assert_eq!(
        send(&api, request("GET /report", Some(&proof)))
            .await
            .status,
        200
    );
    let again = send(&api, request("GET /report", Some(&proof))).await;
    assert_eq!(again.code(), (402, "ALREADY_CLAIMED".into()));
}

#[tokio::test]
async fn another_instance_redeems_what_this_one_issued() {
    let verifier = Verifier::scripted([]).await;
    let proof = bought(&paid_api(&verifier).await, "GET /report").await;
    let restarted = paid_api(&verifier).await;
    let answer = send(&restarted, request("GET /report", Some(&proof))).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_rotated_key_ends_open_invoices_unless_it_is_kept_as_the_previous() {
    let verifier = Verifier::scripted([]).await;
    let proof = bought(&paid_api(&verifier).await, "GET /report").await;
    let mut rotated = config(&verifier);
    rotated.api_key = SecretString::from("x402_provider_8899aabbccddeeff_other");
    let forgotten = router(rotated.clone(), &Statuses::default());
    let answer = send(&forgotten, request("GET /report", Some(&proof))).await;
    assert_eq!(answer.code(), (402, "INVOICE_MISMATCH".into()));
    rotated.previous_api_key = Some(SecretString::from(KEY));
    let kept = router(rotated, &Statuses::default());
    let answer = send(&kept, request("GET /report", Some(&proof))).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_proof_of_another_request_is_refused_before_the_verifier_is_asked() {
    let verifier = Verifier::scripted([]).await;
    let api = paid_api(&verifier).await;
    let paid = bought(&api, "GET /report").await;
    for line in ["POST /report", "GET /other", "GET /dear"] {
        let answer = send(&api, request(line, Some(&paid))).await;
        assert_eq!(answer.code(), (402, "INVOICE_MISMATCH".into()), "{line}");
        assert!(answer.headers.contains_key("x-402-invoice-id"));
    }
    let foreign = proof("inv_of_somebody_else", "GET /report");
    let answer = send(&api, request("GET /report", Some(&foreign))).await;
    assert_eq!(answer.code(), (402, "INVOICE_MISMATCH".into()));
    assert!(verifier.asked().is_empty());
}

#[tokio::test]
async fn what_is_no_proof_is_refused_before_the_verifier_is_asked() {
    let verifier = Verifier::scripted([]).await;
    let api = paid_api(&verifier).await;
    for text in ["", "x", "a.b.c", &"a".repeat(8_193)] {
        let answer = send(&api, request("GET /report", Some(text))).await;
        assert_eq!(answer.code(), (402, "INVALID_PROOF".into()), "{text:.20}");
    }
    let proof = bought(&api, "GET /report").await;
    let mut twice = request("GET /report", Some(&proof));
    let value = proof.parse().unwrap();
    twice.headers_mut().append("x-402-proof", value);
    let answer = send(&api, twice).await;
    assert_eq!(answer.code(), (402, "INVALID_PROOF".into()));
    assert!(verifier.asked().is_empty());
}

#[tokio::test]
async fn each_refusal_comes_back_with_its_code_and_a_new_invoice() {
    for refusal in Refusal::ALL {
        if *refusal == Refusal::PaymentPending {
            continue;
        }
        let verifier = Verifier::scripted([Reply::Refused(refusal.as_str(), None)]).await;
        let api = paid_api(&verifier).await;
        let proof = bought(&api, "GET /report").await;
        let answer = send(&api, request("GET /report", Some(&proof))).await;
        assert_eq!(answer.code(), (402, refusal.to_string()));
        assert!(!proof.contains(answer.header("x-402-invoice-id")));
    }
}

#[tokio::test]
async fn a_pending_payment_is_never_asked_to_be_paid_again() {
    let verifier = Verifier::scripted([
        Reply::Refused("PAYMENT_PENDING", Some(2_500)),
        Reply::Refused("PAYMENT_PENDING", None),
    ])
    .await;
    let api = paid_api(&verifier).await;
    let proof = bought(&api, "GET /report").await;
    for (retry_after_ms, retry_after) in [(2_500, "3"), (1_000, "1")] {
        let answer = send(&api, request("GET /report", Some(&proof))).await;
        assert_eq!(answer.code(), (503, "PAYMENT_PENDING".into()));
        assert_eq!(answer.json()["retryAfterMs"], retry_after_ms);
        assert_eq!(answer.header("retry-after"), retry_after);
        assert!(!answer.headers.contains_key("x-402-invoice-id"));
    }
    assert_eq!(
        send(&api, request("GET /report", Some(&proof)))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn an_answer_that_contradicts_the_question_serves_nobody() {
    for (field, value) in [
        ("verified", json!(false)),
        ("invoiceId", json!("inv_other")),
        ("amount", json!("0.049999999999999999")),
        ("payTo", json!("0x0000000000000000000000000000000000000000")),
        ("resource", json!("GET https://api.example.com/other")),
        ("confirmations", json!(0)),
        ("claimedAt", json!(null)),
    ] {
        let verifier = Verifier::scripted([Reply::Changed(field, value)]).await;
        let api = paid_api(&verifier).await;
        let proof = bought(&api, "GET /report").await;
        let answer = send(&api, request("GET /report", Some(&proof))).await;
        assert_eq!(
            answer.code(),
            (503, "VERIFIER_UNAVAILABLE".into()),
            "{field}"
        );
        assert!(!answer.headers.contains_key("x-402-invoice-id"));
    }
}
