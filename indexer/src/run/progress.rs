//! Lines in the log while far behind: how far, how fast, how long still. Whoever draws a bar watches the same.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

use crate::progress;

/// The shortest time between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// How far a backfill has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    began: Option<Mark>,
    last: Option<Mark>,
    watched: watch::Sender<progress::Progress>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    block: u64,
    rows: u64,
}

impl Progress {
    /// Where backfill stands, from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<progress::Progress> {
        self.watched.subscribe()
    }

    /// Says where backfill stands, if it is time to.
    pub(crate) fn tell(&mut self, block: u64, head: u64, rows: u64) {
        let now = Mark {
            at: Instant::now(),
            block,
            rows,
        };
        let began = *self.began.get_or_insert(now);
        let last = *self.last.get_or_insert(now);
        self.watched.send_replace(progress::Progress {
            from: began.block,
            block,
            to: head,
            transfers: rows.saturating_sub(began.rows),
            done: false,
        });
        let elapsed = now.at.duration_since(last.at);
        if elapsed < EVERY {
            return;
        }
        self.last = Some(now);
        let blocks_per_s = per_second(block.saturating_sub(last.block), elapsed);
        let remaining = head.saturating_sub(block);
        tracing::info!(
            block,
            head,
            blocks_per_s,
            rows_per_s = per_second(rows.saturating_sub(last.rows), elapsed),
            rows = rows.saturating_sub(began.rows),
            eta_s = remaining.checked_div(blocks_per_s),
            "backfill"
        );
    }

    /// The head is near; says so once.
    pub(crate) fn done(&mut self, block: u64) {
        let Some(began) = self.began.take() else {
            return;
        };
        self.last = None;
        self.watched.send_modify(|watched| watched.done = true);
        let seconds = began.at.elapsed().as_secs();
        tracing::info!(
            block,
            blocks = block.saturating_sub(began.block),
            seconds,
            "backfill done; following the head"
        );
    }
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    count
        .saturating_mul(1_000)
        .checked_div(elapsed_ms)
        .unwrap_or(0)
}
