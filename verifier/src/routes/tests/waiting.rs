//! Waiting for payments, limits, and what was revoked.

use std::num::NonZeroU32;

use axum::http::StatusCode;
use serde_json::json;
use x402_schemas::{
    index::{Change, Tip},
    proof::ProofClaims,
};

use super::with;
use crate::{
    claims::News,
    limits::Terms,
    samples::{self, BLOCK, SERVED, tip},
    stand::Stand,
    verdict::Served,
};

/// The least that a provider can be given: a batch at once, then one a second, one at a time.
const TERMS: Terms = Terms {
    per_second: NonZeroU32::MIN,
    concurrent: 1,
};

#[tokio::test]
async fn a_waiting_request_is_answered_by_the_commit_that_settles_it() {
    let stand = Stand::new().await;
    let claims = ProofClaims {
        block_number: BLOCK + 1,
        ..samples::claims(1, stand.signed_at)
    };
    let body = with(stand.body(&claims), "waitMs", 8_000);
    let commits = async {
        tokio::task::yield_now().await;
        // One that says nothing of it, and the one that does.
        stand.memory.advance(tip(6, BLOCK), &[]);
        tokio::task::yield_now().await;
        let added = Change::Added(samples::transfer(&claims));
        stand.memory.advance(tip(7, BLOCK + 1), &[added]);
    };
    let (answer, ()) = tokio::join!(stand.verify(&body), commits);
    assert_eq!(answer["verified"], true);
}

#[tokio::test]
async fn a_wait_ends_with_pending_when_its_time_is_up() {
    let stand = Stand::new().await;
    let body = stand.body(&stand.paid(1));
    let body = with(with(body, "minConfirmations", 2), "waitMs", 20);
    assert_eq!(stand.verify(&body).await["errorCode"], "PAYMENT_PENDING");
}

#[tokio::test]
async fn a_key_that_is_revoked_during_a_wait_gets_no_verdict() {
    let stand = Stand::new().await;
    let body = stand.body(&stand.paid(1));
    let body = with(with(body, "minConfirmations", 2), "waitMs", 8_000);
    let revoke = async {
        tokio::task::yield_now().await;
        stand.revoke_everyone();
        stand.memory.advance(tip(6, BLOCK + 1), &[]);
    };
    let ask = stand.send(Some(&stand.key), "/verify", body.to_string());
    let ((status, _), ()) = tokio::join!(ask, revoke);
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_stale_index_gives_no_verdict() {
    let served = Served {
        max_age_seconds: Some(300),
        ..SERVED
    };
    let stand = Stand::with(TERMS, served).await;
    let body = stand.body(&stand.paid(1)).to_string();
    let (status, answer) = stand.send(Some(&stand.key), "/verify", body.clone()).await;
    assert_eq!(
        (status.as_u16(), &answer["error"]),
        (503, &json!("INDEX_STALE"))
    );
    let fresh = Tip {
        block_time: stand.signed_at,
        ..tip(6, BLOCK)
    };
    stand.memory.advance(fresh, &[]);
    let (status, _) = stand.send(Some(&stand.key), "/verify", body).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_provider_beyond_its_rate_is_told_when_to_come_back_and_others_are_not() {
    let stand = Stand::with(TERMS, SERVED).await;
    let item = json!({ "proof": "x", "invoiceId": "inv_1" });
    let batch = json!({ "items": vec![item.clone(); 1_000] }).to_string();
    let response = stand.raw(&stand.key, "/verify/batch", batch).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-ratelimit-limit"], "1000");
    assert_eq!(response.headers()["x-ratelimit-remaining"], "0");
    let reset = &response.headers()["x-ratelimit-reset"];
    assert!(reset.to_str().unwrap().parse::<u64>().unwrap() > 900);
    let refused = stand.raw(&stand.key, "/verify", item.to_string()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["x-ratelimit-remaining"], "0");
    let other = stand
        .raw(&stand.other_key, "/verify", item.to_string())
        .await;
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_provider_with_too_many_open_requests_waits_for_its_own_answers() {
    let stand = Stand::with(TERMS, SERVED).await;
    let body = stand.body(&stand.paid(1));
    let waiting = with(with(body.clone(), "minConfirmations", 2), "waitMs", 8_000);
    let others = async {
        tokio::task::yield_now().await;
        let (status, answer) = stand
            .send(Some(&stand.key), "/verify", body.to_string())
            .await;
        assert_eq!(
            (status.as_u16(), &answer["error"]),
            (429, &json!("RATE_LIMITED"))
        );
        let (status, _) = stand
            .send(Some(&stand.other_key), "/verify", body.to_string())
            .await;
        assert_eq!(status, StatusCode::OK);
        stand.memory.advance(tip(6, BLOCK + 1), &[]);
    };
    let (answer, ()) = tokio::join!(stand.verify(&waiting), others);
    // Meanwhile the other provider of this payee has used it.
    assert_eq!(answer["errorCode"], "ALREADY_CLAIMED");
}

#[tokio::test]
async fn what_a_reorg_revoked_is_listed_for_its_claimer_only() {
    let stand = Stand::new().await;
    let claims = stand.paid(1);
    stand.verify(&stand.body(&claims)).await;
    let news = News {
        seen: vec![(claims.transfer_id(), None)],
        settled: Vec::new(),
    };
    stand.claims.note(news, samples::now()).await.unwrap();
    let list = stand.revocations(&stand.key, "").await;
    let revocation = &list["revocations"][0];
    assert_eq!(revocation["event"], "revoked");
    assert_eq!(revocation["invoiceId"], "inv_1");
    let number = revocation["number"].as_u64().unwrap();
    let nothing = json!({ "revocations": [] });
    let after = format!("?after={number}");
    assert_eq!(stand.revocations(&stand.key, &after).await, nothing);
    assert_eq!(stand.revocations(&stand.other_key, "").await, nothing);
    for bad in ["?limit=0", "?limit=1001", "?more=1", "?after=x"] {
        let answer = stand.revocations(&stand.key, bad).await;
        assert_eq!(answer["error"], "INVALID_REQUEST", "{bad}");
    }
}
