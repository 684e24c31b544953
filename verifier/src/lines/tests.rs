use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::*;
use crate::stand::Stand;

/// What a splitter makes of these chunks: number and whether it could be read.
fn split(chunks: &[&[u8]]) -> Vec<(u64, bool)> {
    let (mut splitter, mut all) = (Splitter::default(), Vec::new());
    for chunk in chunks {
        splitter.rest = Bytes::copy_from_slice(chunk);
        loop {
            let mut group = Vec::new();
            splitter.take(&mut group);
            assert!(group.len() <= MAX_BATCH);
            if group.is_empty() {
                break;
            }
            all.extend(group);
        }
    }
    splitter.end(&mut all);
    all.iter()
        .map(|line| (line.number, line.request.is_ok()))
        .collect()
}

const GOOD: &[u8] = br#"{"proof":"x","invoiceId":"inv_1"}"#;

#[test]
fn a_line_that_is_too_long_or_no_request_does_not_spoil_the_next() {
    let long = vec![b' '; MAX_LINE_BYTES + 1];
    let body = [GOOD, b"\n\n{}\r\n", &long, b"\n", GOOD].concat();
    assert_eq!(
        split(&[&body]),
        [(1, true), (3, false), (4, false), (5, true)]
    );
}

proptest! {
    #[test]
    fn where_the_chunks_end_changes_nothing(lines in prop::collection::vec(any::<bool>(), 0..20), size in 1_usize..90) {
        let body: Vec<u8> = lines
            .iter()
            .flat_map(|good| [if *good { GOOD } else { b"{bad" }, b"\n"].concat())
            .collect();
        let chunks: Vec<&[u8]> = body.chunks(size).collect();
        prop_assert_eq!(split(&chunks), split(&[&body]));
        let expected: Vec<(u64, bool)> = (1..).zip(lines).collect();
        prop_assert_eq!(split(&chunks), expected);
    }

    #[test]
    fn no_bytes_make_the_splitter_panic_or_grow(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let mut splitter = Splitter::default();
        for chunk in chunks {
            splitter.rest = chunk.into();
            splitter.take(&mut Vec::new());
            prop_assert!(splitter.partial.len() <= MAX_LINE_BYTES);
        }
    }
}

/// Sends lines and returns the answer's lines.
async fn send(stand: &Stand, body: Body) -> (StatusCode, Vec<Value>) {
    let request = Request::post("/verify/batch")
        .header("content-type", MEDIA_TYPE)
        .header("authorization", format!("Bearer {}", stand.key.expose()))
        .body(body)
        .unwrap();
    let response = stand.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap());
    (status, lines.collect())
}

#[tokio::test]
async fn a_request_a_line_in_an_answer_a_line_out_in_order() {
    let stand = Stand::new().await;
    let one = stand.body(&stand.paid(1)).to_string();
    let two = stand.body(&stand.paid(2)).to_string();
    let forged = json!({"proof": "forged", "invoiceId": "inv_1"}).to_string();
    let waiting = json!({"proof": "x", "invoiceId": "inv_1", "waitMs": 1}).to_string();
    let body = [&one, "not json", &forged, &waiting, &two].map(ToString::to_string);
    let (status, answers) = send(&stand, body.join("\n").into()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answers.len(), 5, "{answers:?}");
    assert_eq!(answers[0]["paymentId"], "pay_1");
    assert_eq!(
        (&answers[1]["line"], &answers[1]["error"]),
        (&json!(2), &json!("INVALID_REQUEST"))
    );
    assert_eq!(answers[2]["errorCode"], "INVALID_PROOF");
    assert_eq!(answers[3]["line"], 4);
    assert_eq!(answers[4]["paymentId"], "pay_2");
}

#[tokio::test]
async fn thousands_of_lines_are_answered_one_for_one() {
    let stand = Stand::new().await;
    let line = json!({"proof": "x", "invoiceId": "inv_1"}).to_string();
    let (_, answers) = send(&stand, vec![line; 2_500].join("\n").into()).await;
    assert_eq!(answers.len(), 2_500);
    assert!(
        answers
            .iter()
            .all(|one| one["errorCode"] == "INVALID_PROOF")
    );
}

#[tokio::test]
async fn what_has_arrived_is_answered_before_more_comes_and_a_revoked_key_answers_no_more() {
    let stand = Stand::new().await;
    let line = format!("{}\n", stand.body(&stand.paid(1)));
    let (lines, source) = mpsc::channel::<Result<String, std::io::Error>>(8);
    let body = Body::from_stream(stream::unfold(source, |mut source| async move {
        Some((source.recv().await?, source))
    }));
    let request = Request::post("/verify/batch")
        .header("content-type", MEDIA_TYPE)
        .header("authorization", format!("Bearer {}", stand.key.expose()))
        .body(body)
        .unwrap();
    let response = stand.router.clone().oneshot(request).await.unwrap();
    let mut answers = response.into_body().into_data_stream();
    let mut next = async || {
        let bytes = answers.next().await.unwrap().unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    lines.send(Ok(line.clone())).await.unwrap();
    assert_eq!(next().await["verified"], true);
    stand.revoke_everyone();
    lines.send(Ok(line)).await.unwrap();
    assert_eq!(
        next().await,
        json!({
            "line": 2, "error": "UNAUTHORIZED",
            "message": x402_service::problem::Problem::unauthorized().message(),
        })
    );
}

#[tokio::test]
async fn with_the_index_away_each_line_says_so_and_the_rest_goes_on() {
    let stand = Stand::new().await;
    let body = stand.body(&stand.paid(1)).to_string();
    *stand.index.lock().unwrap() = None;
    let (status, answers) = send(&stand, format!("{body}\n{{}}\n{body}").into()).await;
    assert_eq!(status, StatusCode::OK);
    let errors: Vec<&str> = answers
        .iter()
        .map(|one| one["error"].as_str().unwrap())
        .collect();
    assert_eq!(
        errors,
        ["INDEX_UNAVAILABLE", "INVALID_REQUEST", "INDEX_UNAVAILABLE"]
    );
}
