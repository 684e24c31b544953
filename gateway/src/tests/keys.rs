//! Keys: replaced with a grace, ended, counted as used.

use std::time::Duration;

use super::*;
use crate::ledger::api_keys::{self, Holder};

impl House {
    async fn rotate(&self, owner: &Tenant, path: &str, grace_seconds: u32) -> String {
        let body = json!({"graceSeconds": grace_seconds});
        let path = format!("{path}/rotate");
        let (status, body) = self.send("POST", &path, &owner.key, body).await;
        assert_eq!(status, 200, "{body}");
        text(&body, "apiKey")
    }

    async fn opens(&self, key: &str) -> bool {
        let path = if key.contains("_agent_") {
            "/payments/pay_1"
        } else {
            "/workspace"
        };
        match self.send("GET", path, key, Value::Null).await.0 {
            401 => false,
            200 | 404 => true,
            other => panic!("{other}"),
        }
    }
}

fn key_id(key: &str) -> &str {
    key.split('_').nth(2).unwrap()
}

#[tokio::test]
async fn a_replaced_key_goes_on_for_its_grace_and_ends_by_itself() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let clerk = house.member(&owner, "viewer").await;
    for (path, old) in [
        (format!("/agents/{}", agent.id), agent.key),
        (format!("/members/{}", clerk.id), clerk.key),
    ] {
        let new = house.rotate(&owner, &path, 2).await;
        assert!(house.opens(&old).await && house.opens(&new).await, "{path}");
        tokio::time::sleep(Duration::from_millis(2_050)).await;
        assert!(
            !house.opens(&old).await && house.opens(&new).await,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_key_without_a_grace_ends_at_once_and_so_does_one_within_it() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let path = format!("/agents/{}", agent.id);
    let second = house.rotate(&owner, &path, 86_400).await;
    // A later grace never prolongs an earlier end, and a rotation without one ends all.
    let third = house.rotate(&owner, &path, 0).await;
    assert!(!house.opens(&agent.key).await && !house.opens(&second).await);
    let fourth = house.rotate(&owner, &path, 86_400).await;
    assert!(house.opens(&third).await && house.opens(&fourth).await);
    let revoke = format!("{path}/revoke");
    let (status, _) = house.send("POST", &revoke, &owner.key, Value::Null).await;
    assert_eq!(status, 200);
    assert!(!house.opens(&third).await && !house.opens(&fourth).await);
}

#[tokio::test]
async fn one_key_is_ended_within_its_grace_and_the_other_goes_on() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let new = house
        .rotate(&owner, &format!("/agents/{}", agent.id), 600)
        .await;
    let listed = house.get("/keys", &owner.key).await;
    let ends = |key: &str| {
        let mut rows = listed.as_array().unwrap().iter();
        let row = rows.find(|row| row["keyId"] == key_id(key)).unwrap();
        row["endsAt"].is_string()
    };
    assert!(ends(&agent.key) && !ends(&new) && !ends(&owner.key));
    let path = format!("/keys/{}/revoke", key_id(&agent.key));
    let (status, _) = house.send("POST", &path, &owner.key, Value::Null).await;
    assert_eq!(status, 200);
    assert!(!house.opens(&agent.key).await && house.opens(&new).await);
    let (status, _) = house.send("POST", &path, &owner.key, Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_holder_has_eight_valid_keys_at_most() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let path = format!("/agents/{}", agent.id);
    let mut newest = agent.key.clone();
    for _ in 1..8 {
        newest = house.rotate(&owner, &path, 600).await;
    }
    let body = json!({"graceSeconds": 600});
    let rotate = format!("{path}/rotate");
    let (status, answer) = house.send("POST", &rotate, &owner.key, body).await;
    assert_eq!((status, text(&answer, "error").as_str()), (409, "TOO_MANY"));
    // The refusal changed nothing, and a rotation without a grace makes room.
    assert!(house.opens(&agent.key).await && house.opens(&newest).await);
    house.rotate(&owner, &path, 0).await;
    assert!(!house.opens(&newest).await);
    house.rotate(&owner, &path, 600).await;
}

#[tokio::test]
async fn a_grace_is_a_day_at_most() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let path = format!("/agents/{}/rotate", agent.id);
    for body in [
        json!({"graceSeconds": 86_401}),
        json!({"graceSeconds": -1}),
        json!({"graceSeconds": "1"}),
        json!({"grace": 1}),
    ] {
        let (status, answer) = house.send("POST", &path, &owner.key, body.clone()).await;
        assert_eq!(
            (status, text(&answer, "error").as_str()),
            (400, "INVALID_REQUEST"),
            "{body}"
        );
    }
    assert!(house.opens(&agent.key).await);
}

