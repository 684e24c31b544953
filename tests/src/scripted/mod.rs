//! A chain node that does what real ones do and anvil cannot: forks at will, replicas that lag, lie or break off.
//!
//! Deterministic from a seed as far as a network allows: the chain and what each request meets follow from the seed and
//! the order of requests. It knows the truth about its chain, so an index can be compared with it.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "block numbers and counts of a test stay far from any limit"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each teller of lies knows some faults and leaves the rest to others"
)]
#![expect(
    clippy::format_push_string,
    reason = "a header more or less costs a test nothing"
)]

/// What people and contracts do: transactions, the logs they write, and what is true about each.
pub mod activity;

/// Transactions in, a block out whose hash, bloom and roots are real.
pub mod block;

/// Branches, the canonical one among them, and its transfers.
pub mod chain;

/// Blocks that mainnet nodes once served.
pub mod recorded;

/// What an honest replica answers, standing on some head.
pub mod replica;

/// What a provider refuses: too wide ranges, in many words.
pub mod limits;

/// How a request can go wrong, and for how long.
pub mod weather;

/// Whole blocks forged under their own header.
pub mod tamper;

/// Untrue answers made from true ones.
pub mod lies;

/// HTTP/1.1 by hand, so that it can be broken anywhere.
pub mod wire;

/// The node: its ports, and the reins of everything above.
pub mod node;

/// What stands between indexer and ClickHouse, to refuse, cut and lose acknowledgements.
pub mod gate;

/// Kills a process at the n-th time that something happens.
pub mod fuse;

/// The indexer under test, as a process that can be killed.
pub mod indexer;

/// What an index holds, read without the code under test, and compared with the truth.
pub mod rows;
