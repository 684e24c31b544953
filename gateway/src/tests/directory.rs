use std::time::Duration;

use tokio::time::{Instant, timeout};
use x402_schemas::{api::directory::Directory, proof::ProofKeys};

use super::*;
use crate::ledger::{payments::Payment, proof_keys};

async fn follow(house: &House, name: &str, since: u64, wait_ms: u64) -> Directory {
    let path = format!("/internal/directory?since={since}&verifier={name}&waitMs={wait_ms}");
    let (status, body) = house.send("GET", &path, SERVICE, Value::Null).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_value(body).unwrap()
}

#[tokio::test]
async fn a_change_wakes_a_waiting_verifier() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let now = follow(&house, "v1", 0, 10_000).await;
    assert!(now.providers.is_empty());
    assert_eq!(now.jwks.keys.len(), 1);
    assert_eq!(now.issuer, "http://gateway.test");
    let (next, made) = tokio::join!(
        timeout(
            Duration::from_secs(5),
            follow(&house, "v1", now.seq, 15_000)
        ),
        house.provider(&owner, PAYEE),
    );
    let next = next.unwrap();
    assert!(next.seq > now.seq);
    let provider = &next.providers[0];
    assert_eq!(provider.provider_id, text(&made.1, "providerId"));
    // The hash under the shared pepper is the key's own: a verifier needs nothing else.
    let key: x402_service::api_key::ApiKey = text(&made.1, "apiKey").parse().unwrap();
    let pepper = x402_service::api_key::Pepper::new(next.provider_key_pepper);
    assert_eq!(provider.keys[0].key_id, key.key_id());
    assert!(key.matches(&pepper, provider.keys[0].hash));
}

#[tokio::test]
async fn a_quiet_directory_answers_unchanged_when_the_wait_ends() {
    let house = House::new().await;
    let now = follow(&house, "v1", 0, 0).await;
    assert_eq!(follow(&house, "v1", now.seq, 20).await.seq, now.seq);
    // A number that this ledger never gave acknowledges nothing and is answered at once.
    let answer = timeout(Duration::from_secs(5), follow(&house, "v1", 999, 15_000)).await;
    assert_eq!(answer.unwrap().seq, now.seq);
}

#[tokio::test]
async fn a_revocation_is_answered_when_every_verifier_acts_on_it() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (_, made) = house.provider(&owner, PAYEE).await;
    let path = format!("/providers/{}/revoke", text(&made, "providerId"));
    let before = follow(&house, "v1", 0, 0).await;
    assert_eq!(before.providers.len(), 1);
    let revoke = house.send("POST", &path, &owner.key, Value::Null);
    tokio::pin!(revoke);
    // v1 has not acknowledged yet.
    assert!(
        timeout(Duration::from_millis(200), &mut revoke)
            .await
            .is_err()
    );
    let after = follow(&house, "v1", before.seq, 15_000).await;
    assert!(after.providers.is_empty());
    assert!(
        timeout(Duration::from_millis(100), &mut revoke)
            .await
            .is_err()
    );
    let acknowledged = follow(&house, "v1", after.seq, 0);
    let ((status, _), _) = tokio::join!(revoke, acknowledged);
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_verifier_that_went_away_holds_a_revocation_up_for_its_lease_only() {
    let house = House::new().await;
    {
        let mut change = house.gateway.ledger.write().await.unwrap();
        crate::ledger::directory::add_verifier(&mut change, "gone", clock::now())
            .await
            .unwrap();
        change.commit().await.unwrap();
    }
    // After a restart nobody has been seen, but the ledger remembers who may still be out there.
    let lease = Duration::from_millis(300);
    let ledger = &house.gateway.ledger;
    let followers = crate::directory::Followers::load(ledger, lease)
        .await
        .unwrap();
    let start = Instant::now();
    followers.until_followed(ledger, 10).await.unwrap();
    assert!(start.elapsed() >= lease);
    let mut conn = house.gateway.ledger.read().await.unwrap();
    let left = crate::ledger::directory::verifiers(&mut conn)
        .await
        .unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn a_rotated_proof_key_stays_published_while_its_proofs_live() {
    let house = House::new().await;
    let proof = |payment: &Payment| {
        let place = payment.place.unwrap();
        let gateway = &house.gateway;
        let now = clock::now();
        gateway
            .proofs
            .issue(&gateway.issuer, gateway.network, TOKEN, payment, place, now)
            .unwrap()
    };
    let payment = settled();
    let old = proof(&payment);
    assert_eq!(
        house
            .send("POST", "/proof-keys/rotate", OPERATOR, Value::Null)
            .await
            .0,
        204
    );
    let new = proof(&payment);
    let (_, jwks) = house
        .send("GET", "/.well-known/jwks.json", "", Value::Null)
        .await;
    let keys = ProofKeys::from_jwks(&serde_json::from_value(jwks).unwrap());
    let (old, new) = (keys.read(&old).unwrap(), keys.read(&new).unwrap());
    assert_eq!(old.sub, new.sub);
    assert_eq!(old.exp - old.iat, 24 * 60 * 60);
    let later = clock::now() + jiff::SignedDuration::from_hours(25);
    let mut conn = house.gateway.ledger.read().await.unwrap();
    assert_eq!(
        proof_keys::published(&mut conn, clock::now())
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        proof_keys::published(&mut conn, later).await.unwrap().len(),
        1
    );
}

fn settled() -> Payment {
    Payment {
        id: "pay_1".into(),
        workspace_id: "ws_1".into(),
        agent_id: "ag_1".into(),
        invoice: x402_schemas::invoice::Invoice {
            id: "inv_1".parse().unwrap(),
            pay_to: PAYEE.parse().unwrap(),
            amount: "0.05".parse().unwrap(),
            resource: "GET https://api.example.com/report".parse().unwrap(),
        },
        memo: B256::repeat_byte(7),
        status: x402_schemas::payment::PaymentStatus::Settled,
        failure: None,
        reserved_at: None,
        approval_until: None,
        payer: Some(Address::repeat_byte(1)),
        tx_hash: Some(B256::repeat_byte(2)),
        gas_paid_wei: None,
        place: Some(crate::ledger::payments::Place {
            tx_hash: B256::repeat_byte(2),
            block_number: 5,
            block_hash: B256::ZERO,
            log_index: 0,
        }),
        proof: None,
        created_at: clock::now(),
        updated_at: clock::now(),
    }
}
