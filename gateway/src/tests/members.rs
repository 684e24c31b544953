//! Members and their roles, over the router.

use std::path::Path;

use sqlx::{SqlitePool, migrate::Migrator, sqlite::SqliteConnectOptions};
use x402_schemas::api::members::Role;
use x402_service::api_key::{ApiKey, KeyKind};

use super::*;
use crate::ledger::api_keys::{self, HeldBy};

impl House {
    async fn set_role(&self, key: &str, member_id: &str, role: &str) -> (u16, Value) {
        let path = format!("/members/{member_id}/role");
        self.send("PUT", &path, key, json!({"role": role})).await
    }

    async fn remove(&self, key: &str, member_id: &str) -> (u16, Value) {
        let path = format!("/members/{member_id}/remove");
        self.send("POST", &path, key, Value::Null).await
    }

    async fn me(&self, key: &str) -> (u16, Value) {
        self.send("GET", "/members/me", key, Value::Null).await
    }
}

fn refused(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_role_holds_and_changes_at_once() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let clerk = house.member(&owner, "viewer").await;
    let create = json!({"name": "buyer"});
    let (status, body) = house
        .send("POST", "/agents", &clerk.key, create.clone())
        .await;
    assert_eq!(
        (status, text(&body, "error").as_str()),
        (403, "ROLE_REQUIRED")
    );
    let message = text(&body, "message");
    assert!(
        message.contains("role admin") && message.contains("yours is viewer"),
        "{message}"
    );
    assert_eq!(house.set_role(&owner.key, &clerk.id, "admin").await.0, 200);
    let answer = house.send("POST", "/agents", &clerk.key, create).await;
    assert_eq!(answer.0, 201);
    let (_, me) = house.me(&clerk.key).await;
    assert_eq!(
        (&me["memberId"], &me["role"]),
        (&json!(clerk.id), &json!("admin"))
    );
    // Not even an admin makes itself or another an owner.
    let answer = house.set_role(&clerk.key, &clerk.id, "owner").await;
    assert_eq!(refused(&answer), (403, "ROLE_REQUIRED"));
    let body = json!({"name": "friend", "role": "owner"});
    let answer = house.send("POST", "/members", &clerk.key, body).await;
    assert_eq!(refused(&answer), (403, "ROLE_REQUIRED"));
}

#[tokio::test]
async fn a_role_that_is_none_is_refused() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    for role in [
        json!("root"),
        json!("Owner"),
        json!(""),
        json!(null),
        json!(3),
    ] {
        let body = json!({"name": "x", "role": role});
        let answer = house.send("POST", "/members", &owner.key, body).await;
        assert_eq!(refused(&answer), (400, "INVALID_REQUEST"), "{role}");
    }
    let list = house.get("/members", &owner.key).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_workspace_keeps_an_owner() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let (_, me) = house.me(&owner.key).await;
    let first = text(&me, "memberId");
    let last = (409, "LAST_OWNER");
    assert_eq!(refused(&house.remove(&owner.key, &first).await), last);
    assert_eq!(
        refused(&house.set_role(&owner.key, &first, "admin").await),
        last
    );
    let keys = house.get("/keys", &owner.key).await;
    let path = format!("/keys/{}/revoke", text(&keys[0], "keyId"));
    let answer = house.send("POST", &path, &owner.key, Value::Null).await;
    assert_eq!(refused(&answer), last);
    // Staying an owner is no change.
    assert_eq!(house.set_role(&owner.key, &first, "owner").await.0, 200);

    let second = house.member(&owner, "owner").await;
    assert!(second.key.starts_with("x402_owner_"));
    assert_eq!(house.remove(&second.key, &first).await.0, 200);
    assert_eq!(house.me(&owner.key).await.0, 401);
    assert_eq!(refused(&house.remove(&second.key, &second.id).await), last);
    // An admin in the house does not help.
    let tenant = Tenant {
        workspace_id: owner.workspace_id,
        member_id: second.id.clone(),
        key: second.key,
    };
    house.member(&tenant, "admin").await;
    assert_eq!(refused(&house.remove(&tenant.key, &second.id).await), last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_owners_that_remove_each_other_leave_one() {
    let house = Arc::new(House::new().await);
    for _ in 0..10 {
        let owner = house.workspace("100").await;
        let (_, me) = house.me(&owner.key).await;
        let (first, second) = (text(&me, "memberId"), house.member(&owner, "owner").await);
        let removals = [
            (owner.key.clone(), second.id.clone()),
            (second.key.clone(), first),
        ]
        .map(|(key, id)| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.remove(&key, &id).await.0 })
        });
        let [one, other] = removals;
        let statuses = [one.await.unwrap(), other.await.unwrap()];
        // The second finds itself removed already, or the last.
        assert!(statuses.contains(&200), "{statuses:?}");
        let alive = [&owner.key, &second.key];
        let mut left = 0;
        for key in alive {
            left += usize::from(house.me(key).await.0 == 200);
        }
        assert_eq!(left, 1, "{statuses:?}");
    }
}

