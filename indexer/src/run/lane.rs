//! Ranges of final blocks, read ahead side by side and handed over in the order of the chain.
//!
//! Each range is fetched and decoded by a task of its own, so that every core decodes. No more are under way than the
//! lane is wide, and none is begun before the one in front has been taken: what waits here is bounded by the width
//! times the size of a reply. A refused range is asked for again in smaller parts, with everything after it.

use std::collections::VecDeque;

use tokio_util::task::AbortOnDropHandle;

use super::{Reader, transfers::Times, width::Width};
use crate::{
    batch::{self, Columns},
    range::RangeSize,
    reorg::Header,
    source::SourceError,
};

/// One range, read and decoded.
#[derive(Debug)]
pub(super) struct Passage {
    /// Its first block: what links it to the range before.
    pub(super) first: Header,
    /// Its last block, which its node was asked for after the logs.
    pub(super) end: Header,
    /// Its transfers, if it has any.
    pub(super) columns: Option<Columns>,
    logs: usize,
    /// Some endpoint had too much to do meanwhile.
    hindered: bool,
}

#[derive(Debug)]
struct UnderWay {
    from: u64,
    to: u64,
    /// Cuts of the width before it was begun.
    cuts: u32,
    task: AbortOnDropHandle<Result<Passage, SourceError>>,
}

/// The ranges under way.
#[derive(Debug)]
pub(super) struct Lane {
    reader: Reader,
    size: RangeSize,
    width: Width,
    next: u64,
    limit: u64,
    under_way: VecDeque<UnderWay>,
}

impl Lane {
    /// A lane from block `from` up to `limit`.
    pub(super) fn new(
        reader: Reader,
        size: RangeSize,
        width: Width,
        from: u64,
        limit: u64,
    ) -> Self {
        Self {
            reader,
            size,
            width,
            next: from,
            limit,
            under_way: VecDeque::with_capacity(width.ranges()),
        }
    }

    /// The size of the next range, as far as this lane has learned.
    pub(super) const fn size(&self) -> RangeSize {
        self.size
    }

    /// How many ranges are read side by side by now.
    pub(super) const fn width(&self) -> Width {
        self.width
    }

    /// Whether the limit is reached and every range was taken.
    pub(super) fn is_over(&self) -> bool {
        self.under_way.is_empty() && self.next > self.limit
    }

    /// The next range; `None` when the limit is reached. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Result<Passage, SourceError>> {
        loop {
            self.fill();
            let front = self.under_way.front_mut()?;
            let answer = match (&mut front.task).await {
                Ok(answer) => answer,
                Err(broken) => match broken.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // Nobody but the end of the runtime cancels it.
                    Err(_) => std::future::pending().await,
                },
            };
            let front = self.under_way.pop_front()?;
            let asked = front.to.saturating_sub(front.from).saturating_add(1);
            let fits = match &answer {
                Err(SourceError::RangeRefused { fits, .. }) => Some(*fits),
                // Too many blocks or logs for this node, most likely: it is asked for fewer.
                Err(SourceError::Refused { .. }) => Some(None),
                Ok(passage) => {
                    self.width.read(front.cuts, passage.hindered);
                    self.size.answered(asked, passage.logs);
                    self.fill();
                    None
                }
                Err(_) => {
                    self.width.read(front.cuts, true);
                    None
                }
            };
            match fits {
                Some(fits) if self.size.refused(asked, fits) => {
                    self.under_way.clear();
                    self.next = front.from;
                }
                Some(_) | None => return Some(answer),
            }
        }
    }

    fn fill(&mut self) {
        while self.under_way.len() < self.width.ranges() && self.next <= self.limit {
            let (from, to) = (self.next, self.size.end(self.next, self.limit));
            let task = tokio::spawn(passage(self.reader.clone(), from, to));
            self.under_way.push_back(UnderWay {
                from,
                to,
                cuts: self.width.cuts(),
                task: AbortOnDropHandle::new(task),
            });
            self.next = to.saturating_add(1);
        }
    }
}

async fn passage(reader: Reader, from: u64, to: u64) -> Result<Passage, SourceError> {
    let busy_before = reader.source.times_busy();
    let range = reader.source.range(from, to).await?;
    let found = reader.transfers(&range.logs, &Times::new()).await?;
    let rows: Vec<_> = batch::rows(&found).collect();
    Ok(Passage {
        first: range.first,
        end: range.end,
        columns: (!rows.is_empty()).then(|| Columns::of(&rows)),
        logs: range.logs.len(),
        hindered: reader.source.times_busy() != busy_before,
    })
}
