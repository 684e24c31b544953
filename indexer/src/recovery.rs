//! What a run that died between rows and commit left behind, and how the next one gets rid of it.
//!
//! A batch writes its rows, then its commit; readers see rows up to the last commit's number. So whatever the crash
//! point, of an appended block or of tombstones, what is left over is rows with higher numbers, unseen. They would
//! appear with the next commit, although the chain may have moved on. Therefore, before anything else, the next run
//! retracts every block from the lowest leftover up, under a number above all of them, and commits; then it indexes
//! again what the chain has now. A crash in there leaves more of the same. No step needs to know which one died, nor
//! what background merges did meanwhile: headers are linked by hash, and a leftover tombstone is written again.

use std::collections::HashMap;

use x402_schemas::index::{BlockRow, TransferRow};

use crate::reorg::{Header, Window};

/// Rows that no commit vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leftovers {
    /// The lowest block that has one.
    pub lowest_block: u64,
    /// The highest number that one has.
    pub highest_version: u64,
}

/// How to make the index what its commits say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollBack {
    /// The highest block that nothing is left over above.
    pub ancestor: Header,
    /// The number for the tombstones: above every leftover's.
    pub version: u64,
}

/// Decides from the committed window and number what to do about leftovers. `None`: they reach below the window, so
/// they are not ours.
pub fn recover(window: &Window, seq: u64, leftovers: Leftovers) -> Option<RollBack> {
    let tip = window.tip().number;
    let highest_kept = leftovers.lowest_block.checked_sub(1)?.min(tip);
    Some(RollBack {
        ancestor: window.get(highest_kept)?,
        version: leftovers.highest_version.max(seq).checked_add(1)?,
    })
}

/// The transfers to retract among rows of retracted blocks, whatever table they were found in: of each the newest,
/// unless the commits up to `seq` say already that it is gone.
pub fn transfers_to_retract(
    rows: impl IntoIterator<Item = TransferRow>,
    seq: u64,
) -> Vec<TransferRow> {
    let mut newest: HashMap<_, TransferRow> = HashMap::new();
    for row in rows {
        let known = newest
            .entry((row.block_number, row.log_index, row.block_hash))
            .or_insert(row);
        if row.version > known.version {
            *known = row;
        }
    }
    let mut rows: Vec<_> = newest
        .into_values()
        .filter(|row| row.is_deleted == 0 || row.version > seq)
        .collect();
    rows.sort_unstable_by_key(|row| (row.block_number, row.log_index));
    rows
}

/// The same for headers, given the newest row of each.
pub fn blocks_to_retract(rows: Vec<BlockRow>, seq: u64) -> Vec<BlockRow> {
    rows.into_iter()
        .filter(|row| row.is_deleted == 0 || row.version > seq)
        .collect()
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod model;

#[cfg(test)]
mod tests;
