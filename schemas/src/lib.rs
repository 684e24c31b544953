//! The shared truth: every value, message and row that two parts of the system exchange.
//!
//! Pure types and pure functions, in the order a purchase meets them. Nothing here opens a socket
//! except [`index::reader`], which is the one way to read the index exactly.

/// MNEE amounts in base units; decimal text at the edges.
pub mod amount;

/// Networks by CAIP-2 id, with the protocol's short names.
pub mod network;

/// Addresses from text, checksum enforced.
pub mod address;

/// What a provider asks for: the 402 headers and the EIP-712 hash that binds a payment to them.
pub mod invoice;

/// Where a provider sells.
pub mod host;

/// What an owner allows an agent to spend.
pub mod policy;

/// A payment's identity and states.
pub mod payment;

/// A token transfer as indexed, and what kind of movement it is.
pub mod transfer;

/// The signed statement that a payment was made.
pub mod proof;

/// Stable codes for everything that can be refused.
pub mod codes;

/// HTTP messages, by who sends them.
pub mod api;

/// Rows, migrations and exact reads of the ClickHouse index.
#[cfg(feature = "index")]
pub mod index;
