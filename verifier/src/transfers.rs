//! Transfers as the index has them: from memory when fresh or asked before, else from ClickHouse.
//!
//! The tail keeps memory equal to the index commit by commit; a miss asks the index. Two promises:
//! a transfer's absence is never remembered, and what a reorg removed is never put back by an
//! answer that was on its way meanwhile.

use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;
use x402_schemas::{
    index::{Change, Tip},
    transfer::{Transfer, TransferId},
};

use crate::{
    cache::{Cache, cache},
    metrics::VerifierMetrics,
    verdict::{Look, Sighting},
};

/// Asks the index for what memory does not have, many at a time.
pub(crate) mod look_up;

/// Follows the index's commits.
pub(crate) mod tail;

pub(crate) use look_up::{LookUp, LookUpError, LookUpTask};

/// What this process knows of the index.
#[derive(Debug)]
pub(crate) struct Memory {
    cache: ArcSwap<Cache<TransferId, Sighting>>,
    capacity: u64,
    /// How far the tail has come; `None` before it first reached the index.
    progress: ArcSwapOption<Progress>,
    /// The newest commit that took anything away. Held for writing while memory is changed by such
    /// a commit, and for reading while an answer of the index is put in.
    last_removal: RwLock<u64>,
    /// Rung when memory has moved on.
    moved: watch::Sender<()>,
}

/// How far the tail has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The index's end, or `None` while it is empty.
    pub(crate) tip: Option<Tip>,
}

/// Transfers by id, wherever they are found.
#[derive(Clone, Debug)]
pub(crate) struct Transfers {
    memory: Arc<Memory>,
    look_up: LookUp,
    metrics: Arc<VerifierMetrics>,
}

impl Transfers {
    /// Transfers from `memory`, and from the index through `look_up`.
    pub(crate) const fn new(
        memory: Arc<Memory>,
        look_up: LookUp,
        metrics: Arc<VerifierMetrics>,
    ) -> Self {
        Self {
            memory,
            look_up,
            metrics,
        }
    }

    /// Where the index ends, as far as the tail has come; `None` before it first reached the index.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.memory.progress()
    }

    /// Changes whenever the index has moved on from what it is now.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.memory.news()
    }

    /// Looks at these transfers, in their order; one query for all that memory does not have.
    pub(crate) async fn look(&self, ids: &[TransferId]) -> Result<Vec<Look>, LookUpError> {
        let mut looks: Vec<Option<Look>> = ids.iter().map(|id| self.memory.recall(*id)).collect();
        let missing: Vec<TransferId> = ids
            .iter()
            .zip(&looks)
            .filter_map(|(id, look)| look.is_none().then_some(*id))
            .collect();
        self.metrics.count_cache(ids.len(), missing.len());
        if !missing.is_empty() {
            let mut found = self.look_up.ask(missing).await?.into_iter();
            for look in looks.iter_mut().filter(|look| look.is_none()) {
                *look = found.next();
            }
        }
        looks
            .into_iter()
            .collect::<Option<Vec<Look>>>()
            .ok_or(LookUpError::Stopped)
    }

    /// Looks again at what was seen, where a reorg may have changed it; nothing if there was none.
    pub(crate) async fn look_again(
        &self,
        id: TransferId,
        look: &Look,
    ) -> Result<Option<Look>, LookUpError> {
        if self.memory.nothing_removed_since(look) {
            return Ok(None);
        }
        Ok(self.look(&[id]).await?.pop())
    }
}