#[tokio::test]
async fn a_removed_member_is_nobody_and_stays_on_the_list() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let clerk = house.member(&owner, "member").await;
    let (status, first) = house.remove(&owner.key, &clerk.id).await;
    assert_eq!(status, 200);
    assert!(first["removedAt"].is_string());
    assert_eq!(house.remove(&owner.key, &clerk.id).await, (200, first));
    assert_eq!(house.me(&clerk.key).await.0, 401);
    for (method, path, body) in [
        ("PUT", "role", json!({"role": "admin"})),
        ("POST", "rotate", Value::Null),
    ] {
        let path = format!("/members/{}/{path}", clerk.id);
        let answer = house.send(method, &path, &owner.key, body).await;
        assert_eq!(refused(&answer), (404, "NOT_FOUND"));
    }
    let list = house.get("/members", &owner.key).await;
    assert_eq!(list.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn another_workspaces_members_and_keys_are_not_found() {
    let house = House::new().await;
    let (one, two) = (house.workspace("100").await, house.workspace("100").await);
    let clerk = house.member(&one, "viewer").await;
    let key_id = clerk.key.split('_').nth(2).unwrap();
    for (method, path, body) in [
        (
            "PUT",
            format!("/members/{}/role", clerk.id),
            json!({"role": "owner"}),
        ),
        ("POST", format!("/members/{}/rotate", clerk.id), Value::Null),
        ("POST", format!("/members/{}/remove", clerk.id), Value::Null),
        ("POST", format!("/keys/{key_id}/revoke"), Value::Null),
    ] {
        let answer = house.send(method, &path, &two.key, body).await;
        assert_eq!(refused(&answer), (404, "NOT_FOUND"), "{path}");
    }
    for path in ["/members", "/keys"] {
        let list = house.get(path, &two.key).await;
        assert_eq!(list.as_array().unwrap().len(), 1, "{path}");
        assert!(!list.to_string().contains(&clerk.id));
    }
    assert_eq!(house.me(&clerk.key).await.1["role"], "viewer");
}

#[tokio::test]
async fn a_viewer_reads_no_key_and_no_secret() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let (_, provider) = house.provider(&owner, PAYEE).await;
    let viewer = house.member(&owner, "viewer").await;
    let provider_key = text(&provider, "apiKey");
    let keys = [&owner.key, &agent.key, &viewer.key, &provider_key];
    for path in [
        "/workspace",
        "/payments",
        "/approvals",
        "/agents",
        "/providers",
        "/members",
        "/members/me",
    ] {
        let seen = house.get(path, &viewer.key).await.to_string();
        for key in keys {
            for part in key.split('_').skip(2) {
                assert!(!seen.contains(part), "{path}");
            }
        }
    }
    let answer = house.send("GET", "/keys", &viewer.key, Value::Null).await;
    assert_eq!(refused(&answer), (403, "ROLE_REQUIRED"));
    // An admin sees ids of keys, but not of members' keys, and secrets of none.
    let admin = house.member(&owner, "admin").await;
    let seen = house.get("/keys", &admin.key).await;
    let ids: Vec<_> = seen
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["holderId"])
        .collect();
    assert_eq!(ids, [&json!(agent.id), &provider["providerId"]]);
    for key in keys {
        assert!(!seen.to_string().contains(key.rsplit('_').next().unwrap()));
    }
    let members_key = viewer.key.split('_').nth(2).unwrap();
    let path = format!("/keys/{members_key}/revoke");
    let answer = house.send("POST", &path, &admin.key, Value::Null).await;
    assert_eq!(refused(&answer), (403, "ROLE_REQUIRED"));
}

