//! A ledger that adds up, and each way in which it may be tampered with.

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::*;
use crate::ledger::check::{CheckReport, check};

/// A ledger with a payment in every state that needs no chain: reserved, failed, awaiting.
async fn ledger() -> House {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let mut rules = policy("1", "1", "100");
    rules["approvalAbove"] = json!("0.20");
    let agent = house.agent(&owner, rules).await;
    let who = crate::principal::Agent {
        workspace_id: owner.workspace_id.clone(),
        agent_id: agent.id.clone(),
    };
    for (invoice, amount) in [("inv_1", "0.05"), ("inv_2", "0.06"), ("inv_3", "0.25")] {
        let (_, quote) = house.quote(&agent.key, invoice, amount).await;
        let id = text(&quote, "quoteId");
        reserve(&house.gateway, &who, &id).await;
    }
    // The one that is paid over the router finds no treasury and fails.
    house.pay(&agent.key, "inv_4", "0.04").await;
    house.gateway.sending.close();
    house.gateway.sending.wait().await;
    house
}

async fn report(house: &House) -> CheckReport {
    check(house.folder.path()).await.unwrap()
}

/// Changes the ledger behind its own back.
async fn tamper(house: &House, sql: &'static str) {
    let options = SqliteConnectOptions::new()
        .filename(house.folder.path().join("ledger.sqlite"))
        .foreign_keys(false);
    let mut tampering = SqliteConnection::connect_with(&options).await.unwrap();
    for guard in [
        "DROP TRIGGER IF EXISTS events_stay_until_told",
        "DROP TRIGGER IF EXISTS postings_are_not_changed",
        "DROP TRIGGER IF EXISTS postings_are_not_removed",
        "DROP TRIGGER IF EXISTS payment_steps_are_not_changed",
        "DROP TRIGGER IF EXISTS payment_steps_are_not_removed",
        "DROP INDEX IF EXISTS payments_of_invoice",
    ] {
        sqlx::query(guard).execute(&mut tampering).await.unwrap();
    }
    let done = sqlx::query(sql).execute(&mut tampering).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql}");
}

#[tokio::test]
async fn a_ledger_that_was_only_stepped_adds_up() {
    let house = ledger().await;
    let report = report(&house).await;
    assert!(report.is_clean(), "{:?}", report.first);
    assert_eq!((report.payments, report.postings), (4, 8));
    assert_eq!(report.reserved, "0.11".parse().unwrap());
}

#[tokio::test]
async fn the_history_and_the_postings_are_only_added_to() {
    let house = ledger().await;
    for sql in [
        "UPDATE postings SET amount = '0'",
        "DELETE FROM postings",
        "UPDATE payment_steps SET at = 0",
        "DELETE FROM payment_steps",
    ] {
        let mut change = house.gateway.ledger.write().await.unwrap();
        let refused = sqlx::query(sql).execute(&mut *change).await.unwrap_err();
        assert!(refused.to_string().contains("only added to"), "{refused}");
    }
}

#[tokio::test]
async fn every_tampering_is_found_and_named() {
    for (sql, found) in [
        (
            "UPDATE postings SET amount = '5' WHERE number = 1",
            "postings do not balance",
        ),
        (
            "UPDATE postings SET account = 'spent' WHERE account = 'reserved' AND number = 2",
            "postings do not balance",
        ),
        (
            "DELETE FROM postings WHERE number = 1",
            "postings do not balance",
        ),
        (
            "DELETE FROM payment_steps WHERE status = 'awaiting_approval'",
            "history ends quoted",
        ),
        (
            "UPDATE payment_steps SET status = 'settled' WHERE status = 'failed'",
            "which none can",
        ),
        (
            "UPDATE payments SET status = 'reserved' WHERE status = 'failed'",
            "history ends failed",
        ),
        (
            "UPDATE payments SET failure = NULL WHERE status = 'failed'",
            "lacks a reason",
        ),
        (
            "UPDATE payments SET amount = '00000000000000000000000000000000000000000000000000000000000000000000000000001' \
             WHERE invoice_id = 'inv_1'",
            "postings do not balance",
        ),
        (
            "UPDATE payments SET amount = 'much' WHERE invoice_id = 'inv_1'",
            "unreadable",
        ),
        (
            "DELETE FROM held WHERE span = 'day'",
            "holds nothing in day",
        ),
        (
            "UPDATE held SET amount = '1' WHERE span = 'hour'",
            "its payments sum to 0.11",
        ),
        (
            "INSERT INTO held VALUES ('ag_0', 'day', '2026-01-01', '1')",
            "its payments sum to 0",
        ),
        (
            "UPDATE payments SET invoice_id = 'inv_1' WHERE invoice_id = 'inv_2'",
            "has 2 payments that live",
        ),
        (
            "UPDATE payments SET nonce = 3 WHERE invoice_id = 'inv_2'",
            "nonce 3 of workspace",
        ),
        ("DELETE FROM events WHERE step = 3", "step 3 has no event"),
    ] {
        let house = ledger().await;
        tamper(&house, sql).await;
        let report = report(&house).await;
        assert!(
            report
                .first
                .iter()
                .any(|difference| difference.contains(found)),
            "{sql}: {:?}",
            report.first
        );
    }
}

#[tokio::test]
async fn where_there_is_no_ledger_a_check_fails_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(check(folder.path()).await.is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