#[tokio::test]
async fn a_providers_keys_are_told_to_verifiers_with_their_ends() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (_, provider) = house.provider(&owner, PAYEE).await;
    let path = format!("/providers/{}", text(&provider, "providerId"));
    let old = text(&provider, "apiKey");
    let new = house.rotate(&owner, &path, 600).await;
    let follow = "/internal/directory?since=0&verifier=v1&waitMs=0";
    let keys = async || {
        let directory = house.get(follow, SERVICE).await;
        directory["providers"][0]["keys"]
            .as_array()
            .unwrap()
            .clone()
    };
    let both = keys().await;
    let end_of = |key: &str| {
        let mut keys = both.iter();
        let known = keys.find(|known| known["keyId"] == key_id(key)).unwrap();
        known["endsAt"].as_str().map(str::to_owned)
    };
    let end: jiff::Timestamp = end_of(&old).unwrap().parse().unwrap();
    let left = end.duration_since(clock::now()).as_secs();
    assert!((590..=600).contains(&left), "{left}");
    assert_eq!(end_of(&new), None);
    // Ending it early is told, too; the verifier that has been told acknowledges meanwhile.
    let revoke = format!("/keys/{}/revoke", key_id(&old));
    let seq = house.get(follow, SERVICE).await["seq"].as_u64().unwrap();
    let acknowledge = async {
        for since in [seq, seq + 1] {
            let poll = format!("/internal/directory?since={since}&verifier=v1&waitMs=2000");
            house.get(&poll, SERVICE).await;
        }
    };
    let (answer, ()) = tokio::join!(
        house.send("POST", &revoke, &owner.key, Value::Null),
        acknowledge
    );
    assert_eq!(answer.0, 200);
    let left = keys().await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["keyId"], key_id(&new));
}

#[tokio::test]
async fn a_providers_use_of_its_key_is_what_verifiers_tell_of_it() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (_, provider) = house.provider(&owner, PAYEE).await;
    let id = key_id(&text(&provider, "apiKey")).to_owned();
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let last = async |id: &str| {
        let keys = house.get("/keys", &owner.key).await;
        let key = keys
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["keyId"] == id);
        key.unwrap()["lastUsedAt"].clone()
    };
    assert_eq!(last(&id).await, Value::Null);
    // Of an agent's key a verifier knows nothing, whatever it says.
    let told = json!({ "keyIds": [id, key_id(&agent.key), "nobodys"] });
    let tell = "/internal/key-uses";
    assert_eq!(house.send("POST", tell, SERVICE, told).await.0, 204);
    assert!(last(&id).await.is_string());
    assert_eq!(last(key_id(&agent.key)).await, Value::Null);
    let too_many = json!({ "keyIds": vec!["nobodys"; 1_001] });
    assert_eq!(house.send("POST", tell, SERVICE, too_many).await.0, 400);
}

#[tokio::test]
async fn a_use_is_shown_at_once_and_written_later() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let shown = async || house.get("/agents", &owner.key).await[0]["lastUsedAt"].clone();
    assert_eq!(shown().await, Value::Null);
    // A wrong secret is no use of the key.
    let wrong = format!("{}{}", &agent.key[..agent.key.len() - 4], "0000");
    assert!(!house.opens(&wrong).await);
    assert_eq!(shown().await, Value::Null);
    house.quote(&agent.key, "inv_1", "0.05").await;
    let used = shown().await;
    assert!(used.is_string());
    let written = async || {
        let mut conn = house.gateway.ledger.read().await.unwrap();
        let written = api_keys::uses(&mut conn, Holder::Agent(&agent.id));
        written.await.unwrap()[0].1
    };
    assert_eq!(written().await, None, "a request writes nothing");
    house.gateway.key_uses.write(&house.gateway.ledger).await;
    assert!(written().await.is_some());
    assert_eq!(shown().await, used);
}
