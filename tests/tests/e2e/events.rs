//! What happens to payments is told once to ClickHouse, and to everyone else without a gap, whatever fails in between.

use std::time::Duration;

use serde_json::json;
use x402::local::clickhouse::{ClickHouse, ClickHouseOptions};
use x402_tests::{
    scripted::{
        fuse::Fuse,
        gate::{Gate, Trouble},
    },
    shared::{run, shared},
    told::assert_told,
    world::{World, eventually},
};

use crate::{EXE, crashes};

/// Streams, resumed.
mod streams;

/// Endpoints that fail, are slow, are told the same again.
mod webhooks;

/// A world whose ClickHouse is reached through a gate.
async fn gated(name: &str, clickhouse: &ClickHouse) -> (World, Gate) {
    let shared = shared(EXE).await;
    let gate = Gate::start(clickhouse.url.clone(), Fuse::default()).await;
    let chain = shared.own_chain(name).await;
    let way = gate.url.clone();
    let world = World::on_chain_with(EXE, chain, |options| options.clickhouse_url = way).await;
    (world, gate)
}

#[test]
fn an_event_is_in_clickhouse_once_wherever_the_gateway_dies() {
    run(async {
        let shared = shared(EXE).await;
        let (world, gate) = gated("events-kills", &shared.clickhouse).await;
        world.stop().await;
        let url = shared.clickhouse.url.as_str();
        // Between the end of a batch and its insert, between the insert and the cursor.
        for (number, point) in ["exporting", "exported"].into_iter().enumerate() {
            let mut node = crashes::start_to_die(&world, &format!("{point}=return")).await;
            crashes::start_payment(&world, number).await;
            eventually(&format!("it dies at {point}"), async || node.has_ended()).await;
            let mut node = crashes::start(&world).await;
            world.settled(&format!("inv_{number}")).await;
            assert_told(&world, url).await;
            node.kill();
        }
        let mut node = crashes::start(&world).await;
        // Acknowledgements that are lost, inserts that are cut in half.
        for number in 10..16 {
            let trouble = Trouble {
                lose: 3,
                cut: 1,
                ..Trouble::default()
            };
            gate.make(trouble);
            let (status, _) = world
                .quote(&format!("dear_{number}"), json!({ "amount": "11" }))
                .await;
            assert_eq!(status, 403);
            world.settled(&format!("inv_{number}")).await;
            assert_told(&world, url).await;
        }
        node.kill();
    });
}

#[test]
fn payments_go_on_without_clickhouse_and_it_is_told_when_it_is_back() {
    run(async {
        let shared = shared(EXE).await;
        let folder = tempfile::tempdir().unwrap();
        let mut options = ClickHouseOptions {
            folder: folder.path().join("clickhouse"),
            http_port: None,
        };
        let start = async |options: &ClickHouseOptions| {
            ClickHouse::start(&shared.launcher, &shared.tools.clickhouse, options)
                .await
                .unwrap()
        };
        let clickhouse = start(&options).await;
        options.http_port = clickhouse.url.port();
        let (world, _gate) = gated("events-away", &clickhouse).await;
        world.settled("inv_before").await;
        drop(clickhouse);
        // The index is away too, so they are broadcast and wait for it.
        for number in 0..5 {
            let (status, quote) = world.quote(&format!("inv_{number}"), json!({})).await;
            assert_eq!(status, 200, "{quote}");
            let pay = json!({ "quoteId": quote["quoteId"], "waitMs": 0 });
            let (status, answer) = world.agent_post("pay", &pay).await;
            assert_eq!(status, 202, "{answer}");
        }
        let metrics = format!("http://{}/metrics", world.stack.admin);
        let backlog = "x402_gateway_events_backlog{consumer=\"clickhouse\"} ";
        eventually("the backlog shows", async || {
            let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix(backlog));
            line.unwrap().parse::<u64>().unwrap() >= 15
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let clickhouse = start(&options).await;
        for number in 0..5 {
            world.settled(&format!("inv_{number}")).await;
        }
        let told = assert_told(&world, clickhouse.url.as_str()).await;
        assert!(told >= 36, "{told} events of 6 payments");
        world.stop().await;
    });
}
