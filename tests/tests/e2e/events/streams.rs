//! Streams of events over real connections: resumed without a gap or a repetition, ended by a stop, cut where nobody reads.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use x402_tests::{
    raw,
    shared::run,
    told,
    world::{PATIENCE, World, eventually, secret},
};

use crate::{EXE, crashes};

/// Reads a stream until it has told `count` events or has ended; answers their numbers.
async fn read(world: &World, path: &str, last: Option<u64>, count: usize) -> Vec<u64> {
    let url = world.gateway().join(path).unwrap();
    let mut request = reqwest::Client::new()
        .get(url)
        .bearer_auth(secret(&world.owner));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let Ok(mut stream) = request.send().await else {
        return Vec::new();
    };
    assert_eq!(stream.status(), 200);
    let (mut text, mut ids) = (String::new(), Vec::new());
    while ids.len() < count {
        let piece = tokio::time::timeout(PATIENCE, stream.chunk()).await;
        let Ok(Some(piece)) = piece.unwrap() else {
            break;
        };
        text.push_str(std::str::from_utf8(&piece).unwrap());
        // What was cut off is no event yet.
        let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
        let lines = whole.lines().filter_map(|line| line.strip_prefix("id: "));
        ids = lines.map(|id| id.parse().unwrap()).collect();
    }
    ids
}

async fn all(world: &World) -> Vec<u64> {
    let numbers: Vec<i64> = sqlx::query_scalar("SELECT number FROM events ORDER BY number")
        .fetch_all(&mut told::ledger(world).await)
        .await
        .unwrap();
    numbers
        .into_iter()
        .map(|number| number.try_into().unwrap())
        .collect()
}

#[test]
fn a_stream_that_is_cut_again_and_again_misses_nothing_and_repeats_nothing() {
    run(async {
        let world = World::new(EXE).await;
        world.stop().await;
        let mut node = crashes::start(&world).await;
        let mut seen: Vec<u64> = Vec::new();
        for number in 0..8 {
            if number % 3 == 2 {
                node.kill();
                node = crashes::start(&world).await;
            }
            crashes::start_payment(&world, number).await;
            let path = if seen.is_empty() {
                "events?after=0"
            } else {
                "events"
            };
            seen.extend(read(&world, path, seen.last().copied(), 3).await);
        }
        for number in 0..8 {
            world.settled(&format!("inv_{number}")).await;
        }
        let expected = all(&world).await;
        let left = expected.len() - seen.len();
        seen.extend(read(&world, "events", seen.last().copied(), left).await);
        assert_eq!(&seen[..expected.len()], expected);

        // A payment's own stream, as the agent sees it.
        let (_, page) = raw::get(
            world.gateway().join("payments?limit=1").unwrap().as_str(),
            Some(secret(&world.owner)),
        )
        .await;
        let id = page[0]["paymentId"].as_str().unwrap();
        let url = world
            .gateway()
            .join(&format!("payments/{id}/events?follow=false"))
            .unwrap();
        let stream = reqwest::Client::new()
            .get(url)
            .bearer_auth(&world.agent_key)
            .send();
        let text = stream.await.unwrap().text().await.unwrap();
        let told: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert_eq!(told[0]["type"], "payment.quoted");
        assert!(told.iter().any(|one| one["type"] == "payment.settled"));
        assert!(told.iter().all(|one| one["data"]["paymentId"] == id));
        node.kill();
    });
}

#[test]
fn a_stop_ends_open_streams_at_once() {
    run(async {
        let world = World::new(EXE).await;
        let open = read(&world, "events", None, usize::MAX);
        let stop = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            tokio::time::timeout(Duration::from_secs(5), world.stop()).await
        };
        let (_, stopped) = futures::join!(open, stop);
        stopped.expect("the stream does not hold the process up");
    });
}

#[test]
fn who_does_not_read_is_cut_off_and_holds_nothing() {
    run(async {
        let world = World::new(EXE).await;
        // More than the sockets of both sides take.
        let mut ledger = told::ledger_to_write(&world).await;
        sqlx::query(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
             INSERT INTO events (kind, workspace_id, body, at) SELECT 'quote.denied', ?, ?, 0 FROM n",
        )
        .bind(&world.workspace_id)
        .bind(filler(&world).to_string())
        .execute(&mut ledger)
        .await
        .unwrap();
        let address = world.stack.gateway;
        let mut stalled = TcpStream::connect(address).unwrap();
        let key = secret(&world.owner);
        write!(
            stalled,
            "GET /events?after=0 HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\r\n"
        )
        .unwrap();
        let metrics = format!("http://{}/metrics", world.stack.admin);
        let open = async || {
            let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
            let name = "x402_gateway_event_streams ";
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().parse::<u64>().unwrap()
        };
        eventually("it is open", async || open().await == 1).await;
        // The socket cuts it after a minute.
        tokio::time::sleep(Duration::from_secs(45)).await;
        eventually("it is cut off", async || open().await == 0).await;
        world.stop().await;
    });
}

/// The data of an event that nobody asked for.
fn filler(world: &World) -> Value {
    json!({
        "workspaceId": world.workspace_id, "agentId": world.agent_id, "quoteId": "qt_0", "status": "denied",
        "invoiceId": "inv_0", "amount": "1", "payTo": world.pay_to.to_checksum(None), "network": "devnet",
        "resource": "GET https://api.example.com/report", "code": "AGENT_REQUEST_LIMIT", "reason": "x".repeat(500),
    })
}

#[test]
fn the_events_command_prints_what_happens_and_goes_on_after_a_restart() {
    run(async {
        let world = World::new(EXE).await;
        world.stop().await;
        let mut node = crashes::start(&world).await;
        let command = |arguments: &[&str]| {
            let mut command = Command::new(EXE);
            command
                .arg("events")
                .args(arguments)
                .args(["--gateway-url", world.gateway().as_str()])
                .env("X402_OWNER_KEY", secret(&world.owner))
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            command
        };
        let mut following = command(&["--follow", "--after", "0"]).spawn().unwrap();
        let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
        let mut settled = async |invoice: &'static str| {
            world.settled(invoice).await;
            loop {
                let line = lines.next().unwrap().unwrap();
                let event: Value = serde_json::from_str(&line).unwrap();
                if event["type"] == "payment.settled" {
                    assert_eq!(event["data"]["invoiceId"], invoice);
                    return;
                }
            }
        };
        settled("inv_1").await;
        node.kill();
        let mut node = crashes::start(&world).await;
        settled("inv_2").await;
        following.kill().unwrap();
        following.wait().unwrap();
        let printed = command(&[]).output().unwrap();
        assert!(printed.status.success());
        let count = String::from_utf8(printed.stdout).unwrap().lines().count();
        assert!(count >= 12, "{count} events");
        node.kill();
    });
}
