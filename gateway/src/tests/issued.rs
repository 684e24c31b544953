use std::time::Duration;

use tokio::time::timeout;
use x402_schemas::{
    api::issued::{Issued, MAX_ISSUED},
    proof,
};

use super::*;
use crate::ledger::issued_proofs;

async fn follow(house: &House, after: u64, wait_ms: u64) -> Issued {
    let path = format!("/internal/proofs?after={after}&waitMs={wait_ms}");
    let (status, body) = house.send("GET", &path, SERVICE, Value::Null).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_value(body).unwrap()
}

async fn issue(house: &House, proofs: &[String], hours_ago: i64) {
    let at = clock::now()
        .saturating_sub(SignedDuration::from_hours(hours_ago))
        .unwrap();
    let mut change = house.gateway.ledger.write().await.unwrap();
    for proof in proofs {
        issued_proofs::record(&mut change, proof, at).await.unwrap();
    }
    change.commit().await.unwrap();
    house.gateway.proofs.announce_issued();
}

fn named(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("proof {number}")).collect()
}

#[tokio::test]
async fn every_issued_proof_is_published_once_and_in_order() {
    let house = House::new().await;
    assert_eq!(
        follow(&house, 0, 0).await,
        Issued {
            newest: 0,
            proofs: vec![]
        }
    );
    let proofs = named(0..MAX_ISSUED.saturating_add(2));
    issue(&house, &proofs, 0).await;
    let first = follow(&house, 0, 15_000).await;
    assert_eq!(first.proofs.len(), MAX_ISSUED);
    let rest = follow(&house, first.proofs.last().unwrap().number, 15_000).await;
    assert_eq!(rest.proofs.last().unwrap().number, rest.newest);
    let seen: Vec<B256> = first
        .proofs
        .iter()
        .chain(&rest.proofs)
        .map(|one| one.digest)
        .collect();
    let expected: Vec<B256> = proofs.iter().map(|text| proof::digest(text)).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_new_proof_wakes_a_waiting_verifier() {
    let house = House::new().await;
    let (news, ()) = tokio::join!(
        timeout(Duration::from_secs(5), follow(&house, 0, 15_000)),
        async {
            tokio::task::yield_now().await;
            issue(&house, &named(0..1), 0).await;
        },
    );
    assert_eq!(news.unwrap().proofs.len(), 1);
}

#[tokio::test]
async fn a_verifier_that_is_ahead_of_the_ledger_is_told_so_at_once() {
    let house = House::new().await;
    issue(&house, &named(0..1), 0).await;
    let answer = timeout(Duration::from_secs(5), follow(&house, 99, 15_000)).await;
    assert_eq!(
        answer.unwrap(),
        Issued {
            newest: 1,
            proofs: vec![]
        }
    );
}

#[tokio::test]
async fn digests_of_dead_proofs_go_and_their_numbers_are_not_given_again() {
    let house = House::new().await;
    issue(&house, &named(0..3), 26).await;
    issue(&house, &named(3..4), 0).await;
    let known = follow(&house, 0, 0).await;
    assert_eq!((known.newest, known.proofs.len()), (4, 1));
    assert_eq!(known.proofs[0].number, 4);
}

#[tokio::test]
async fn a_providers_confirmations_reach_the_directory() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (_, made) = house.provider(&owner, PAYEE).await;
    let path = format!("/providers/{}/confirmations", text(&made, "providerId"));
    let terms = json!({"minConfirmations": 12, "finalized": true});
    let (status, answer) = house.send("PUT", &path, &owner.key, terms.clone()).await;
    assert_eq!((status, &answer), (200, &terms));
    let feed = "/internal/directory?since=0&verifier=v1&waitMs=0";
    let (_, directory) = house.send("GET", feed, SERVICE, Value::Null).await;
    assert_eq!(directory["providers"][0]["confirmations"], terms);
    let (_, list) = house
        .send("GET", "/providers", &owner.key, Value::Null)
        .await;
    assert_eq!(list[0]["confirmations"], terms);
    for bad in [
        json!({"minConfirmations": 0}),
        json!({"minConfirmations": 10_001}),
        json!({"more": 1}),
    ] {
        assert_eq!(house.send("PUT", &path, &owner.key, bad).await.0, 400);
    }
}
