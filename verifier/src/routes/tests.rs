use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;
use x402_schemas::{
    api::issued::{Issued, IssuedProof},
    index::Change,
    proof::ProofClaims,
};

use crate::{
    samples::{self, BLOCK, PAYEE, TOKEN, provider, tip},
    stand::Stand,
};

/// Waiting, limits and revocations.
mod waiting;

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

#[tokio::test]
async fn a_good_proof_verifies_once_and_its_retry_says_the_same() {
    let stand = Stand::new().await;
    let body = with(stand.body(&stand.paid(1)), "attempt", "a");
    let first = stand.verify(&body).await;
    assert_eq!(first["verified"], true, "{first}");
    assert_eq!(
        (first["amount"].as_str(), first["confirmations"].as_u64()),
        (Some("0.05"), Some(1))
    );
    assert!(first["claimedAt"].is_string());
    assert_eq!(stand.verify(&body).await, first);
    let replayed = stand.verify(&with(body.clone(), "attempt", "b")).await;
    assert_eq!(replayed["errorCode"], "ALREADY_CLAIMED");
    let looked = stand.verify(&with(body, "claim", false)).await;
    assert_eq!(looked["claimedAt"], first["claimedAt"]);
}

#[tokio::test]
async fn a_look_without_a_claim_uses_nothing_up() {
    let stand = Stand::new().await;
    let body = stand.body(&stand.paid(1));
    let looked = stand.verify(&with(body.clone(), "claim", false)).await;
    assert_eq!(
        (&looked["verified"], looked.get("claimedAt")),
        (&json!(true), None)
    );
    assert!(stand.verify(&body).await["claimedAt"].is_string());
}

#[tokio::test]
async fn another_provider_of_the_same_payee_cannot_use_it_again() {
    let stand = Stand::new().await;
    let body = stand.body(&stand.paid(1));
    stand.verify(&body).await;
    let (_, answer) = stand
        .send(Some(&stand.other_key), "/verify", body.to_string())
        .await;
    assert_eq!(answer["errorCode"], "ALREADY_CLAIMED");
}

#[tokio::test]
async fn a_forged_proof_is_refused_without_asking_the_index() {
    let stand = Stand::new().await;
    let claims = stand.paid(1);
    *stand.index.lock().unwrap() = None;
    let forged = samples::signer(2).sign(&claims).unwrap();
    for proof in [forged, "not a proof".into(), "a".repeat(9_000)] {
        let answer = stand
            .verify(&with(stand.body(&claims), "proof", proof))
            .await;
        assert_eq!(answer["errorCode"], "INVALID_PROOF");
    }
}

#[tokio::test]
async fn a_published_digest_replaces_the_signature_check_and_nothing_else() {
    let stand = Stand::new().await;
    let claims = stand.paid(1);
    let good = stand.signer.sign(&claims).unwrap();
    let (signed, _) = good.rsplit_once('.').unwrap();
    // Of the gateway, as far as only the digest can tell.
    let unsigned = format!("{signed}.{}", "A".repeat(86));
    let body = with(stand.body(&claims), "proof", unsigned.clone());
    let code = async |body: &Value| stand.verify(body).await["errorCode"].clone();
    assert_eq!(code(&body).await, "INVALID_PROOF");
    let digest = x402_schemas::proof::digest(&unsigned);
    let proofs = vec![IssuedProof { number: 1, digest }];
    stand.issued.accept(0, &Issued { newest: 1, proofs });
    assert_eq!(
        code(&with(body.clone(), "amount", "0.06")).await,
        "AMOUNT_MISMATCH"
    );
    assert_eq!(stand.verify(&body).await["verified"], true);
    // Its key has been taken out of service.
    let (entry, key) = provider("prov_1", &[PAYEE]);
    let rotated = samples::directory(2, &samples::signer(2), vec![entry]);
    stand.directory.accept(rotated, Instant::now());
    let (_, answer) = stand.send(Some(&key), "/verify", body.to_string()).await;
    assert_eq!(answer["errorCode"], "INVALID_PROOF");
}

#[tokio::test]
async fn with_the_index_away_cached_transfers_answer_and_others_get_503() {
    let stand = Stand::new().await;
    let (cached, other) = (stand.body(&stand.paid(1)), stand.body(&stand.paid(2)));
    stand.verify(&with(cached.clone(), "claim", false)).await;
    let rows = stand.index.lock().unwrap().take();
    assert_eq!(stand.verify(&cached).await["verified"], true);
    let (status, answer) = stand
        .send(Some(&stand.key), "/verify", other.to_string())
        .await;
    assert_eq!(
        (status.as_u16(), &answer["error"]),
        (503, &json!("INDEX_UNAVAILABLE"))
    );
    *stand.index.lock().unwrap() = rows;
    assert_eq!(stand.verify(&other).await["verified"], true);
}

