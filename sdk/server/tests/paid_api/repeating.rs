//! When something breaks in the middle: nothing is lost and nothing is served twice.

use std::time::Duration;

use axum::Router;

use crate::stand_in::{Reply, Statuses, Verifier, bought, config, paid_api, request, router, send};

async fn failing(statuses: &[u16]) -> (Verifier, Router) {
    let verifier = Verifier::scripted([]).await;
    let script = Statuses::default();
    script.lock().unwrap().extend(statuses);
    let api = router(config(&verifier), &script);
    (verifier, api)
}

#[tokio::test]
async fn a_verifier_that_is_away_is_asked_again_about_the_same_attempt() {
    for away in [
        Reply::Raw(500, String::new()),
        Reply::Raw(429, String::new()),
        Reply::Silence,
        Reply::LostAfterClaim,
    ] {
        let verifier = Verifier::scripted([away]).await;
        let api = paid_api(&verifier).await;
        let proof = bought(&api, "GET /report").await;
        assert_eq!(
            send(&api, request("GET /report", Some(&proof)))
                .await
                .status,
            200
        );
        let attempts = verifier.attempts();
        assert_eq!(attempts.len(), 2);
        assert_eq!(attempts[0], attempts[1]);
    }
}

#[tokio::test]
async fn a_verifier_that_stays_away_makes_the_buyer_wait_and_not_pay() {
    let away = (0..3).map(|_| Reply::LostAfterClaim);
    let verifier = Verifier::scripted(away).await;
    let api = paid_api(&verifier).await;
    let proof = bought(&api, "GET /report").await;
    let answer = send(&api, request("GET /report", Some(&proof))).await;
    assert_eq!(answer.code(), (503, "VERIFIER_UNAVAILABLE".into()));
    assert_eq!(answer.header("retry-after"), "2");
    assert!(!answer.headers.contains_key("x-402-invoice-id"));
    // The claim was made by an attempt whose answers were all lost; the next request is that attempt.
    assert_eq!(
        send(&api, request("GET /report", Some(&proof)))
            .await
            .status,
        200
    );
    let attempts = verifier.attempts();
    assert_eq!(attempts, vec![attempts[0].clone(); 4]);
}

#[tokio::test]
async fn an_answer_that_no_verifier_gives_is_not_believed_and_not_asked_for_again() {
    for (status, body) in [
        (200, "true"),
        (200, "{}"),
        (200, r#"{"verified":true}"#),
        (204, ""),
        (301, ""),
        (400, ""),
        (401, ""),
        (403, ""),
        (404, ""),
    ] {
        let verifier = Verifier::scripted([Reply::Raw(status, body.to_owned())]).await;
        let api = paid_api(&verifier).await;
        let proof = bought(&api, "GET /report").await;
        let answer = send(&api, request("GET /report", Some(&proof))).await;
        assert_eq!(
            answer.code(),
            (503, "VERIFIER_UNAVAILABLE".into()),
            "{status} {body}"
        );
        assert_eq!(verifier.asked().len(), 1);
    }
    let endless = " ".repeat(20_000);
    let verifier = Verifier::scripted([Reply::Raw(200, endless)]).await;
    let api = paid_api(&verifier).await;
    let proof = bought(&api, "GET /report").await;
    let answer = send(&api, request("GET /report", Some(&proof))).await;
    assert_eq!(answer.status, 503);
}

#[tokio::test]
async fn a_handler_that_fails_leaves_the_payment_usable() {
    let (verifier, api) = failing(&[500, 503]).await;
    let proof = bought(&api, "GET /report").await;
    for expected in [500, 503, 200] {
        let answer = send(&api, request("GET /report", Some(&proof))).await;
        assert_eq!(answer.status, expected);
    }
    let attempts = verifier.attempts();
    assert_eq!(attempts, vec![attempts[0].clone(); 3]);
    // Served at last, and so used up.
    let answer = send(&api, request("GET /report", Some(&proof))).await;
    assert_eq!(answer.code(), (402, "ALREADY_CLAIMED".into()));
}

#[tokio::test]
async fn a_handler_that_refuses_has_answered() {
    let (_, api) = failing(&[404]).await;
    let proof = bought(&api, "GET /report").await;
    assert_eq!(
        send(&api, request("GET /report", Some(&proof)))
            .await
            .status,
        404
    );
    let answer = send(&api, request("GET /report", Some(&proof))).await;
    assert_eq!(answer.code(), (402, "ALREADY_CLAIMED".into()));
}

#[tokio::test]
async fn a_handler_that_panics_or_is_cut_off_leaves_the_payment_usable() {
    let (_, api) = failing(&[0, 1]).await;
    let proof = bought(&api, "GET /report").await;
    let (panicking, with_proof) = (api.clone(), request("GET /report", Some(&proof)));
    let panicked = tokio::spawn(async move { send(&panicking, with_proof).await }).await;
    assert!(panicked.is_err());
    // The buyer hangs up while the handler is at work.
    let cut_off = send(&api, request("GET /report", Some(&proof)));
    let cut_off = tokio::time::timeout(Duration::from_millis(200), cut_off).await;
    assert!(cut_off.is_err());
    assert_eq!(
        send(&api, request("GET /report", Some(&proof)))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn of_requests_at_once_with_one_proof_one_is_served() {
    let (_, api) = failing(&[500]).await;
    let proof = bought(&api, "GET /report").await;
    assert_eq!(
        send(&api, request("GET /report", Some(&proof)))
            .await
            .status,
        500
    );
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (api, request) = (api.clone(), request("GET /report", Some(&proof)));
            tokio::spawn(async move { send(&api, request).await.status })
        })
        .collect();
    let mut served = 0;
    for task in tasks {
        served += u32::from(task.await.unwrap() == 200);
    }
    assert_eq!(served, 1);
}

#[tokio::test]
async fn after_a_restart_a_failed_attempt_is_refused_and_not_served_again() {
    let (verifier, api) = failing(&[500]).await;
    let proof = bought(&api, "GET /report").await;
    assert_eq!(
        send(&api, request("GET /report", Some(&proof)))
            .await
            .status,
        500
    );
    let restarted = paid_api(&verifier).await;
    let answer = send(&restarted, request("GET /report", Some(&proof))).await;
    assert_eq!(answer.code(), (402, "ALREADY_CLAIMED".into()));
}
