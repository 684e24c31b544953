//! How much a key may ask, over the router.

use std::{convert::Infallible, num::NonZeroU32, time::Duration};

use axum::{http::HeaderMap, routing::get};
use bytes::Bytes;

use super::*;

impl House {
    async fn head(&self, path: &str, key: &str) -> (u16, HeaderMap, Value) {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .body(Body::empty())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            parts.status.as_u16(),
            parts.headers,
            serde_json::from_slice(&bytes).unwrap_or_default(),
        )
    }
}

fn terms(per_minute: u32, concurrent: usize) -> Terms {
    Terms {
        per_minute: NonZeroU32::new(per_minute).unwrap(),
        concurrent,
    }
}

fn number(headers: &HeaderMap, name: &str) -> u32 {
    headers[name].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_key_that_asks_too_much_is_refused_and_told_when_to_come_back() {
    let house = House::within(terms(5, 100)).await;
    let owner = house.workspace("100").await;
    let other = house.workspace("100").await;
    for remaining in (0..5).rev() {
        let (status, headers, _) = house.head("/workspace", &owner.key).await;
        assert_eq!(status, 200);
        assert_eq!(number(&headers, "x-ratelimit-limit"), 5);
        assert_eq!(number(&headers, "x-ratelimit-remaining"), remaining);
    }
    let (status, headers, body) = house.head("/workspace", &owner.key).await;
    assert_eq!(
        (status, text(&body, "error").as_str()),
        (429, "TOO_MANY_REQUESTS")
    );
    assert!((1..=13).contains(&number(&headers, "retry-after")));
    assert_eq!(number(&headers, "x-ratelimit-remaining"), 0);
    assert!((48..=60).contains(&number(&headers, "x-ratelimit-reset")));
    // Neither another key nor a service of ours is in its way.
    assert_eq!(house.head("/workspace", &other.key).await.0, 200);
    for _ in 0..10 {
        let (status, headers, _) = house
            .head("/internal/proofs?after=0&waitMs=0", SERVICE)
            .await;
        assert_ne!(status, 429);
        assert!(!headers.contains_key("x-ratelimit-limit"));
    }
}

#[tokio::test]
async fn a_session_draws_on_the_share_of_its_key() {
    let house = House::within(terms(3, 100)).await;
    let owner = house.workspace("100").await;
    let token = house.session(&owner.key).await;
    for status in [200, 200, 429] {
        assert_eq!(house.head("/workspace", &token).await.0, status);
    }
    assert_eq!(house.head("/workspace", &owner.key).await.0, 429);
}

#[tokio::test]
async fn guessing_keys_uses_up_the_addresss_share_and_nobodys_key() {
    let house = House::within(terms(5, 100)).await;
    let owner = house.workspace("100").await;
    let wrong = format!("{}{}", &owner.key[..owner.key.len() - 4], "0000");
    for _ in 0..5 {
        assert_eq!(house.head("/workspace", &wrong).await.0, 401);
    }
    assert_eq!(house.head("/workspace", &wrong).await.0, 429);
    assert_eq!(house.head("/.well-known/jwks.json", "").await.0, 429);
    assert_eq!(house.head("/nowhere", "x").await.0, 429);
    assert_eq!(house.head("/workspace", &owner.key).await.0, 200);
}

#[tokio::test]
async fn an_answer_that_streams_is_open_until_its_end() {
    let house = House::within(terms(1_000, 1)).await;
    let owner = house.workspace("100").await;
    let gateway = Arc::clone(&house.gateway);
    let stream = || async {
        let news = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"news\n")), ()))
        });
        Body::from_stream(news)
    };
    let router = Router::new()
        .route("/stream", get(stream))
        .route("/whole", get(async || "whole"))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&gateway),
            crate::limits::admit,
        ))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&gateway),
            crate::principal::identify,
        ));
    let ask = async |path: &str| {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", owner.key))
            .body(Body::empty())
            .unwrap();
        router.clone().oneshot(request).await.unwrap()
    };
    let mut open = ask("/stream").await.into_body();
    assert!(open.frame().await.is_some());
    let refused = ask("/whole").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    drop(open);
    for _ in 0..3 {
        assert_eq!(ask("/whole").await.status(), 200);
    }
}

#[tokio::test]
async fn a_request_that_waits_is_open_until_it_is_answered() {
    let house = Arc::new(House::within(terms(1_000, 1)).await);
    let owner = house.workspace("100").await;
    // The write lock is held, so the first request waits.
    let held = house.gateway.ledger.write().await.unwrap();
    let waiting = {
        let (house, key) = (Arc::clone(&house), owner.key.clone());
        tokio::spawn(async move {
            let body = json!({"monthlyBudget": "1"});
            let ask = async || {
                let answer = house.send("PUT", "/workspace/budget", &key, body.clone());
                answer.await.0
            };
            let mut status = ask().await;
            // One of the requests below may have been open.
            while status == 429 {
                status = ask().await;
            }
            status
        })
    };
    let mut status = 200;
    for _ in 0..200 {
        status = house.head("/workspace", &owner.key).await.0;
        if status == 429 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status, 429);
    drop(held);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(house.head("/workspace", &owner.key).await.0, 200);
}
