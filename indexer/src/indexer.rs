//! Start: everything that can be wrong with the settings is found here, before a task runs.
//!
//! The one owner of the index's schema. Ends a dead run's unfinished batch first (see [`crate::recovery`]), so that
//! from the first commit on readers see only what this run has verified.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy::primitives::{Address, B256, U256};
use prometheus::Registry;
use tokio::sync::watch;
use x402_schemas::{
    amount,
    index::{self, Tip},
    network::Network,
};
use x402_service::{admin::Readiness, lifecycle::Tasks};

use crate::{
    batch::Batch,
    config::IndexerConfig,
    gaps,
    metrics::Metrics,
    progress,
    range::RangeSize,
    recovery::{self, RollBack},
    reorg::Window,
    run::{Progress, Run, Width, stamp},
    source::{NewHeads, Source, SourceError},
    stored::{Base, Stored},
    writer::Writer,
};

/// A running indexer; it stops with the tasks that it was started among.
#[derive(Clone, Debug)]
pub struct Indexer {
    network: Network,
    progress: watch::Receiver<progress::Progress>,
}

/// Why the indexer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A metric of the same name is registered already.
    #[error("the indexer's metrics could not be registered")]
    Metrics(#[from] prometheus::Error),
    /// The node does not answer as it should.
    #[error("the chain could not be read; check --rpc-url")]
    Node(#[from] SourceError),
    /// ClickHouse does not answer as it should.
    #[error("the index could not be prepared; check --clickhouse-url, user and password")]
    ClickHouse(#[from] clickhouse::error::Error),
    /// Nothing lives at the token's address.
    #[error("there is no contract at {token} on {network}; check --token and --rpc-url")]
    NoToken {
        /// The address.
        token: Address,
        /// Where.
        network: Network,
    },
    /// Amounts would be read wrongly.
    #[error(
        "the token {token} on {network} does not say that it has 18 decimals (it says {found:?}); check --token"
    )]
    NotEighteenDecimals {
        /// The address.
        token: Address,
        /// Where.
        network: Network,
        /// What it says, if it says anything.
        found: Option<U256>,
    },
    /// The index holds the transfers of another token.
    #[error(
        "the index holds transfers of {indexed}, not of {configured}; check --token, or use another --clickhouse-database"
    )]
    OtherToken {
        /// The token of the rows.
        indexed: Address,
        /// The token of the settings.
        configured: Address,
    },
    /// The node follows another chain with the same id, most likely one that was started anew.
    #[error(
        "the index began at block {number} ({indexed}), which is {chain} on this chain; use another --clickhouse-database"
    )]
    OtherChain {
        /// The block that the index began at.
        number: u64,
        /// Its hash in the index.
        indexed: B256,
        /// Its hash on the chain.
        chain: B256,
    },
    /// The chain does not reach there.
    #[error("the chain ends at block {head}, before --from-block {from_block}")]
    FromBlockAhead {
        /// Where the chain ends.
        head: u64,
        /// Where to begin.
        from_block: u64,
    },
    /// Rows that no run of ours can have left.
    #[error(
        "the database has rows that no commit explains: if a repair was interrupted, finish it with `x402 audit --repair`; else use another --clickhouse-database"
    )]
    UnexplainedRows,
    /// Somebody else writes.
    #[error(
        "another process writes to this index; only one indexer may: stop the other and start this one again"
    )]
    OtherWriter,
}

impl Indexer {
    /// Checks node, token and database, ends what a dead run left unfinished, and starts to follow the chain. `wake`
    /// carries the number of the last commit: those who wait for it need not poll.
    pub async fn start(
        config: &IndexerConfig,
        registry: &Registry,
        readiness: Readiness,
        wake: watch::Sender<u64>,
        tasks: &Tasks,
    ) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::register(registry)?);
        let source = Source::new(config, Arc::clone(&metrics));
        let network = check_token(&source, config.token).await?;
        let client = config.clickhouse.client();
        index::migrate(&client, &config.clickhouse.clickhouse_database).await?;
        let stored = Stored::new(client.clone(), network);
        if !stored.at_rest().await? {
            return Err(StartError::OtherWriter);
        }
        let tip = stored.tip().await?;
        let opening = Opening {
            config,
            source: &source,
            stored: &stored,
            network,
        };
        let writer = |seq| {
            Writer::new(
                client.clone(),
                network,
                seq,
                Arc::clone(&metrics),
                readiness.clone(),
                wake.clone(),
            )
        };
        let opened = match tip {
            None => opening.begin(writer(0)).await?,
            Some(tip) => opening.resume(&tip, writer(tip.seq)).await?,
        };
        // What an indexer that died has sent may arrive up to here, and then its number is taken.
        if opened.writer.other_writer().await?.is_some() {
            return Err(StartError::OtherWriter);
        }
        let (block, seq) = (opened.window.tip().number, opened.writer.seq());
        tracing::info!(%network, token = %config.token, block, seq, "indexing");
        let progress = Progress::default();
        let watched = progress.watch();
        let gaps = gaps::watch(stored.clone(), Arc::clone(&metrics), tasks.stop_token());
        tasks.spawn("indexer gaps", gaps);
        let run = Run {
            source,
            stored,
            writer: opened.writer,
            window: opened.window,
            network,
            token: config.token,
            base: opened.base,
            finalized: opened.finalized,
            range: RangeSize::new(config.max_range),
            width: Width::new(config.fetch_concurrency),
            poll: Duration::from_millis(config.poll_ms),
            new_heads: new_heads(config, &metrics, tasks),
            metrics,
            readiness,
            progress,
            seen_alone: Mutex::default(),
            lower_head: None,
        };
        tasks.spawn("indexer", run.run(tasks.stop_token()));
        Ok(Self {
            network,
            progress: watched,
        })
    }

    /// The network that the node is on.
    pub const fn network(&self) -> Network {
        self.network
    }

    /// How far backfill is; done while the index follows the head.
    pub fn progress(&self) -> watch::Receiver<progress::Progress> {
        self.progress.clone()
    }
}

