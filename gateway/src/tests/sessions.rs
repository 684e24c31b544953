//! Sessions, over the router.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::*;

impl House {
    async fn reads(&self, token: &str) -> u16 {
        self.send("GET", "/workspace", token, Value::Null).await.0
    }
}

fn claims(house: &House, token: &str) -> crate::sessions::Session {
    house.gateway.sessions.read(token, clock::now()).unwrap()
}

fn signed(seed: u8, kind: &str, claims: &crate::sessions::Session) -> String {
    let key = Seed::from_bytes(&B256::repeat_byte(seed)).derive("sessions");
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some(kind.to_owned());
    let key = EncodingKey::from_secret(key.unwrap().as_slice());
    encode(&header, claims, &key).unwrap()
}

#[tokio::test]
async fn a_session_opens_what_its_members_role_does() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let clerk = house.member(&owner, "viewer").await;
    let (_, body) = house
        .send("POST", "/sessions", &clerk.key, Value::Null)
        .await;
    assert_eq!(
        (&body["memberId"], &body["role"]),
        (&json!(clerk.id), &json!("viewer"))
    );
    let end: jiff::Timestamp = text(&body, "expiresAt").parse().unwrap();
    let left = end.duration_since(clock::now()).as_secs();
    assert!((890..=900).contains(&left), "{left}");
    let token = text(&body, "token");
    assert_eq!(house.reads(&token).await, 200);
    let create = json!({"name": "buyer"});
    let (status, _) = house.send("POST", "/agents", &token, create.clone()).await;
    assert_eq!(status, 403);
    // The role is looked up, not carried.
    let path = format!("/members/{}/role", clerk.id);
    let body = json!({"role": "admin"});
    house.send("PUT", &path, &owner.key, body).await;
    assert_eq!(house.send("POST", "/agents", &token, create).await.0, 201);
}

#[tokio::test]
async fn a_session_makes_no_session_and_is_no_agent() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let token = house.session(&owner.key).await;
    let (status, body) = house.send("POST", "/sessions", &token, Value::Null).await;
    assert_eq!(
        (status, text(&body, "error").as_str()),
        (403, "KEY_REQUIRED")
    );
    assert_eq!(house.quote(&token, "inv_1", "0.05").await.0, 401);
    // Nor does an agent get one, by asking or by a token that names its key.
    let answer = house
        .send("POST", "/sessions", &agent.key, Value::Null)
        .await;
    assert_eq!(answer.0, 401);
    let of_agent = crate::sessions::Session {
        sub: agent.id.clone(),
        key_id: agent.key.split('_').nth(2).unwrap().to_owned(),
        ..claims(&house, &token)
    };
    let forged = signed(7, "x402-session+jwt", &of_agent);
    assert_eq!(house.reads(&forged).await, 401);
    assert_eq!(house.quote(&forged, "inv_1", "0.05").await.0, 401);
}

#[tokio::test]
async fn a_session_ends_with_the_key_or_the_membership_that_it_came_from() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (clerk, other) = (
        house.member(&owner, "viewer").await,
        house.member(&owner, "viewer").await,
    );
    let (token, kept) = (
        house.session(&clerk.key).await,
        house.session(&other.key).await,
    );
    let path = format!("/members/{}/rotate", clerk.id);
    let (_, rotated) = house.send("POST", &path, &owner.key, Value::Null).await;
    assert_eq!(house.reads(&token).await, 401);
    let token = house.session(&text(&rotated, "apiKey")).await;
    assert_eq!(house.reads(&token).await, 200);
    let path = format!("/members/{}/remove", clerk.id);
    house.send("POST", &path, &owner.key, Value::Null).await;
    assert_eq!(house.reads(&token).await, 401);
    assert_eq!(house.reads(&kept).await, 200);
}

#[tokio::test]
async fn a_token_that_is_altered_expired_unsigned_or_anothers_opens_nothing() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let clerk = house.member(&owner, "viewer").await;
    let token = house.session(&clerk.key).await;
    let good = claims(&house, &token);
    let kind = "x402-session+jwt";
    assert_eq!(house.reads(&signed(7, kind, &good)).await, 200);
    let of_owner = claims(&house, &house.session(&owner.key).await);
    let changed = |change: fn(&mut crate::sessions::Session)| {
        let mut claims = good.clone();
        change(&mut claims);
        signed(7, kind, &claims)
    };
    let (head, signature) = token.rsplit_once('.').unwrap();
    let payload = head.split_once('.').unwrap().1;
    let raised = signed(9, kind, &of_owner);
    let raised = raised.split('.').nth(1).unwrap();
    let header = head.split_once('.').unwrap().0;
    for (what, token) in [
        ("another gateway's", signed(8, kind, &good)),
        ("a proof's type", signed(7, "x402-proof+jwt", &good)),
        (
            "the owner's claims",
            format!("{header}.{raised}.{signature}"),
        ),
        ("no signature", format!("{head}.")),
        (
            "alg none",
            format!("eyJhbGciOiJub25lIiwidHlwIjoieDQwMi1zZXNzaW9uK2p3dCJ9.{payload}."),
        ),
        ("expired", changed(|claims| claims.exp = claims.iat)),
        (
            "another issuer",
            changed(|claims| claims.iss = "http://other.test".into()),
        ),
        (
            "another member",
            changed(|claims| claims.sub = "mem_000000000000000000000000".into()),
        ),
        (
            "another workspace",
            changed(|claims| claims.workspace_id = "ws_000000000000000000000000".into()),
        ),
        (
            "an unknown key",
            changed(|claims| claims.key_id = "0000000000000000".into()),
        ),
    ] {
        assert_eq!(house.reads(&token).await, 401, "{what}");
    }
}
