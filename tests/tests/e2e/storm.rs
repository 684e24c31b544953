//! Payments while the gateway is killed with -9, its line to the chain is cut, and ClickHouse comes and goes. Afterwards each
//! invoice is paid once on the chain, and the chain, the ledger and ClickHouse say the same.
//!
//! Some dozens of payments by default; `X402_STORM_PAYMENTS=10000` makes as many, `X402_STORM_SEED=7` lets other things
//! happen.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "numbers stay far from any limit, how many payments to make has no flag, and a long run says what it went through"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, U256, keccak256},
    providers::Provider,
    rpc::types::Filter,
};
use fastrand::Rng;
use futures::{StreamExt, stream};
use reqwest::Client;
use serde_json::{Value, json};
use x402::local::clickhouse::{ClickHouse, ClickHouseOptions};
use x402_tests::{
    ledger,
    line::Line,
    shared::{Shared, run, shared},
    spend, told,
    world::{World, eventually},
};

use crate::{EXE, crashes::Process};

/// Payments of an ordinary test run, and how many are under way at once.
const PAYMENTS: usize = 48;
const AT_ONCE: usize = 16;
/// Payments between two looks at whether all is well.
const ROUND: usize = 200;
/// What each pays; 10,000 of them fit the agent's limit for a day.
const PRICE: &str = "0.01";
const PRICE_UNITS: u64 = 10_000_000_000_000_000;
/// How long a payment may take in all, however often what it needs is away.
const PATIENCE: Duration = Duration::from_mins(5);
const ETHER: u64 = 1_000_000_000_000_000_000;
/// Blocks of one question for logs.
const LOGS_AT_ONCE: u64 = 5_000;

/// A transfer as all three sides know it: transaction, log, block.
type Transfers = BTreeSet<(B256, u32, u64)>;

/// The services and everything that they need, each of which may go away.
struct Storm<'a> {
    shared: &'a Shared,
    world: World,
    node: Process,
    line: Line,
    clickhouse: Option<ClickHouse>,
    options: ClickHouseOptions,
    rng: Rng,
    noted: BTreeMap<&'static str, usize>,
}

#[test]
fn each_invoice_is_paid_once_whatever_is_killed_and_cut() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        let number: Result<u64, _> = text.parse();
        Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    let payments =
        number("X402_STORM_PAYMENTS").map_or(PAYMENTS, |count| count.try_into().unwrap());
    let seed = number("X402_STORM_SEED").unwrap_or(1);
    run(async {
        let begin = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let options = ClickHouseOptions {
            folder: folder.path().join("clickhouse"),
            http_port: None,
        };
        let mut storm = Storm::start(options, seed).await;
        let round = ROUND.min(payments / 3);
        let mut made = 0;
        while made < payments {
            let end = payments.min(made + round);
            storm.round(made..end).await;
            made = end;
        }
        storm.assert_quiet(payments).await;
        let (took, noted) = (begin.elapsed(), &storm.noted);
        eprintln!("{payments} payments in {took:?}, seed {seed}, went through {noted:?}");
    });
}