#[tokio::test]
async fn lag_is_pending_and_a_later_look_finds_the_payment() {
    let stand = Stand::new().await;
    let claims = ProofClaims {
        block_number: BLOCK + 2,
        ..samples::claims(1, stand.signed_at)
    };
    let body = stand.body(&claims);
    let answer = stand.verify(&body).await;
    assert_eq!(answer["errorCode"], "PAYMENT_PENDING");
    assert!(answer["retryAfterMs"].as_u64().unwrap() >= 500);
    stand.memory.advance(
        tip(6, BLOCK + 2),
        &[Change::Added(samples::transfer(&claims))],
    );
    assert_eq!(stand.verify(&body).await["verified"], true);
}

#[tokio::test]
async fn a_reorg_flips_a_verified_payment_for_its_claimer() {
    let stand = Stand::new().await;
    let claims = stand.paid(1);
    let body = stand.body(&claims);
    assert_eq!(stand.verify(&body).await["verified"], true);
    stand.memory.advance(
        tip(6, BLOCK + 1),
        &[Change::Removed(samples::transfer(&claims))],
    );
    assert_eq!(stand.verify(&body).await["errorCode"], "PAYMENT_REVERTED");
}

/// The disk is held until the reorg has come.
#[tokio::test]
async fn a_reorg_while_the_claim_goes_to_disk_is_not_missed() {
    let stand = Stand::new().await;
    let claims = stand.paid(1);
    let disk = stand.claims.disk();
    let (hold, is_held) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _held = disk.lock().unwrap();
        hold.send(()).unwrap();
        released.recv().unwrap();
    });
    is_held.recv().unwrap();
    let reorg = async {
        // The look-up has put the transfer into memory, and the claim waits for the disk.
        while stand.memory.recall(claims.transfer_id()).is_none() {
            tokio::task::yield_now().await;
        }
        let removed = Change::Removed(samples::transfer(&claims));
        stand.memory.advance(tip(6, BLOCK + 1), &[removed]);
        release.send(()).unwrap();
    };
    let body = stand.body(&claims);
    let (answer, ()) = tokio::join!(stand.verify(&body), reorg);
    assert_eq!(answer["errorCode"], "PAYMENT_REVERTED");
}

#[tokio::test]
async fn an_empty_index_is_pending() {
    let stand = Stand::new().await;
    let body = stand.body(&samples::claims(1, stand.signed_at));
    stand.memory.restart(None, &[]);
    assert_eq!(stand.verify(&body).await["errorCode"], "PAYMENT_PENDING");
}

#[tokio::test]
async fn a_batch_answers_each_item_in_order_and_the_first_claim_wins() {
    let stand = Stand::new().await;
    let (one, two) = (stand.body(&stand.paid(1)), stand.body(&stand.paid(2)));
    let items = json!({ "items": [
        with(one.clone(), "attempt", "a"),
        with(two.clone(), "amount", "1"),
        with(one, "attempt", "b"),
        with(two, "proof", "forged"),
        stand.body(&samples::claims(3, stand.signed_at)),
    ]});
    let (status, answer) = stand
        .send(Some(&stand.key), "/verify/batch", items.to_string())
        .await;
    assert_eq!(status, StatusCode::OK);
    let codes: Vec<&str> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["errorCode"].as_str().unwrap_or("verified"))
        .collect();
    assert_eq!(
        codes,
        [
            "verified",
            "AMOUNT_MISMATCH",
            "ALREADY_CLAIMED",
            "INVALID_PROOF",
            "PAYMENT_NOT_FOUND"
        ]
    );
}

#[tokio::test]
async fn a_batch_has_1_to_1000_items() {
    let stand = Stand::new().await;
    let item = json!({ "proof": "x", "invoiceId": "inv_1" });
    for (count, expected) in [(0, 400), (1, 200), (1_000, 200), (1_001, 400)] {
        let body = json!({ "items": vec![item.clone(); count] }).to_string();
        let (status, _) = stand.send(Some(&stand.key), "/verify/batch", body).await;
        assert_eq!(status.as_u16(), expected, "{count}");
    }
    let bad = json!({ "items": [item.clone(), with(item, "minConfirmations", 0)] }).to_string();
    let (status, answer) = stand.send(Some(&stand.key), "/verify/batch", bad).await;
    assert_eq!(status.as_u16(), 400);
    assert!(
        answer["message"].as_str().unwrap().contains("items[1]"),
        "{answer}"
    );
}

