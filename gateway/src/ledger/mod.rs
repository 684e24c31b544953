//! The ledger: the one durable store of the gateway, SQLite with WAL and full sync.
//!
//! Functions here take a connection, so that the caller decides what belongs in one transaction.
//! Every change happens under `BEGIN IMMEDIATE` on the single writing connection; reads have their
//! own. SQL only: what may happen is decided elsewhere.

/// Opening the file and its connections.
pub mod store;

/// How values are written in columns.
pub(crate) mod columns;

/// What this ledger belongs to.
pub(crate) mod identity;

/// Workspaces, budgets, the spender's next nonce.
pub(crate) mod workspaces;

/// Treasuries and to whom they belong.
pub(crate) mod treasuries;

/// Members and their roles.
pub(crate) mod members;

/// All of them together, as spend is looked at by.
pub(crate) mod accounts;

/// Agents and their policies.
pub(crate) mod agents;

/// Providers and their payees.
pub(crate) mod providers;

/// Hosts of providers.
pub(crate) mod hosts;

/// Hashes of API keys.
pub(crate) mod api_keys;

/// What providers' invoices are checked with.
pub(crate) mod signing_keys;

/// Quotes, denials included.
pub(crate) mod quotes;

/// Payments: their rows and look-ups.
pub(crate) mod payments;

/// Payments short of their end.
pub(crate) mod under_way;

/// Payments: transactions that were replaced.
pub(crate) mod replaced;

/// Payments: every step from one status to the next.
pub(crate) mod transitions;

/// Payments: what belongs to each such step.
mod advance;

/// Payments: the history of their steps.
pub(crate) mod steps;

/// The outbox: every step and denial, for those who are told of them.
pub(crate) mod events;

/// The outbox: how payments came to where its events left them.
pub(crate) mod courses;

/// The outbox: how far each of them has been told.
pub(crate) mod event_cursors;

/// Where workspaces have events sent to.
pub(crate) mod webhooks;

/// Events on their way there.
pub(crate) mod deliveries;

/// Double-entry postings of the steps that move money.
pub(crate) mod postings;

/// What each workspace has reserved and spent, as of an event.
pub(crate) mod totals;

/// Reserved and spent, for each limit.
pub(crate) mod held;

/// Removing what nobody needs any more.
pub(crate) mod prune;

/// Whether all of it adds up.
pub mod check;

/// What was asked with an idempotency key.
pub(crate) mod idempotency_keys;

/// Proof keys.
pub(crate) mod proof_keys;

/// Digests of issued proofs, for verifiers.
pub(crate) mod issued_proofs;

/// The directory's number and its followers.
pub(crate) mod directory;

pub use store::{Ledger, LedgerError};