impl Storm<'_> {
    async fn start(mut options: ClickHouseOptions, seed: u64) -> Self {
        let shared = shared(EXE).await;
        let clickhouse = start_clickhouse(shared, &options).await;
        options.http_port = clickhouse.url.port();
        let chain = shared.own_chain("storm").await;
        let line = Line::to(&chain.url).await;
        let (rpc, rows) = (line.url.clone(), clickhouse.url.clone());
        let world = World::on_chain_with(EXE, chain, |options| {
            options.rpc_urls = vec![rpc];
            options.clickhouse_url = rows;
        })
        .await;
        let spender = world.owner.workspace().await.unwrap().spender;
        let ether = U256::from(ETHER) * U256::from(100);
        world.token.fund_gas(spender, ether).await.unwrap();
        world.stop().await;
        let node = spawn(&world);
        let mut storm = Self {
            shared,
            world,
            node,
            line,
            clickhouse: Some(clickhouse),
            options,
            rng: Rng::with_seed(seed),
            noted: BTreeMap::new(),
        };
        storm.until_ready().await;
        storm
    }

    /// Some payments, and trouble meanwhile.
    async fn round(&mut self, numbers: std::ops::Range<usize>) {
        let client = Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let buyer = Buyer {
            client,
            gateway: self.world.gateway(),
            key: self.world.agent_key.clone(),
            pay_to: self.world.pay_to,
        };
        let count = numbers.len();
        let buying = tokio::spawn(async move {
            let payments = numbers.map(|number| buyer.settle(number));
            stream::iter(payments)
                .buffer_unordered(AT_ONCE)
                .collect::<Vec<()>>()
                .await
        });
        // At least once each; more where there is more to hit.
        for trouble in 0..(count / 20).max(4) {
            let pause = self.rng.u64(50..900);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.trouble(trouble).await;
        }
        while !buying.is_finished() {
            self.revive();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        buying.await.unwrap();
    }

    async fn trouble(&mut self, number: usize) {
        let kinds = ["kill", "cut", "clickhouse", "line down"];
        // The first of a round are one of each.
        let kind = kinds
            .get(number)
            .copied()
            .unwrap_or_else(|| kinds[self.rng.usize(..kinds.len())]);
        *self.noted.entry(kind).or_default() += 1;
        let a_while = Duration::from_millis(self.rng.u64(0..1_500));
        match kind {
            "kill" => {
                self.node.kill();
                tokio::time::sleep(a_while / 4).await;
                self.node = spawn(&self.world);
                self.until_ready().await;
            }
            "cut" => self.line.cut(),
            "clickhouse" => {
                drop(self.clickhouse.take());
                tokio::time::sleep(a_while).await;
                self.clickhouse = Some(start_clickhouse(self.shared, &self.options).await);
            }
            _ => {
                self.line.set_down(true);
                tokio::time::sleep(a_while).await;
                self.line.set_down(false);
            }
        }
    }

    /// What a supervisor does: a process that ended is started again.
    fn revive(&mut self) {
        if self.node.has_ended() {
            *self.noted.entry("ended by itself").or_default() += 1;
            self.node = spawn(&self.world);
        }
    }

    async fn until_ready(&mut self) {
        let ready = format!("http://{}/readyz", self.world.stack.admin);
        eventually("the node is ready", async || {
            self.revive();
            let answer = reqwest::get(&ready).await;
            answer.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    /// At rest, everything adds up, and three sides say the same.
    async fn assert_quiet(&mut self, payments: usize) {
        self.until_ready().await;
        let mut ledger = told::ledger(&self.world).await;
        eventually("every payment has ended", async || {
            let open: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM payments WHERE status NOT IN ('settled', 'failed', 'reverted', 'denied')",
            )
            .fetch_one(&mut ledger)
            .await
            .unwrap();
            open == 0
        })
        .await;
        let said = ledger::assert_adds_up(&self.world, EXE);
        assert!(said.contains("; 0 MNEE reserved"), "{said}");
        let url = self.clickhouse.as_ref().unwrap().url.to_string();
        let events = told::assert_told(&self.world, &url).await;
        let spent = spend::assert_reconciled(&self.world, &url).await;
        assert_eq!(usize::try_from(spent).unwrap(), payments);
        let (of_ledger, of_rows) = (self.of_ledger().await, self.of_rows(&url).await);
        let of_chain = self.of_chain().await;
        assert_eq!(of_chain.len(), payments);
        assert!(of_ledger == of_chain, "ledger and chain differ");
        assert!(of_rows == of_chain, "ClickHouse and chain differ");
        let invoices: i64 = sqlx::query_scalar(
            "SELECT count(DISTINCT invoice_id) FROM payments WHERE status = 'settled'",
        )
        .fetch_one(&mut ledger)
        .await
        .unwrap();
        assert_eq!(usize::try_from(invoices).unwrap(), payments);
        *self.noted.entry("events").or_default() += events;
    }

    async fn of_ledger(&self) -> Transfers {
        let rows: Vec<(Vec<u8>, i64, i64)> = sqlx::query_as(
            "SELECT tx_hash, log_index, block_number FROM payments WHERE status = 'settled'",
        )
        .fetch_all(&mut told::ledger(&self.world).await)
        .await
        .unwrap();
        let number = |value: i64| u64::try_from(value).unwrap();
        rows.into_iter()
            .map(|(hash, log, block)| {
                let log = u32::try_from(log).unwrap();
                (B256::from_slice(&hash), log, number(block))
            })
            .collect()
    }

    async fn of_rows(&self, url: &str) -> Transfers {
        let query = "SELECT lower(hex(tx_hash)), log_index, block_number FROM payments WHERE status = 'settled'";
        let rows: Vec<(String, u32, u64)> = told::clickhouse(&self.world, url)
            .query(query)
            .fetch_all()
            .await
            .unwrap();
        rows.into_iter()
            .map(|(hash, log, block)| (hash.parse().unwrap(), log, block))
            .collect()
    }

    /// Every transfer to the provider, from the chain's own logs. Each is of the price.
    async fn of_chain(&self) -> Transfers {
        let rpc = self.world.chain().rpc();
        let head = rpc.get_block_number().await.unwrap();
        let mut found = Transfers::new();
        let mut from = 0;
        while from <= head {
            let filter = Filter::new()
                .address(self.world.token.address)
                .event_signature(keccak256("Transfer(address,address,uint256)"))
                .topic2(self.world.pay_to.into_word())
                .from_block(from)
                .to_block(from + LOGS_AT_ONCE - 1);
            for log in rpc.get_logs(&filter).await.unwrap() {
                let amount = U256::from_be_slice(&log.inner.data.data);
                assert_eq!(amount, U256::from(PRICE_UNITS));
                let index = u32::try_from(log.log_index.unwrap()).unwrap();
                found.insert((
                    log.transaction_hash.unwrap(),
                    index,
                    log.block_number.unwrap(),
                ));
            }
            from += LOGS_AT_ONCE;
        }
        found
    }
}

fn spawn(world: &World) -> Process {
    let mut command = world.node_command(EXE);
    Process::of(command.stdout(Stdio::null()).spawn().unwrap())
}

async fn start_clickhouse(shared: &Shared, options: &ClickHouseOptions) -> ClickHouse {
    ClickHouse::start(&shared.launcher, &shared.tools.clickhouse, options)
        .await
        .unwrap()
}

/// An agent that asks until its invoice is paid, whatever happens in between.
#[derive(Clone)]
struct Buyer {
    client: Client,
    gateway: reqwest::Url,
    key: String,
    pay_to: Address,
}

impl Buyer {
    async fn settle(&self, number: usize) {
        let asking = async {
            let mut quote = None;
            while !self.is_settled(number, &mut quote).await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let settled = tokio::time::timeout(PATIENCE, asking).await;
        settled.unwrap_or_else(|_| panic!("invoice {number} is not paid within {PATIENCE:?}"));
    }

    /// Asks once. A quote that gave no payment, or a failed one, makes room for another.
    async fn is_settled(&self, number: usize, quote: &mut Option<Value>) -> bool {
        if quote.is_none() {
            if number.is_multiple_of(10) {
                self.quote(&format!("dear_{number}"), "11").await;
            }
            let answer = self.quote(&format!("inv_{number}"), PRICE).await;
            *quote = answer.filter(|answer| answer["allowed"] == true);
        }
        let Some(allowed) = quote.as_ref() else {
            return false;
        };
        let pay = json!({ "quoteId": allowed["quoteId"], "waitMs": 3_000 });
        let Some(answer) = self.post("pay", &pay).await else {
            return false;
        };
        if answer["status"] != "pending" && answer["status"] != "settled" {
            *quote = None;
        }
        answer["status"] == "settled"
    }

    async fn quote(&self, invoice_id: &str, amount: &str) -> Option<Value> {
        let body = json!({
            "invoiceId": invoice_id, "amount": amount, "payTo": self.pay_to.to_checksum(None),
            "network": "devnet", "providerUrl": "http://127.0.0.1:1/report",
        });
        self.post("quote", &body).await
    }

    async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let url = self.gateway.join(path).unwrap();
        let request = self.client.post(url).bearer_auth(&self.key).json(body);
        request.send().await.ok()?.json().await.ok()
    }
}
