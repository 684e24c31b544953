//! Processes killed with -9. What was promised before the kill holds after it.

use std::{
    collections::HashMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use x402_schemas::{index::Change, transfer::TransferKind};
use x402_tests::{
    ledger, raw,
    shared::run,
    spend,
    world::{PATIENCE, World, amount, eventually, secret},
};

use crate::EXE;

/// Payments under way when the process is killed.
const PAYMENTS: usize = 12;

/// A process that does not outlive its test, however that ends.
pub(crate) struct Process(Child);

impl Process {
    /// Takes a process that was started.
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs the world's services in a process of their own.
pub(crate) async fn start(world: &World) -> Process {
    start_to_die(world, "").await
}

/// The same, to die at a point such as `signed=return`.
pub(crate) async fn start_to_die(world: &World, points: &str) -> Process {
    start_with(world, |command| {
        command.env("FAILPOINTS", points);
    })
    .await
}

/// The same, with a change of its command.
pub(crate) async fn start_with(world: &World, change: impl FnOnce(&mut Command)) -> Process {
    let mut command = world.node_command(EXE);
    change(&mut command);
    let process = Process(command.stdout(Stdio::null()).spawn().unwrap());
    let ready = format!("http://{}/readyz", world.stack.admin);
    eventually("the node is ready", async || {
        reqwest::get(&ready)
            .await
            .is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    process
}

/// Quotes and asks to pay, without waiting for settlement; whatever happens is for later to judge.
pub(crate) async fn start_payment(world: &World, number: usize) -> Option<()> {
    let url = world.gateway();
    let invoice = json!({
        "invoiceId": format!("inv_{number}"), "amount": "0.05", "payTo": world.pay_to.to_checksum(None),
        "network": "devnet", "providerUrl": "http://127.0.0.1:1/report",
    });
    let client = reqwest::Client::new();
    let post = |path: &str, body: &Value| {
        client
            .post(url.join(path).unwrap())
            .bearer_auth(&world.agent_key)
            .json(body)
            .send()
    };
    let quote: Value = post("quote", &invoice).await.ok()?.json().await.ok()?;
    let pay = json!({ "quoteId": quote["quoteId"], "waitMs": 0 });
    post("pay", &pay).await.ok().map(drop)
}

#[test]
fn a_restart_resolves_every_payment_in_flight_and_pays_none_twice() {
    run(async {
        let world = World::new(EXE).await;
        world.stop().await;
        for round in 0..5_u64 {
            let mut node = start(&world).await;
            let payments = async {
                let numbers = 0..PAYMENTS;
                futures::future::join_all(numbers.map(|number| start_payment(&world, number))).await
            };
            // The kill comes earlier or later in the payments' way each round.
            let moment = Duration::from_millis(5 + 60 * round);
            let _ = tokio::time::timeout(moment, payments).await;
            node.kill();
        }
        let mut node = start(&world).await;
        // Agents ask again for what they got no answer to.
        futures::future::join_all((0..PAYMENTS).map(|number| start_payment(&world, number))).await;
        let payments_url = world.gateway().join("payments?limit=100").unwrap();
        let mut payments = Vec::new();
        eventually("every payment has ended", async || {
            let (_, body) = raw::get(payments_url.as_str(), Some(secret(&world.owner))).await;
            payments = body.as_array().cloned().unwrap_or_default();
            let settled = payments
                .iter()
                .filter(|payment| payment["status"] == "settled")
                .count();
            settled == PAYMENTS
                && payments
                    .iter()
                    .all(|payment| payment["status"] == "settled" || payment["status"] == "failed")
        })
        .await;

        // At most one transfer for each invoice, by the hash that each carries.
        world.caught_up().await;
        let mut transfers: HashMap<_, usize> = HashMap::new();
        for commit in world.index().commits_after(0, 10_000).await.unwrap() {
            for change in world.index().changes(&commit).await.unwrap() {
                let Change::Added(transfer) = change else {
                    panic!("no reorg took place")
                };
                if transfer.kind == TransferKind::Payment {
                    *transfers.entry(transfer.memo.unwrap()).or_default() += 1;
                }
            }
        }
        assert_eq!(transfers.len(), PAYMENTS);
        assert!(transfers.values().all(|count| *count == 1), "{transfers:?}");
        assert_eq!(world.balance(world.pay_to).await, amount("0.6"));
        let agents = world.owner.agents().await.unwrap();
        assert_eq!(
            agents[0].daily_spent,
            amount("0.6"),
            "reserved and spent are what moved"
        );
        ledger::assert_adds_up(&world, EXE);
        node.kill();
    });
}

/// Points on a payment's way, each before or after one of its steps is durable.
const POINTS: [&str; 8] = [
    "reserving",
    "reserved",
    "signing",
    "signed",
    "sent",
    "broadcast",
    "settling",
    "settled",
];

#[test]
fn a_kill_at_any_step_of_a_payment_loses_nothing_and_pays_once() {
    run(async {
        let world = World::new(EXE).await;
        world.stop().await;
        for (number, point) in POINTS.into_iter().enumerate() {
            let mut node = start_to_die(&world, &format!("{point}=return")).await;
            start_payment(&world, number).await;
            eventually(&format!("it dies at {point}"), async || node.has_ended()).await;
            ledger::assert_adds_up(&world, EXE);
            let mut node = start(&world).await;
            start_payment(&world, number).await;
            let payments_url = world.gateway().join("payments?limit=100").unwrap();
            eventually(&format!("what died at {point} ends"), async || {
                let (_, body) = raw::get(payments_url.as_str(), Some(secret(&world.owner))).await;
                let settled = body.as_array().unwrap().iter();
                settled.filter(|one| one["status"] == "settled").count() == number + 1
            })
            .await;
            ledger::assert_adds_up(&world, EXE);
            node.kill();
        }
        // Each was paid once, and nothing is held for what died before it was signed.
        let mut node = start(&world).await;
        assert_eq!(world.balance(world.pay_to).await, amount("0.4"));
        let agents = world.owner.agents().await.unwrap();
        assert_eq!(agents[0].daily_spent, amount("0.4"));
        let clickhouse = world.options.clickhouse_url.as_str();
        assert_eq!(spend::assert_reconciled(&world, clickhouse).await, 8);
        node.kill();
    });
}

#[test]
fn what_was_reserved_before_a_kill_is_driven_on_by_the_restart() {
    run(async {
        let world = World::new(EXE).await;
        world
            .set_policy(|policy| policy.approval_above = Some(amount("0.05")))
            .await;
        world.stop().await;
        let payments_url = world.gateway().join("payments?limit=100").unwrap();
        let all_settled = async |count: usize| {
            let (_, body) = raw::get(payments_url.as_str(), Some(secret(&world.owner))).await;
            let payments = body.as_array().unwrap();
            payments.len() == count && payments.iter().all(|one| one["status"] == "settled")
        };
        let mut node = start_to_die(&world, "reserved=return").await;
        start_payment(&world, 0).await;
        died(&mut node, "reserved").await;
        // Nobody asks for it again.
        let mut node = start_to_die(&world, "approved=return").await;
        eventually("it settles", async || all_settled(1).await).await;

        let (_, quote) = world.quote("inv_dear", json!({ "amount": "0.06" })).await;
        let (_, waits) = world.pay(quote["quoteId"].as_str().unwrap()).await;
        let id = waits["paymentId"].as_str().unwrap();
        drop(world.owner.approve(id).await);
        died(&mut node, "approved").await;
        let mut node = start(&world).await;
        eventually("the approved one settles, too", async || {
            all_settled(2).await
        })
        .await;
        assert_eq!(world.balance(world.pay_to).await, amount("0.11"));
        ledger::assert_adds_up(&world, EXE);
        node.kill();
    });
}

async fn died(node: &mut Process, point: &str) {
    eventually(&format!("it dies at {point}"), async || {
        node.0.try_wait().unwrap().is_some()
    })
    .await;
}

#[test]
fn a_claim_that_was_answered_outlives_a_kill() {
    run(async {
        let world = World::new(EXE).await;
        let proof = world.settled("inv_1").await["proof"]
            .as_str()
            .unwrap()
            .to_owned();
        world.stop().await;
        let mut node = start(&world).await;
        let first = world
            .verify(&proof, "inv_1", json!({ "attempt": "a" }))
            .await;
        assert_eq!(first["verified"], true, "{first}");
        node.kill();
        let mut node = start(&world).await;
        let other = world
            .verify(&proof, "inv_1", json!({ "attempt": "b" }))
            .await;
        assert_eq!(other["errorCode"], "ALREADY_CLAIMED", "{other}");
        let same = world
            .verify(&proof, "inv_1", json!({ "attempt": "a" }))
            .await;
        assert_eq!(same["claimedAt"], first["claimedAt"]);
        node.kill();
    });
}

#[test]
fn the_demo_buys_resumes_and_leaves_no_process_behind() {
    run(async {
        // The tools must not be installed twice at once by the demo and by the tests' own servers.
        x402_tests::shared::tools().await;
        let folder = tempfile::tempdir().unwrap();
        for start in 0..2 {
            let output = demo(folder.path(), true).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success(),
                "start {start}: {text}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            for shown in ["402", "settled", "verified", "0x", "block"] {
                assert!(
                    text.contains(shown),
                    "start {start} does not show {shown}:\n{text}"
                );
            }
            assert_eq!(
                processes_in(folder.path()),
                Vec::<String>::new(),
                "start {start}"
            );
        }

        let mut demo_command = demo(folder.path(), false);
        demo_command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Process(demo_command.spawn().unwrap());
        eventually("the demo's servers run", async || {
            processes_in(folder.path()).len() >= 2
        })
        .await;
        running.kill();
        let begin = Instant::now();
        while !processes_in(folder.path()).is_empty() {
            assert!(
                begin.elapsed() < PATIENCE,
                "still there: {:?}",
                processes_in(folder.path())
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let output = demo(folder.path(), true).output().unwrap();
        assert!(
            output.status.success(),
            "after a kill: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
}

fn demo(folder: &Path, once: bool) -> Command {
    let mut command = Command::new(EXE);
    command
        .arg("demo")
        .arg("--data-dir")
        .arg(folder)
        .args(["--ports", "any"]);
    command
        .arg("--tools-dir")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.x402/tools"));
    command.args(once.then_some("--once"));
    command
}

/// Command lines of the living processes that mention the folder, the demo itself apart.
fn processes_in(folder: &Path) -> Vec<String> {
    let name = folder.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(bytes) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        if line.contains(&name) && !line.contains("demo --data-dir") {
            found.push(line);
        }
    }
    found
}
