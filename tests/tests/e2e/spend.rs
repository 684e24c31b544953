//! Spend as analysts see it: only money that moved, counted once, and what differs when something is wrong.

use alloy::providers::Provider;
use clickhouse::Client;
use serde_json::json;
use x402_tests::{
    shared::run,
    spend::{assert_reconciled, differences},
    world::{World, eventually},
};

use crate::{EXE, crashes};

/// The user who only reads.
mod reader;

/// The queries of `schemas/queries`.
mod queries;

/// A world in which some was spent, for good, and some was denied.
async fn spent_world(name: &str) -> World {
    let world = World::on_own_chain(EXE, name).await;
    sampled(&world).await;
    for number in 0..3 {
        world.settled(&format!("inv_{number}")).await;
    }
    sampled(&world).await;
    let (status, _) = world.quote("inv_dear", json!({ "amount": "11" })).await;
    assert_eq!(status, 403);
    world.chain().mine(100).await.unwrap();
    let clickhouse = world.clickhouse();
    eventually("all of it is closed", async || {
        let query = "SELECT countIf(is_closed), count() FROM outcomes";
        clickhouse
            .query(query)
            .fetch_one::<(u64, u64)>()
            .await
            .unwrap()
            == (4, 4)
    })
    .await;
    world
}

/// Waits until the treasury has been looked at as it is now, at the newest block.
async fn sampled(world: &World) {
    let head = world.chain().rpc().get_block_number().await.unwrap();
    let clickhouse = world.clickhouse();
    eventually("the treasury is looked at", async || {
        let query = "SELECT max(block_number) FROM treasury_states";
        clickhouse.query(query).fetch_one::<u64>().await.unwrap() == head
    })
    .await;
}

async fn execute(clickhouse: &Client, sql: &str) {
    let client = clickhouse.clone().with_setting("mutations_sync", "1");
    client.query(sql).execute().await.unwrap();
}

/// What differs, by its kind.
async fn kinds(clickhouse: &Client) -> Vec<String> {
    let mut kinds: Vec<String> = differences(clickhouse)
        .await
        .into_iter()
        .map(|(kind, ..)| kind)
        .collect();
    kinds.dedup();
    kinds
}

#[test]
fn whatever_is_tampered_with_makes_a_row() {
    run(async {
        let world = spent_world("tampered").await;
        let clickhouse = world.clickhouse();
        let url = world.options.clickhouse_url.as_str();
        assert_eq!(assert_reconciled(&world, url).await, 3);
        // Nothing more is written, and nothing of what follows is noticed and put right.
        world.stop().await;

        let states = "INSERT INTO payment_states SELECT * REPLACE (amount {} 1 AS amount) FROM payment_states FINAL \
                      WHERE invoice_id = 'inv_1'";
        let sums = "INSERT INTO ledger_sums SELECT * REPLACE (reserved {} 1 AS reserved) FROM ledger_sums FINAL";
        for (what, tamper, restore, expected) in [
            (
                "a payment's amount",
                states.replace("{}", "+"),
                states.replace("{}", "-"),
                vec!["closed", "ledger_spent", "transfers"],
            ),
            (
                "what is reserved",
                sums.replace("{}", "+"),
                sums.replace("{}", "-"),
                vec!["ledger_reserved"],
            ),
            (
                "a payment that is lost",
                "CREATE TABLE kept ENGINE = Memory AS SELECT * FROM payment_states FINAL; \
                 ALTER TABLE payment_states DELETE WHERE invoice_id = 'inv_2'"
                    .to_owned(),
                "INSERT INTO payment_states SELECT * FROM kept".to_owned(),
                vec!["closed", "ledger_spent", "transfers"],
            ),
            (
                "a transfer that is not of a payment",
                FORGED.replace("{deleted}", "0").replace("{version}", "1"),
                FORGED.replace("{deleted}", "1").replace("{version}", "2"),
                vec!["balance", "transfers"],
            ),
            (
                "a transfer that is lost",
                LOST.replace("{deleted}", "1").replace("{version}", "1"),
                LOST.replace("{deleted}", "0").replace("{version}", "2"),
                vec!["balance", "transfers"],
            ),
            (
                "an outcome that counts twice",
                "INSERT INTO closed_outcomes SELECT * FROM closed_outcomes WHERE payment_id != '' LIMIT 1".to_owned(),
                "ALTER TABLE closed_outcomes DELETE WHERE (payment_id, ended) IN \
                 (SELECT payment_id, ended FROM closed_outcomes GROUP BY ALL HAVING count() = 2)"
                    .to_owned(),
                vec!["closed"],
            ),
        ] {
            for sql in tamper.split("; ") {
                execute(&clickhouse, sql).await;
            }
            assert_eq!(kinds(&clickhouse).await, expected, "{what}");
            execute(&clickhouse, &restore).await;
            if what != "an outcome that counts twice" {
                assert_eq!(kinds(&clickhouse).await, Vec::<String>::new(), "{what}, restored");
            }
        }
    });
}

