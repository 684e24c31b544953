//! Follows the index's commits, so that memory and tip are as the index is.
//!
//! Woken by the indexer when it runs in the same process, else by looking regularly. A verifier that
//! has fallen far behind starts over from the newest rows instead of replaying. Errors are waited
//! out: the tail never ends by itself, and readiness says what it waits for.

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;
use x402_schemas::index::{CommitRow, IndexError, IndexReader, Tip};

use super::Memory;
use crate::{
    obstacles::{Obstacles, Part},
    retry::Retry,
    watch::{Watch, WatchError},
};

/// Commits that are replayed; a tail that is further behind starts over.
const MAX_CATCH_UP: u64 = 256;

/// Changed transfers that are taken into memory at once. More is backfill: nobody asks for those
/// soon, and a miss finds them.
const MAX_PASS_ROWS: u64 = 20_000;

/// Rows that memory starts with.
const MAX_WARM_ROWS: u64 = 50_000;

/// How long one pass may take before the index counts as away.
const PASS_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest time without a look when somebody else does the waking.
const IDLE_LOOK: Duration = Duration::from_secs(1);

/// Follows one index.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The index.
    pub(crate) reader: IndexReader,
    /// What is kept equal to it.
    pub(crate) memory: Arc<Memory>,
    /// Told what became of claimed transfers.
    pub(crate) watch: Watch,
    /// Told whether the index can be read.
    pub(crate) obstacles: Obstacles,
    /// Time between looks when nothing wakes the tail.
    pub(crate) poll: Duration,
    /// Announces commits, if the indexer runs in this process.
    pub(crate) wake: Option<watch::Receiver<u64>>,
}

/// Why a pass did not come through.
#[derive(Debug, Error)]
enum PassError {
    #[error("the index could not be followed")]
    Index(#[from] IndexError),
    #[error("what became of claimed transfers could not be noted")]
    Watch(#[from] WatchError),
    #[error("the index did not answer within {} s", PASS_TIMEOUT.as_secs())]
    Timeout(#[from] tokio::time::error::Elapsed),
}

impl Tail {
    /// Follows until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled_owned(self.follow()).await;
    }

    async fn follow(mut self) {
        let mut retry = Retry::new();
        loop {
            // Marked as seen before the look, so that what is announced during it is not lost.
            if let Some(wake) = &mut self.wake {
                wake.mark_unchanged();
            }
            match self.pass().await {
                Ok(()) => {
                    retry = Retry::new();
                    self.obstacles.set(Part::Index, None);
                    if !self.watch.has_more() {
                        self.pause().await;
                    }
                }
                Err(error) => {
                    let obstacle = "the index cannot be read; is ClickHouse reachable and the indexer started once?";
                    self.obstacles.set(Part::Index, Some(obstacle));
                    retry.after("the index could not be followed", error).await;
                }
            }
        }
    }

    async fn pause(&mut self) {
        let Some(wake) = &mut self.wake else {
            return tokio::time::sleep(self.poll).await;
        };
        // Too long without a word, or nobody left to speak: look anyway.
        if let Ok(Err(_)) = timeout(IDLE_LOOK, wake.changed()).await {
            self.wake = None;
        }
    }

    async fn pass(&mut self) -> Result<(), PassError> {
        match self.memory.progress() {
            None => timeout(PASS_TIMEOUT, self.start_over()).await??,
            Some(progress) => timeout(PASS_TIMEOUT, self.catch_up(progress.tip)).await??,
        }
        if let Some(tip) = self.memory.progress().and_then(|progress| progress.tip) {
            timeout(PASS_TIMEOUT, self.watch.go_on(&self.reader, tip)).await??;
        }
        Ok(())
    }

    /// The tip first and the rows after it: what is committed in between shows in the next pass.
    async fn start_over(&mut self) -> Result<(), PassError> {
        let tip = self.reader.tip().await?;
        let newest = match tip {
            Some(_) => {
                self.reader
                    .newest(self.memory.capacity.min(MAX_WARM_ROWS))
                    .await?
            }
            None => Vec::new(),
        };
        self.memory.restart(tip, &newest);
        self.watch.look_at_all();
        tracing::info!(
            seq = super::seq(tip),
            rows = newest.len(),
            "transfers loaded from the index"
        );
        Ok(())
    }

    async fn catch_up(&mut self, tip: Option<Tip>) -> Result<(), PassError> {
        let seq = super::seq(tip);
        let newest = self.reader.seq().await?;
        if newest == seq {
            return Ok(());
        }
        if newest < seq || newest.saturating_sub(seq) > MAX_CATCH_UP {
            // Far behind, or another index than before.
            return self.start_over().await;
        }
        let commits = self.reader.commits_after(seq, MAX_CATCH_UP).await?;
        let Some(last) = commits.last() else {
            return Ok(());
        };
        let last_tip = Tip::of(last);
        if commits.iter().map(changed).fold(0, u64::saturating_add) > MAX_PASS_ROWS {
            // Forgetting everything forgets nothing that is wrong: misses ask the index.
            self.memory.restart(Some(last_tip), &[]);
            self.watch.look_at_all();
            return Ok(());
        }
        let mut changes = Vec::new();
        for commit in &commits {
            changes.extend(self.reader.changes(commit).await?);
        }
        // Memory first: answers flip at once, and a claim that is made from here on sees it.
        self.memory.advance(last_tip, &changes);
        Ok(self.watch.follow(&changes).await?)
    }
}

const fn changed(commit: &CommitRow) -> u64 {
    commit.rows.saturating_add(commit.retracted)
}
