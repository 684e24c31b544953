//! One seed played on a real indexer, a child process that can be killed, and a real ClickHouse behind a gate.

use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::{Address, address};
use tempfile::TempDir;
use x402::local::clickhouse::{ClickHouse, ClickHouseOptions};
use x402_schemas::network::Network;
use x402_tests::{
    scripted::{
        chain::Chain,
        fuse::{Fuse, Moment},
        gate::{Gate, Trouble},
        indexer::Indexer,
        node::{Node, Reins},
        rows::Rows,
    },
    shared::Shared,
};

use super::script::{After, Event, Script, Step, Turn};

const TOKEN: Address = address!("0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF");

/// Chain ids of the plays begin here, so that none is a network with a name.
const FIRST_CHAIN_ID: u64 = 4_020_000;

/// Longest wait for what a step waits for; in bad weather it may never come.
const STEP: Duration = Duration::from_secs(1);

/// How long the indexer waits for a reply; a request that hangs hangs longer.
const REPLY_MS: u64 = 400;

/// Longest wait for a lit fuse; an indexer at rest writes nothing.
const FUSE: Duration = Duration::from_millis(400);

/// Time for the index to reach the chain once everything is well again.
const CONVERGE: Duration = Duration::from_mins(1);

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(25);

/// Lines of the indexer's log that are shown with a failure.
const LOG_LINES: usize = 25;

/// A play under way.
#[derive(Debug)]
pub(super) struct Play {
    shared: &'static Shared,
    node: Node,
    gate: Gate,
    own: Option<ClickHouse>,
    clickhouse: clickhouse::Client,
    rows: Rows,
    database: String,
    indexer: Indexer,
    folder: TempDir,
}

