//! With the offline check: who is served before the verifier has answered, who is not, and what is told afterwards.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::Router;
use serde_json::json;
use x402_schemas::proof::ProofClaims;
use x402_server::{
    Address, Confirmation, ConfirmationHook, Network, OfflineConfig, Outcome, Refusal, ServerConfig,
};

use crate::stand_in::{Reply, Statuses, Verifier, claims, config, request, router, send, sign};

const ISSUER: &str = "http://127.0.0.1";
const LINE: &str = "GET /report";

/// What the handler answers before and after the verifier's word.
const AT_ONCE: &str = "served to pay_1, not confirmed yet";
const VERIFIED: &str = "served to pay_1";

/// What the provider was told.
type Told = Arc<Mutex<Vec<Confirmation>>>;

/// An API that serves offline up to 0.05 and may read the keys again at any time.
fn offline(verifier: &Verifier) -> (ServerConfig, Told) {
    let told = Told::default();
    let heard = Arc::clone(&told);
    let hook = ConfirmationHook::new(move |confirmation| heard.lock().unwrap().push(confirmation));
    let token = Address::repeat_byte(9);
    let mut offline = OfflineConfig::new("0.05".parse().unwrap(), ISSUER, token, hook);
    offline.keys_min_refetch = Duration::ZERO;
    let mut config = config(verifier);
    config.offline = Some(offline);
    // A busy machine must not take a scripted answer for a lost one.
    config.verifier_timeout = Duration::from_secs(5);
    (config, told)
}

fn api(config: ServerConfig) -> Router {
    router(config, &Statuses::default())
}

/// What a fresh proof of a new invoice for this line states.
async fn paid(api: &Router, line: &str) -> ProofClaims {
    let asked = send(api, request(line, None)).await;
    let mut claims = claims(asked.header("x-402-invoice-id"), line);
    claims.iat = now();
    claims.exp = claims.iat.saturating_add(60);
    claims
}

#[expect(
    clippy::disallowed_methods,
    reason = "the layer compares with the real time"
)]
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

async fn outcomes(told: &Told, count: usize) -> Vec<Outcome> {
    let waiting = async {
        while told.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("the provider is told");
    let told = told.lock().unwrap();
    told.iter().map(|told| told.outcome).collect()
}

#[tokio::test]
async fn a_signed_payment_is_served_while_the_verifier_is_silent() {
    let verifier = Verifier::scripted((0..20).map(|_| Reply::Silence)).await;
    let (config, told) = offline(&verifier);
    let api = api(config);
    let proof = sign(1, &paid(&api, LINE).await);
    let answer = send(&api, request(LINE, Some(&proof))).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, AT_ONCE));
    assert!(told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_verifier_says_afterwards_is_told() {
    let refused = Reply::Refused("ALREADY_CLAIMED", None);
    let verifier =
        Verifier::scripted([Reply::Honest, refused, Reply::Changed("amount", json!("1"))]).await;
    let (config, told) = offline(&verifier);
    let api = api(config);
    let expected = [
        Outcome::Confirmed,
        Outcome::Refused(Refusal::AlreadyClaimed),
        Outcome::Unknown,
    ];
    for (index, expected) in expected.into_iter().enumerate() {
        let proof = sign(1, &paid(&api, LINE).await);
        assert_eq!(send(&api, request(LINE, Some(&proof))).await.status, 200);
        assert_eq!(outcomes(&told, index + 1).await[index], expected);
    }
    let told = told.lock().unwrap();
    assert!(told[0].payment.confirmed && told[0].payment.confirmations == 1);
    assert!(!told[1].payment.confirmed && told[1].payment.confirmations == 0);
}

#[tokio::test]
async fn the_payment_is_claimed_afterwards_for_the_attempt_that_was_served() {
    let verifier = Verifier::scripted([]).await;
    let (config, told) = offline(&verifier);
    let api = api(config);
    let claims = paid(&api, LINE).await;
    let proof = sign(1, &claims);
    send(&api, request(LINE, Some(&proof))).await;
    outcomes(&told, 1).await;
    let asked = verifier.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].proof, proof);
    assert_eq!(asked[0].claim, Some(true));
    assert_eq!(asked[0].invoice_id, claims.invoice_id);
}

#[tokio::test]
async fn a_payment_is_served_once_however_slow_the_verifier_is() {
    let verifier = Verifier::scripted([Reply::Silence]).await;
    let api = api(offline(&verifier).0);
    let proof = sign(1, &paid(&api, LINE).await);
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (api, request) = (api.clone(), request(LINE, Some(&proof)));
        sending.spawn(async move { send(&api, request).await });
    }
    let answers = sending.join_all().await;
    let served = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(served.count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.code(), (402, "ALREADY_CLAIMED".into()));
    }
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_with_the_verifiers_word() {
    let verifier = Verifier::scripted([]).await;
    let (config, told) = offline(&verifier);
    let statuses = Statuses::default();
    statuses.lock().unwrap().push_back(500);
    let api = router(config, &statuses);
    let proof = sign(1, &paid(&api, LINE).await);
    assert_eq!(send(&api, request(LINE, Some(&proof))).await.status, 500);
    outcomes(&told, 1).await;
    assert_eq!(send(&api, request(LINE, Some(&proof))).await.status, 200);
    let attempts = verifier.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0], attempts[1]);
}

