//! A batch: the rows of one change of the index and the commit that publishes them. Pure.
//!
//! Either it adds blocks or it removes them, never both, so that no row is there twice under one number.

use bytes::Bytes;
use x402_schemas::{
    index::{BlockRow, CommitRow, TransferRow},
    network::Network,
};

use crate::{decode::Found, reorg::Header};

/// Rows in, what ClickHouse is sent out.
mod columns;

pub use columns::Columns;

/// Rows that are turned into columns at a time; ClickHouse puts them together again.
const ROWS_AT_A_TIME: usize = 16_384;

/// Rows to write, and what holds once they are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Rows of `transfers`.
    pub transfers: Vec<TransferRow>,
    /// More of them, as they are sent: those of final ranges, which nobody looks at again.
    pub columns: Vec<Bytes>,
    /// Rows of `blocks`.
    pub blocks: Vec<BlockRow>,
    /// The row of `commits`, to be written last.
    pub commit: CommitRow,
}

/// Where a batch belongs: its chain, its number, and the chain's finalized block.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The chain.
    pub network: Network,
    /// The batch's number.
    pub version: u64,
    /// The finalized block as the batch is written.
    pub finalized: u64,
    /// Now, Unix milliseconds.
    pub written_at: i64,
}

impl Batch {
    /// The index goes on from `from` to the last of `headers`; `None` without a header. The last header is kept in the
    /// commit. The rows become of this batch, whatever they were before.
    pub fn added(
        stamp: Stamp,
        from: u64,
        headers: &[Header],
        mut rows: Vec<TransferRow>,
    ) -> Option<Self> {
        let (tip, before) = headers.split_last()?;
        for row in &mut rows {
            row.version = stamp.version;
        }
        Some(Self {
            blocks: before.iter().map(|header| block(stamp, header)).collect(),
            commit: CommitRow {
                rows: count(&rows),
                ..commit(stamp, from, tip.number, tip)
            },
            transfers: rows,
            columns: Vec::new(),
        })
    }

    /// The index goes on from `from` to `end` by final ranges. Of the blocks before `end` no header is kept: no reorg will
    /// ask for one.
    pub fn ranges(stamp: Stamp, from: u64, end: &Header, columns: Vec<Columns>) -> Self {
        let rows: usize = columns.iter().map(Columns::rows).sum();
        Self {
            transfers: Vec::new(),
            blocks: Vec::new(),
            commit: CommitRow {
                rows: u64::try_from(rows).unwrap_or(u64::MAX),
                ..commit(stamp, from, end.number, end)
            },
            columns: columns
                .into_iter()
                .map(|columns| columns.stamped(stamp.version, false))
                .collect(),
        }
    }

    /// All rows of `transfers` as ClickHouse is sent them, some thousand at a time.
    pub fn sent(&self) -> impl Iterator<Item = Bytes> {
        let version = self.commit.seq;
        // All of a batch's rows stand, or none does.
        let is_deleted = self
            .transfers
            .first()
            .is_some_and(|row| row.is_deleted == 1);
        let rows = self.transfers.chunks(ROWS_AT_A_TIME);
        let rows = rows.map(move |rows| Columns::of(rows).stamped(version, is_deleted));
        self.columns.iter().cloned().chain(rows)
    }

    /// The index stays as it is, and the batch's number is taken.
    pub fn unchanged(stamp: Stamp, tip: &Header) -> Self {
        Self {
            transfers: Vec::new(),
            columns: Vec::new(),
            blocks: Vec::new(),
            commit: commit(stamp, tip.number, tip.number, tip),
        }
    }

    /// The index goes back to `ancestor`, from `last` or from wherever rows above are found.
    pub fn removed(
        stamp: Stamp,
        ancestor: &Header,
        last: u64,
        transfers: &[TransferRow],
        blocks: &[BlockRow],
    ) -> Self {
        let from = ancestor.number.saturating_add(1);
        let last_of_rows = transfers
            .iter()
            .map(|row| row.block_number)
            .chain(blocks.iter().map(|row| row.number))
            .max();
        let to = last.max(last_of_rows.unwrap_or(last)).max(from);
        Self {
            transfers: transfers
                .iter()
                .map(|row| row.tombstone(stamp.version))
                .collect(),
            columns: Vec::new(),
            blocks: blocks
                .iter()
                .map(|row| BlockRow {
                    version: stamp.version,
                    is_deleted: 1,
                    ..*row
                })
                .collect(),
            commit: CommitRow {
                retracted: count(transfers),
                ..commit(stamp, from, to, ancestor)
            },
        }
    }
}

/// Rows that add these transfers, of no batch yet.
pub fn rows(found: &[Found]) -> impl Iterator<Item = TransferRow> {
    found
        .iter()
        .map(|found| TransferRow::new(&found.transfer, found.tx_index, 0, false))
}

fn commit(stamp: Stamp, from_block: u64, to_block: u64, tip: &Header) -> CommitRow {
    CommitRow {
        chain_id: stamp.network.chain_id(),
        seq: stamp.version,
        from_block,
        to_block,
        tip_number: tip.number,
        tip_hash: tip.hash.0,
        tip_parent: tip.parent_hash.0,
        tip_time: seconds(tip.time),
        finalized: stamp.finalized,
        rows: 0,
        retracted: 0,
        written_at: stamp.written_at,
    }
}

fn block(stamp: Stamp, header: &Header) -> BlockRow {
    BlockRow {
        chain_id: stamp.network.chain_id(),
        number: header.number,
        hash: header.hash.0,
        parent_hash: header.parent_hash.0,
        time: seconds(header.time),
        version: stamp.version,
        is_deleted: 0,
    }
}

fn seconds(time: u64) -> u32 {
    u32::try_from(time).unwrap_or(u32::MAX)
}

fn count<T>(rows: &[T]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}
