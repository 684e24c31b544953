//! One indexer after another, while ClickHouse still works on what the first one sent.

use std::{sync::Arc, time::Duration};

use alloy::primitives::B256;
use prometheus::Registry;
use tokio::sync::watch;
use x402_indexer::{
    batch::{Batch, Stamp},
    metrics::Metrics,
    reorg::Header,
    writer::Writer,
};
use x402_schemas::network::Network;
use x402_service::{admin::Readiness, clock};
use x402_tests::{
    shared::run,
    world::{World, amount},
};

use crate::{EXE, index::assert_index_equals_the_chain};

#[test]
fn a_commit_that_arrives_after_its_indexer_was_replaced_is_dropped() {
    run(async {
        let mut world = World::on_own_chain(EXE, "late-commit").await;
        world.token.mint(world.pay_to, amount("1")).await.unwrap();
        world.caught_up().await;
        world.stop().await;
        let tip = world.index().tip().await.unwrap().unwrap();
        let mut dead = Writer::new(
            world.clickhouse(),
            Network::DEVNET,
            tip.seq,
            Arc::new(Metrics::register(&Registry::new()).unwrap()),
            Readiness::starting("dead"),
            watch::Sender::new(tip.seq),
        );
        let stamp = Stamp {
            network: Network::DEVNET,
            version: tip.seq + 1,
            finalized: tip.finalized,
            written_at: clock::now().as_millisecond(),
        };
        let elsewhere = Header {
            number: tip.block_number + 1,
            hash: B256::repeat_byte(0xee),
            parent_hash: tip.block_hash,
            time: tip.block_time,
        };
        let late = Batch::added(stamp, elsewhere.number, &[elsewhere], Vec::new()).unwrap();
        world.restart().await;
        dead.publish(&late).await;
        let known = "SELECT count() FROM commits WHERE tip_hash = unhex(?)";
        let hash = alloy::hex::encode(elsewhere.hash);
        let known = world.clickhouse().query(known).bind(hash);
        assert_eq!(known.fetch_one::<u64>().await.unwrap(), 0);
        world.token.mint(world.pay_to, amount("1")).await.unwrap();
        assert_index_equals_the_chain(&world).await;
        world.stop().await;
    });
}

#[test]
fn an_indexer_begins_when_clickhouse_has_done_with_what_the_last_one_sent() {
    run(async {
        let mut world = World::on_own_chain(EXE, "late-rows").await;
        world.caught_up().await;
        world.stop().await;
        let sent = world
            .clickhouse()
            .with_setting("log_comment", "x402 indexer");
        let slow = tokio::spawn(async move {
            let insert = "INSERT INTO blocks SELECT * FROM blocks WHERE sleep(2) = 1 LIMIT 1";
            sent.query(insert).execute().await.unwrap();
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!slow.is_finished());
        world.restart().await;
        assert!(slow.is_finished());
        assert_index_equals_the_chain(&world).await;
        world.stop().await;
    });
}