/// A ledger as it was before there were members, with one workspace: its owner's, an agent's and a provider's key.
async fn ledger_of_before(folder: &Path, keys: [&ApiKey; 3]) {
    let migrations = tempfile::tempdir().unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/migrations/ledger");
    for entry in std::fs::read_dir(all).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap() < "0007" {
            std::fs::copy(entry.path(), migrations.path().join(entry.file_name())).unwrap();
        }
    }
    let options = SqliteConnectOptions::new()
        .filename(folder.join("ledger.sqlite"))
        .create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let migrator = Migrator::new(migrations.path()).await.unwrap();
    migrator.run(&pool).await.unwrap();
    for row in [
        "INSERT INTO workspaces (id, name, monthly_budget, created_at) VALUES ('ws_1', 'house', '1', 5)",
        "INSERT INTO agents (id, workspace_id, name, created_at) VALUES ('ag_1', 'ws_1', 'buyer', 5)",
        "INSERT INTO providers (id, workspace_id, name, created_at) VALUES ('prov_1', 'ws_1', 'seller', 5)",
    ] {
        sqlx::query(row).execute(&pool).await.unwrap();
    }
    let holders = [(None, None), (Some("ag_1"), None), (None, Some("prov_1"))];
    for (key, (agent, provider)) in keys.into_iter().zip(holders) {
        sqlx::query(
            "INSERT INTO api_keys (key_id, hash, workspace_id, agent_id, provider_id, created_at) \
             VALUES (?, zeroblob(32), 'ws_1', ?, ?, 5)",
        )
        .bind(key.key_id())
        .bind(agent)
        .bind(provider)
        .execute(&pool)
        .await
        .unwrap();
    }
    pool.close().await;
}

#[tokio::test]
async fn the_owner_of_a_ledger_of_before_is_its_first_member() {
    let folder = tempfile::tempdir().unwrap();
    let [owner, agent, provider] = [KeyKind::Owner, KeyKind::Agent, KeyKind::Provider]
        .map(|kind| ApiKey::generate(kind).unwrap());
    ledger_of_before(folder.path(), [&owner, &agent, &provider]).await;
    let ledger = Ledger::open(folder.path()).await.unwrap();
    let mut conn = ledger.read().await.unwrap();
    let mut held_by = Vec::new();
    for key in [&owner, &agent, &provider] {
        let valid = api_keys::find_valid(&mut conn, key.key_id(), clock::now());
        held_by.push(valid.await.unwrap().unwrap().held_by);
    }
    let [
        HeldBy::Member { id, role },
        HeldBy::Agent(of_agent),
        HeldBy::Provider,
    ] = &held_by[..]
    else {
        panic!("{held_by:?}");
    };
    assert_eq!((*role, of_agent.as_str()), (Role::Owner, "ag_1"));
    assert!(id.starts_with("mem_") && id.len() == 28, "{id}");
    let keys = api_keys::valid_of(&mut conn, "ws_1", clock::now());
    let holders: Vec<_> = keys
        .await
        .unwrap()
        .into_iter()
        .map(|key| key.holder_id)
        .collect();
    assert!(holders.contains(id) && holders.contains(&"prov_1".to_owned()));
}
