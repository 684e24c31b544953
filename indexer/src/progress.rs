//! How far a long walk along the chain has come, for whoever shows it.

/// Where a backfill or an audit stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Where it began.
    pub from: u64,
    /// The last block that is done.
    pub block: u64,
    /// Where it ends: for a backfill the head, which moves.
    pub to: u64,
    /// Transfers indexed or compared since it began.
    pub transfers: u64,
    /// Nothing of length is left to do: the audit is over, or the indexer follows the head.
    pub done: bool,
}