#[tokio::test]
async fn what_no_published_key_has_signed_waits_for_the_verifier() {
    let verifier = Verifier::scripted([Reply::Refused("INVALID_PROOF", None)]).await;
    let (config, told) = offline(&verifier);
    let api = api(config);
    let proof = sign(2, &paid(&api, LINE).await);
    let answer = send(&api, request(LINE, Some(&proof))).await;
    assert_eq!(answer.code(), (402, "INVALID_PROOF".into()));
    assert!(told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_does_not_fit_waits_for_the_verifier() {
    let changes: [fn(&mut ProofClaims); 7] = [
        |claims| claims.iss = "https://other.example.com".into(),
        |claims| claims.asset = Address::repeat_byte(8),
        |claims| claims.network = Network::MAINNET,
        |claims| claims.pay_to = Address::repeat_byte(7),
        |claims| claims.amount = "0.049999999999999999".parse().unwrap(),
        |claims| claims.exp = claims.iat,
        |claims| claims.iat += 3_600,
    ];
    for change in changes {
        let verifier = Verifier::scripted([Reply::Refused("PAYMENT_NOT_FOUND", None)]).await;
        let api = api(offline(&verifier).0);
        let mut claims = paid(&api, LINE).await;
        change(&mut claims);
        let proof = sign(1, &claims);
        let answer = send(&api, request(LINE, Some(&proof))).await;
        assert_eq!(
            answer.code(),
            (402, "PAYMENT_NOT_FOUND".into()),
            "{claims:?}"
        );
    }
}

#[tokio::test]
async fn a_dearer_request_waits_for_the_verifier() {
    let verifier = Verifier::scripted([Reply::Refused("PAYMENT_PENDING", None)]).await;
    let api = api(offline(&verifier).0);
    let mut claims = paid(&api, "GET /dear").await;
    claims.amount = "0.06".parse().unwrap();
    let proof = sign(1, &claims);
    let answer = send(&api, request("GET /dear", Some(&proof))).await;
    assert_eq!(answer.code(), (503, "PAYMENT_PENDING".into()));
    assert_eq!(verifier.keys_asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_the_verifier_was_asked_about_first_stays_its_to_say() {
    let verifier = Verifier::scripted([Reply::Refused("PAYMENT_PENDING", None)]).await;
    verifier.seeds.lock().unwrap().clear();
    let api = api(offline(&verifier).0);
    let proof = sign(1, &paid(&api, LINE).await);
    let answer = send(&api, request(LINE, Some(&proof))).await;
    assert_eq!(answer.code(), (503, "PAYMENT_PENDING".into()));
    // The keys are there now; the honest verifier's claim is what serves, and it serves once.
    verifier.seeds.lock().unwrap().push(1);
    assert_eq!(send(&api, request(LINE, Some(&proof))).await.status, 200);
    let again = send(&api, request(LINE, Some(&proof))).await;
    assert_eq!(again.code(), (402, "ALREADY_CLAIMED".into()));
    assert_eq!(verifier.asked().len(), 3);
}

#[tokio::test]
async fn rotated_keys_are_followed() {
    let verifier = Verifier::scripted([Reply::Silence, Reply::Silence]).await;
    let api = api(offline(&verifier).0);
    let first = sign(1, &paid(&api, LINE).await);
    assert_eq!(send(&api, request(LINE, Some(&first))).await.status, 200);
    *verifier.seeds.lock().unwrap() = vec![1, 2];
    let second = sign(2, &paid(&api, LINE).await);
    assert_eq!(send(&api, request(LINE, Some(&second))).await.status, 200);
    assert_eq!(verifier.keys_asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_key_that_is_no_longer_published_counts_until_the_cache_ends() {
    let verifier = Verifier::scripted([]).await;
    let (mut config, _) = offline(&verifier);
    let max_age = Duration::from_secs(1);
    config.offline.as_mut().unwrap().keys_max_age = max_age;
    let api = api(config);
    let mut bodies = Vec::new();
    for pause in [Duration::ZERO, Duration::ZERO, max_age] {
        tokio::time::sleep(pause).await;
        let proof = sign(1, &paid(&api, LINE).await);
        bodies.push(send(&api, request(LINE, Some(&proof))).await.body);
        *verifier.seeds.lock().unwrap() = vec![2];
    }
    // The verifier's word is what counts for the last, whatever it is.
    assert_eq!(bodies, [AT_ONCE, AT_ONCE, VERIFIED]);
}

#[tokio::test]
async fn invented_keys_are_no_flood_of_questions() {
    let refusals = (0..20).map(|_| Reply::Refused("INVALID_PROOF", None));
    let verifier = Verifier::scripted(refusals).await;
    let (mut config, _) = offline(&verifier);
    config.offline.as_mut().unwrap().keys_min_refetch = Duration::from_hours(1);
    let api = api(config);
    for _ in 0..20 {
        let proof = sign(2, &paid(&api, LINE).await);
        send(&api, request(LINE, Some(&proof))).await;
    }
    assert_eq!(verifier.keys_asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_pending_payment_is_asked_about_until_it_is_confirmed() {
    let pending = || Reply::Refused("PAYMENT_PENDING", Some(1));
    let verifier = Verifier::scripted([pending(), pending()]).await;
    let (config, told) = offline(&verifier);
    let api = api(config);
    let proof = sign(1, &paid(&api, LINE).await);
    assert_eq!(send(&api, request(LINE, Some(&proof))).await.status, 200);
    assert_eq!(outcomes(&told, 1).await, [Outcome::Confirmed]);
    assert_eq!(verifier.asked().len(), 3);
}