/// A transfer with a memo from the treasury to nobody that it ever paid.
const FORGED: &str = "INSERT INTO transfers SELECT * REPLACE (log_index + 1000 AS log_index, toFixedString('nobody', 20) AS recipient, \
                      (SELECT min(version) FROM transfers) + {version} AS version, {deleted} AS is_deleted) \
                      FROM (SELECT * FROM transfers WHERE tx_hash IN (SELECT tx_hash FROM payments WHERE invoice_id = 'inv_1') \
                      AND log_index < 1000 LIMIT 1)";

/// The transfer of a payment.
const LOST: &str = "INSERT INTO transfers SELECT * REPLACE (version + {version} AS version, {deleted} AS is_deleted) \
                    FROM transfers WHERE tx_hash IN (SELECT tx_hash FROM payments WHERE invoice_id = 'inv_1') AND log_index < 1000 \
                    ORDER BY version LIMIT 1";

#[test]
fn money_that_a_reorg_took_back_is_no_spend_at_once() {
    run(async {
        let world = World::on_own_chain(EXE, "unspent").await;
        let clickhouse = world.clickhouse();
        let spent = async || -> (u64, u64) {
            let query =
                "SELECT count(), assumeNotNull((SELECT sum(payments) FROM spend_daily)) FROM spend";
            clickhouse.query(query).fetch_one().await.unwrap()
        };
        world.settled("inv_1").await;
        eventually("it is spend", async || spent().await == (1, 1)).await;
        // The gateway is away, so that nobody tells of it but the index.
        world.stop().await;
        let retract = "INSERT INTO transfers SELECT * REPLACE ((SELECT max(seq) FROM commits) + 1 AS version, 1 AS is_deleted) \
                       FROM transfers WHERE tx_hash IN (SELECT tx_hash FROM payments)";
        execute(&clickhouse, retract).await;
        assert_eq!(spent().await, (1, 1), "the batch is not committed");
        let commit = "INSERT INTO commits SELECT * REPLACE (seq + 1 AS seq) FROM commits ORDER BY seq DESC LIMIT 1";
        execute(&clickhouse, commit).await;
        assert_eq!(spent().await, (0, 0));
        let query = "SELECT status FROM payments";
        let status: String = clickhouse.query(query).fetch_one().await.unwrap();
        assert_eq!(status, "settled", "as the gateway saw it last");
    });
}

#[test]
fn a_closing_that_a_kill_cuts_short_counts_nothing_twice() {
    run(async {
        let world = World::on_own_chain(EXE, "closing").await;
        let url = world.options.clickhouse_url.as_str();
        let clickhouse = world.clickhouse();
        world.stop().await;
        let mut node = crashes::start_to_die(&world, "closing=return").await;
        crashes::start_payment(&world, 1).await;
        world.chain().mine(100).await.unwrap();
        eventually("it dies at closing", async || node.has_ended()).await;
        let mut node = crashes::start(&world).await;
        world.settled("inv_1").await;
        world.chain().mine(100).await.unwrap();
        eventually("it is closed", async || {
            let query = "SELECT count() FROM spend WHERE is_closed";
            clickhouse.query(query).fetch_one::<u64>().await.unwrap() == 1
        })
        .await;
        assert_eq!(assert_reconciled(&world, url).await, 1);
        node.kill();
    });
}
