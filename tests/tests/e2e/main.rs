//! The whole system on a real chain and a real ClickHouse, one module for each subject.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails, and says where"
)]

/// A paid request from 402 to the resource.
mod purchase;

/// Every way in which a payment is refused before money moves.
mod denials;

/// Policies from the command line: approvals, pauses, dry runs.
mod policies;

/// Many agents at once on limits that fit a few of them.
mod races;

/// Every way in which a proof is refused.
mod refusals;

/// The index against the chain: kinds, reorgs, restarts.
mod index;

/// One indexer after another on one index.
mod succession;

/// What an audit finds and repairs, and what verified receipts prove.
mod audit;

/// Reorgs as providers and agents see them.
mod reorg;

/// Payments that no block takes at the fees that they bid.
mod stuck;

/// Processes killed with -9.
mod crashes;

/// What an attacker tries at the edges of a purchase.
mod attacks;

/// Members, their keys and their shares.
mod members;

/// Events in ClickHouse, over streams and to webhooks, whatever fails in between.
mod events;

/// Spend as analysts see it, and what differs when something is wrong.
mod spend;

/// Payments while processes are killed and connections cut.
mod storm;

/// Keys, tenants and bad input.
mod tenancy;

/// The index against a node that forks, lags and lies, with kills in between.
mod faults;

/// Recorded mainnet blocks through the whole indexer.
mod mainnet;

/// Races, outages and reorgs under a verifier that is asked much.
mod volume;

/// The commands, as a person types them.
mod commands;

/// Traces of purchases, as a collector gets them.
mod traces;

/// Answers against the OpenAPI documents.
mod openapi;

/// The documents against the tree.
mod documents;

/// The metrics against the page, the dashboards, the rules and the runbook.
mod metrics;

/// The demo's traffic as Prometheus sees it.
mod observability;

/// Agents and paid APIs of both SDKs, every one with every other.
mod conformance;

/// The TypeScript packages: their own tests, their examples, what npm would publish.
mod javascript;

/// What the protocol's texts mean, for every implementation of it.
mod vectors;

/// The files of the dashboards.
mod dashboards;

/// The binary under test.
const EXE: &str = env!("CARGO_BIN_EXE_x402-under-test");