/// What tells of new heads; it listens if there is where to.
fn new_heads(config: &IndexerConfig, metrics: &Arc<Metrics>, tasks: &Tasks) -> NewHeads {
    let new_heads = NewHeads::default();
    if let Some(url) = config.new_heads_url().cloned() {
        let listening = new_heads
            .clone()
            .listen(url, Arc::clone(metrics), tasks.stop_token());
        tasks.spawn("new-heads", listening);
    }
    new_heads
}

/// The network that the node is on, if it has a token of 18 decimals there.
pub(crate) async fn check_token(source: &Source, token: Address) -> Result<Network, StartError> {
    let network = source.network().await?;
    if !source.has_code().await? {
        return Err(StartError::NoToken { token, network });
    }
    let found = source.decimals().await?;
    if found == Some(U256::from(amount::DECIMALS)) {
        Ok(network)
    } else {
        Err(StartError::NotEighteenDecimals {
            token,
            network,
            found,
        })
    }
}

/// What is known as the index is opened.
struct Opening<'a> {
    config: &'a IndexerConfig,
    source: &'a Source,
    stored: &'a Stored,
    network: Network,
}

/// An index that is ready to be gone on with.
struct Opened {
    base: Base,
    window: Window,
    writer: Writer,
    finalized: u64,
}

impl Opening<'_> {
    /// An empty index: its first commit says from where on it counts.
    async fn begin(&self, mut writer: Writer) -> Result<Opened, StartError> {
        if self.stored.token().await?.is_some() {
            return Err(StartError::UnexplainedRows);
        }
        let head = self.source.head().await?.header.number;
        let finalized = self.source.finalized(head).await?;
        let from_block = self.config.first_block(self.network);
        let below = from_block.saturating_sub(1);
        if below > head {
            return Err(StartError::FromBlockAhead { head, from_block });
        }
        // Begins at a final block, so that no reorg can take the ground away.
        let base = self.source.block(below.min(finalized)).await?.header;
        let stamp = stamp(self.network, writer.seq(), finalized);
        if let Some(batch) = Batch::added(stamp, base.number, &[base], Vec::new()) {
            writer.publish(&batch).await;
        }
        Ok(Opened {
            base: Base {
                number: base.number,
                hash: base.hash,
            },
            window: Window::new(base),
            writer,
            finalized,
        })
    }

    /// The block that the index began at, unless the chain has another there. A node that is still behind it cannot say.
    async fn check_base(&self) -> Result<Base, StartError> {
        let base = self
            .stored
            .base()
            .await?
            .ok_or(StartError::UnexplainedRows)?;
        match self.source.block(base.number).await {
            Ok(block) if block.header.hash != base.hash => Err(StartError::OtherChain {
                number: base.number,
                indexed: base.hash,
                chain: block.header.hash,
            }),
            Ok(_) | Err(SourceError::UnknownBlock(_)) => Ok(base),
            Err(error) => Err(error.into()),
        }
    }

    /// An index that has commits: goes on from the last, without what came after it.
    async fn resume(&self, tip: &Tip, mut writer: Writer) -> Result<Opened, StartError> {
        let configured = self.config.token;
        if let Some(indexed) = self.stored.token().await?
            && indexed != configured
        {
            return Err(StartError::OtherToken {
                indexed,
                configured,
            });
        }
        let base = self.check_base().await?;
        let mut window = self.stored.window(tip).await?;
        let leftovers = self
            .stored
            .leftovers(tip.seq, window.floor().number)
            .await?;
        if let Some(leftovers) = leftovers {
            let roll_back = recovery::recover(&window, tip.seq, leftovers)
                .ok_or(StartError::UnexplainedRows)?;
            self.roll_back(&roll_back, tip, &mut writer).await?;
            window.retract_to(roll_back.ancestor.number);
        } else {
            // Takes the next number, so that no commit of an indexer that died can.
            let stamp = stamp(self.network, tip.seq, tip.finalized);
            writer
                .publish(&Batch::unchanged(stamp, &window.tip()))
                .await;
        }
        Ok(Opened {
            base,
            window,
            writer,
            finalized: tip.finalized,
        })
    }

    async fn roll_back(
        &self,
        roll_back: &RollBack,
        tip: &Tip,
        writer: &mut Writer,
    ) -> Result<(), StartError> {
        let ancestor = &roll_back.ancestor;
        let transfers = self
            .stored
            .transfers_above(ancestor.number, tip.seq)
            .await?;
        let blocks = self.stored.blocks_above(ancestor.number, tip.seq).await?;
        let before = roll_back.version.saturating_sub(1);
        // The old word on what is final: the tip is not compared with the chain yet.
        let stamp = stamp(self.network, before, tip.finalized);
        let batch = Batch::removed(stamp, ancestor, tip.block_number, &transfers, &blocks);
        tracing::warn!(
            ancestor = ancestor.number,
            transfers = batch.commit.retracted,
            "an earlier run died within a batch; its rows are retracted and indexed again"
        );
        writer.publish(&batch).await;
        Ok(())
    }
}