#[tokio::test]
async fn only_a_valid_provider_key_is_answered() {
    let stand = Stand::new().await;
    let body = stand.body(&stand.paid(1)).to_string();
    let (_, stranger) = provider("prov_1", &[PAYEE]);
    for key in [None, Some(&stranger)] {
        let (status, answer) = stand.send(key, "/verify", body.clone()).await;
        assert_eq!(
            (status.as_u16(), &answer["error"]),
            (401, &json!("UNAUTHORIZED"))
        );
    }
    stand.directory.accept(
        samples::directory(2, &stand.signer, Vec::new()),
        Instant::now(),
    );
    let (status, _) = stand.send(Some(&stand.key), "/verify", body).await;
    assert_eq!(status.as_u16(), 401, "revocation holds at once");
}

#[tokio::test]
async fn no_provider_verifies_anothers_proofs() {
    let stand = Stand::new().await;
    let body = stand.body(&stand.paid(1));
    let (entry, key) = provider("prov_3", &[TOKEN]);
    stand.directory.accept(
        samples::directory(2, &stand.signer, vec![entry]),
        Instant::now(),
    );
    let (_, answer) = stand.send(Some(&key), "/verify", body.to_string()).await;
    assert_eq!(answer["errorCode"], "RECIPIENT_MISMATCH");
}

#[tokio::test]
async fn a_stale_directory_answers_nobody() {
    let stand = Stand::new().await;
    let body = stand.body(&stand.paid(1)).to_string();
    let long_ago = Instant::now().checked_sub(crate::directory::LEASE).unwrap();
    stand
        .directory
        .accept(samples::directory(2, &stand.signer, Vec::new()), long_ago);
    let (status, answer) = stand.send(Some(&stand.key), "/verify", body).await;
    assert_eq!(
        (status.as_u16(), &answer["error"]),
        (503, &json!("DIRECTORY_STALE"))
    );
    assert_eq!(stand.get("/.well-known/jwks.json").await.0.as_u16(), 503);
}

#[tokio::test]
async fn bad_input_gets_a_clear_4xx() {
    let stand = Stand::new().await;
    let good = stand.body(&stand.paid(1));
    let mut bad: Vec<(String, u16)> = ["", "not json", "[]", "{}", "{\"items\":1}", "\u{0}"]
        .into_iter()
        .map(|text| (text.to_owned(), 400))
        .collect();
    for (field, value) in [
        ("more", json!(1)),
        ("invoiceId", json!("a b")),
        ("amount", json!("")),
        ("amount", json!("_")),
        ("amount", json!("1e18")),
        ("amount", json!("0x10")),
        ("amount", json!("-1")),
        ("amount", json!("0.1234567890123456789")),
        ("amount", json!(0.05)),
        ("payTo", json!("0x8ccedbae4916b79da7F3F612EfB2EB93A2bFD6cF")),
        ("network", json!("solana:1")),
        ("resource", json!("report")),
        ("minConfirmations", json!(0)),
        ("minConfirmations", json!(10_001)),
        ("minConfirmations", json!(-1)),
        ("waitMs", json!(8_001)),
        ("attempt", json!("")),
        ("attempt", json!("a".repeat(65))),
    ] {
        bad.push((with(good.clone(), field, value).to_string(), 400));
    }
    bad.push(("x".repeat(10_000_000), 413));
    for (body, expected) in bad {
        let (status, answer) = stand.send(Some(&stand.key), "/verify", body.clone()).await;
        assert_eq!(status.as_u16(), expected, "{body:.80}");
        assert!(answer["error"].is_string() && answer["message"].is_string());
    }
    assert!(
        stand
            .verify(&with(good, "claim", false))
            .await
            .get("claimedAt")
            .is_none(),
        "nothing was claimed"
    );
}

#[tokio::test]
async fn the_directorys_keys_and_the_description_are_served() {
    let stand = Stand::new().await;
    let (status, jwks) = stand.get("/.well-known/jwks.json").await;
    assert_eq!(status, StatusCode::OK);
    let jwks: Value = serde_json::from_str(&jwks).unwrap();
    assert_eq!(jwks["keys"][0]["crv"], "Ed25519");
    let (_, openapi) = stand.get("/openapi.json").await;
    let openapi: Value = serde_json::from_str(&openapi).unwrap();
    for path in [
        "/verify",
        "/verify/batch",
        "/revocations",
        "/.well-known/jwks.json",
    ] {
        assert!(openapi["paths"][path].is_object(), "{path}");
    }
    for schema in [
        "VerifyRequest",
        "Verified",
        "Refused",
        "Refusal",
        "ErrorBody",
    ] {
        assert!(
            openapi["components"]["schemas"][schema].is_object(),
            "{schema}"
        );
    }
    let (status, docs) = stand.get("/docs").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        !docs.contains("https://") && !docs.contains("http://"),
        "nothing is fetched from elsewhere"
    );
}
