//! The gateway: agents ask, policy decides, the treasury pays, a proof comes back.
//!
//! Promises that no limit is passed, that an invoice is paid at most once on the chain, and that
//! what is started ends settled or cleanly failed. Whether money moved it learns from the index only.
//! In flow order: a request comes in at the top and becomes a proof further down.

/// What the gateway is told at start.
pub mod config;

/// Routes of the public port, on one screen.
pub mod routes;

/// Who is asking, from the `Authorization` header.
mod principal;

/// How much each key, and each address without one, may ask.
mod limits;

/// Who may do what in a workspace: the one table.
mod permissions;

/// Whether it was asked before, from the `Idempotency-Key` header.
mod idempotency;

/// Members' side: workspaces and their budgets.
mod workspaces;

/// Members' side: who else is one, in which role.
mod members;

/// Members' side: a key in, a token for a quarter of an hour out.
mod sessions;

/// Members' side: agents, their policies and keys.
mod agents;

/// Members' side: providers, their payees and keys.
mod providers;

/// Members' side: the treasury, attached by its own signature.
mod treasury;

/// Members' side: sending an approval that the treasury signed.
mod relay;

/// Members' side: payments that wait for an approval.
mod approvals;

/// Members' side: the past against a draft policy.
mod dry_run;

/// API keys: made for whoever is to hold them, replaced with a grace, ended.
mod keys;

/// When each key was last used.
mod key_uses;

/// `POST /quote`: may this agent pay this invoice?
mod quote;

/// Where an invoice comes from: registrations and a signature in, facts for the policy out.
mod origin;

/// Where an agent stands: the ledger in, the policy's decision out.
mod standing;

/// Policy, standing and ask in; remaining limits or a denial out.
pub mod policy;

/// `POST /pay`: reserve → preflight → sign → broadcast → wait.
mod pay;

/// The index in; settled, reverted and reorganised payments out.
mod settle;

/// Which trace a payment goes on in when it settles.
mod traces;

/// Settled payments in; signed proofs out.
mod proofs;

/// `GET /payments`: where payments stand.
mod payments;

/// The ledger's outbox in; rows in ClickHouse and streams out.
mod events;

/// The ledger and the chain in; what spend is looked at by in ClickHouse out.
mod spend;

/// Owners' side: where events are sent to, signed, until they arrive.
mod webhooks;

/// What verifiers follow, and the proof that they have.
mod directory;

/// `POST /verify`, handed on to the verifier.
mod verify;

/// What is old in the ledger, removed.
mod prune;

/// The one durable store, and the only one: SQLite.
pub mod ledger;

/// The chain: reads, simulation, raw transactions.
mod chain;

/// The master seed: one encrypted file from which every secret is derived.
mod seed;

/// What the ledger keeps encrypted.
mod cipher;

/// One account per workspace that spends what its treasury approved.
mod spender;

/// What treasuries have left to pay with, and spenders for gas.
mod funds;

/// Whether ledger, index and treasuries agree.
mod reconcile;

/// What a request shares with all others.
mod gateway;

/// Points at which a test lets the process die.
mod fault;

/// What the gateway reports about itself.
pub mod metrics;

/// OpenAPI, made from the handlers.
mod openapi;

/// Start-up checks, then the tasks.
mod start;

pub use config::GatewayConfig;
pub use start::{StartError, Started, start};

#[cfg(test)]
mod tests;