impl Play {
    /// Prepares everything but starts no indexer.
    pub(super) async fn start(shared: &'static Shared, script: &Script) -> Self {
        let setup = &script.setup;
        let folder = tempfile::tempdir().unwrap();
        let own = if setup.own_clickhouse {
            Some(own_clickhouse(shared, &folder).await)
        } else {
            None
        };
        let url = own
            .as_ref()
            .map_or(&shared.clickhouse.url, |own| &own.url)
            .clone();
        let chain_id = FIRST_CHAIN_ID + script.seed;
        let mut chain = Chain::new(script.seed, chain_id, TOKEN);
        chain.says_finalized = setup.says_finalized;
        chain.extend(setup.blocks);
        chain.finalize(setup.unfinal);
        let fuse = Fuse::default();
        let gate = Gate::start(url.clone(), fuse.clone()).await;
        let node = Node::start(script.seed, chain, setup.replicas.clone(), fuse).await;
        let database = format!("faults_{}", script.seed);
        let clickhouse = clickhouse::Client::default().with_url(url.as_str());
        let network = Network::from_chain_id(chain_id);
        let rows = Rows::new(clickhouse.clone().with_database(&database), network);
        let endpoints = if setup.balanced {
            node.url.to_string()
        } else {
            node.replica_urls
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",")
        };
        let flags = [
            ("rpc-url", endpoints),
            ("rpc-timeout-ms", REPLY_MS.to_string()),
            ("rpc-max-reply-bytes", setup.max_reply_bytes.to_string()),
            ("verify-receipts", setup.verify_receipts.to_string()),
            ("fetch-concurrency", setup.fetch_concurrency.to_string()),
            ("clickhouse-url", gate.url.to_string()),
            ("clickhouse-database", database.clone()),
            ("token", TOKEN.to_string()),
            ("from-block", setup.from_block.to_string()),
            ("max-range", setup.max_range.to_string()),
            ("poll-ms", "5".into()),
            ("admin-listen", "127.0.0.1:0".into()),
        ];
        Self {
            shared,
            node,
            gate,
            own,
            clickhouse,
            rows,
            database,
            indexer: Indexer::new(&shared.launcher, folder.path(), &flags),
            folder,
        }
    }

    /// Plays every step, lets everything settle, and compares.
    pub(super) async fn run_to_end(&mut self, script: &Script) -> Result<(), String> {
        self.indexer.start().await;
        for step in &script.steps {
            self.step(step).await?;
        }
        self.node.fuse().put_out();
        self.gate.make(Trouble::default());
        self.node.with(Reins::settle);
        if script.last_block {
            self.turn(&Turn::Extend { blocks: 1 });
        }
        self.converge().await?;
        self.judge().await
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step.after {
            After::Requests(requests) => self.node.after(requests, STEP).await,
            After::Arrival => drop(tokio::time::timeout(STEP, self.arrival()).await),
        }
        self.indexer.keep_running().await?;
        match &step.event {
            Event::Chain(turn) => self.turn(turn),
            Event::Weather(weather) => self.node.with(|reins| reins.weather = weather.clone()),
            Event::Trouble(trouble) => self.gate.make(*trouble),
            Event::LeaveBehind { replica, lag } => self.node.with(|reins| {
                reins.replicas[*replica].leave_behind(&reins.chain, *lag);
            }),
            Event::CatchUp => self.node.with(|reins| {
                for replica in &mut reins.replicas {
                    replica.stuck_on = None;
                }
            }),
            Event::Crash {
                moment,
                count,
                meanwhile,
            } => {
                self.crash(*moment, *count).await?;
                self.turns(meanwhile);
                self.indexer.start().await;
            }
            Event::Stop { meanwhile } => {
                self.indexer.stop().await;
                self.turns(meanwhile);
                self.indexer.start().await;
            }
            Event::ClickHouseDies => self.restart_clickhouse().await,
        }
        Ok(())
    }

    fn turns(&self, turns: &[Turn]) {
        for turn in turns {
            self.turn(turn);
        }
    }

    fn turn(&self, turn: &Turn) {
        self.node.with(|reins| match *turn {
            Turn::Extend { blocks } => reins.chain.extend(blocks),
            Turn::Reorg {
                depth,
                blocks,
                fate,
            } => drop(reins.chain.reorg(depth, blocks, fate)),
            Turn::ComeBack { further } => drop(reins.chain.come_back(further)),
            Turn::Finalize { keep } => reins.finalize(keep),
        });
    }

    /// Kills the indexer at its `count`-th `moment` from now, or where it is if that does not come.
    async fn crash(&mut self, moment: Moment, count: u32) -> Result<(), String> {
        let Some(id) = self.indexer.id() else {
            return Ok(());
        };
        self.node.fuse().light(moment, count, id);
        // An indexer at rest writes when there is something to write.
        if moment != Moment::Request {
            self.turn(&Turn::Extend { blocks: 2 });
        }
        self.indexer.ended_within(FUSE).await;
        self.node.fuse().put_out();
        self.indexer.kill();
        self.indexer.must_not_have_given_up()
    }

    async fn restart_clickhouse(&mut self) {
        let Some(own) = self.own.take() else { return };
        drop(own);
        let own = own_clickhouse(self.shared, &self.folder).await;
        self.gate.lead_to(own.url.clone());
        self.clickhouse = self.clickhouse.clone().with_url(own.url.as_str());
        let of_play = self.clickhouse.clone().with_database(&self.database);
        self.rows = Rows::new(of_play, self.rows.reader().network());
        self.own = Some(own);
    }

    /// Waits until the last commit ends at the chain's head.
    async fn converge(&mut self) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + CONVERGE;
        while tokio::time::timeout(STEP, self.arrival()).await.is_err() {
            self.indexer.keep_running().await?;
            if tokio::time::Instant::now() > deadline {
                let head = self.node.with(|reins| reins.chain.head().clone());
                return Err(format!(
                    "the index does not arrive: it ends at {:?}, the chain at {} {}",
                    self.rows.reader().tip().await,
                    head.number,
                    head.hash
                ));
            }
        }
        Ok(())
    }

    async fn arrival(&self) {
        loop {
            let head = self.node.with(|reins| reins.chain.head().hash);
            // The database may not be there yet.
            let tip = self.rows.reader().tip().await.ok().flatten();
            if tip.is_some_and(|tip| tip.block_hash == head) {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Compares the index with the truth.
    async fn judge(&self) -> Result<(), String> {
        let clickhouse = |error: clickhouse::error::Error| format!("ClickHouse: {error}");
        let base = self.rows.base().await.map_err(clickhouse)?;
        let base = base.ok_or("there is no commit")?;
        let (floor, mut truth) = self
            .node
            .with(|reins| (reins.chain.floor(), reins.chain.canonical_rows()));
        truth.retain(|(transfer, _)| transfer.block_number > base);
        if let Some(differences) = self.rows.differences(&truth).await.map_err(clickhouse)? {
            return Err(format!("index and chain differ:\n  {differences}"));
        }
        let tip = self.rows.reader().tip().await.unwrap().unwrap();
        if tip.finalized > floor {
            return Err(format!(
                "block {} counts as final, but the chain says so up to {floor} only",
                tip.finalized
            ));
        }
        Ok(())
    }

    /// The end of the last indexer's log, and how far the play went.
    pub(super) fn told(&self) -> String {
        format!(
            "{:?}; the indexer's last log ends with\n  {}",
            self.noted(),
            self.indexer.last_words(LOG_LINES)
        )
    }

    /// What the play has touched.
    pub(super) fn noted(&self) -> BTreeMap<&'static str, usize> {
        let mut noted = self.indexer.noted();
        let struck = self.node.with(|reins| reins.struck);
        noted.insert("faults", usize::try_from(struck).unwrap());
        noted.insert("requests", usize::try_from(self.node.requests()).unwrap());
        noted
    }

    /// Leaves nothing behind on the shared ClickHouse.
    pub(super) async fn clear_away(mut self) {
        self.indexer.kill();
        let drop_database = format!("DROP DATABASE IF EXISTS {} SYNC", self.database);
        self.clickhouse
            .query(&drop_database)
            .execute()
            .await
            .unwrap();
    }
}

async fn own_clickhouse(shared: &Shared, folder: &TempDir) -> ClickHouse {
    let options = ClickHouseOptions {
        folder: folder.path().join("clickhouse"),
        http_port: None,
    };
    ClickHouse::start(&shared.launcher, &shared.tools.clickhouse, &options)
        .await
        .unwrap()
}