impl Memory {
    /// Memory for so many transfers, empty and not yet in touch with the index.
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            cache: ArcSwap::from_pointee(cache(capacity)),
            capacity,
            progress: ArcSwapOption::empty(),
            last_removal: RwLock::new(0),
            moved: watch::Sender::new(()),
        }
    }

    /// How far the tail has come; `None` before it first reached the index.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.progress.load().as_ref().map(|progress| **progress)
    }

    /// Changes whenever memory has moved on from what it is now.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    fn reach(&self, tip: Option<Tip>) {
        self.progress.store(Some(Arc::new(Progress { tip })));
        self.moved.send_replace(());
    }

    /// How many transfers are held.
    pub(crate) fn entries(&self) -> u64 {
        self.cache.load().entry_count()
    }

    /// What is remembered of a transfer. The tip is read first, so that what is remembered is at
    /// least as new as the tip says.
    pub(crate) fn recall(&self, id: TransferId) -> Option<Look> {
        let tip = self.progress()?.tip;
        let sighting = self.cache.load().get(&id)?;
        Some(Look { sighting, tip })
    }

    /// Whether no reorg took anything away after this was seen.
    pub(crate) fn nothing_removed_since(&self, look: &Look) -> bool {
        *self
            .last_removal
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            <= seq(look.tip)
    }

    /// Starts over from the index as it is: everything remembered is dropped. `newest` must have
    /// been read after `tip`; the tail goes on from there.
    pub(crate) fn restart(&self, tip: Option<Tip>, newest: &[Transfer]) {
        let mut last_removal = self
            .last_removal
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *last_removal = seq(tip);
        let cache = cache(self.capacity);
        // Oldest first, so that the newest stay if not all fit.
        for transfer in newest.iter().rev() {
            cache.insert(transfer.id, Sighting::Standing(*transfer));
        }
        self.cache.store(Arc::new(cache));
        self.reach(tip);
    }

    /// Applies what the commits up to `tip` changed, in their order; the last change of a transfer is
    /// the one that counts, so that nothing is shown that the same commits removed.
    pub(crate) fn advance(&self, tip: Tip, changes: &[Change]) {
        let removes = changes
            .iter()
            .any(|change| matches!(change, Change::Removed(_)));
        let mut guard = removes.then(|| {
            self.last_removal
                .write()
                .unwrap_or_else(PoisonError::into_inner)
        });
        if let Some(last_removal) = guard.as_deref_mut() {
            *last_removal = tip.seq;
        }
        let cache = self.cache.load();
        for (id, sighting) in net(changes) {
            cache.insert(id, sighting);
        }
        drop(guard);
        self.reach(Some(tip));
    }

    /// Remembers what the index answered to a question that was asked when it ended at the look's
    /// tip. Only what stands is remembered, and only if no reorg came in between.
    pub(crate) fn admit(&self, look: &Look) {
        let Sighting::Standing(transfer) = look.sighting else {
            return;
        };
        let last_removal = self
            .last_removal
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if *last_removal <= seq(look.tip) {
            self.cache.load().insert(transfer.id, look.sighting);
        }
    }
}

/// What these answers of the index say of one transfer: a reorg that moved it to another block leaves
/// a removal and an addition, and the addition counts.
pub(crate) fn sighting(id: TransferId, found: &[Change]) -> Sighting {
    let of_it = || found.iter().filter(|change| change.transfer().id == id);
    let standing = of_it().find_map(|change| match change {
        Change::Added(transfer) => Some(Sighting::Standing(*transfer)),
        Change::Removed(_) => None,
    });
    let newest_removed = || {
        of_it()
            .map(|change| *change.transfer())
            .max_by_key(|transfer| transfer.block_number)
            .map(Sighting::Retracted)
    };
    standing.or_else(newest_removed).unwrap_or(Sighting::Absent)
}

/// The last change of each transfer.
pub(crate) fn net(changes: &[Change]) -> std::collections::HashMap<TransferId, Sighting> {
    changes
        .iter()
        .map(|change| match change {
            Change::Added(transfer) => (transfer.id, Sighting::Standing(*transfer)),
            Change::Removed(transfer) => (transfer.id, Sighting::Retracted(*transfer)),
        })
        .collect()
}

/// The commit of a tip; 0 before the first.
const fn seq(tip: Option<Tip>) -> u64 {
    match tip {
        Some(tip) => tip.seq,
        None => 0,
    }
}

#[cfg(test)]
mod tests;
