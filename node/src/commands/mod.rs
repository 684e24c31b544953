//! One file for each command of `x402`.

/// `x402 demo`.
pub(crate) mod demo;

/// `x402 indexer`, `gateway`, `verifier`: one service in this process.
pub(crate) mod services;

/// `x402 node`: all three in one process.
pub(crate) mod node;

/// `x402 wallet …`.
pub(crate) mod wallet;

/// `x402 wallet top-up`.
mod top_up;

/// `x402 workspace …`.
pub(crate) mod workspace;

/// `x402 member …`.
pub(crate) mod member;

/// `x402 key …`.
pub(crate) mod key;

/// `x402 agent …`.
pub(crate) mod agent;

/// Flags that spell out a policy.
pub(crate) mod policy;

/// `x402 ledger check`.
pub(crate) mod ledger;

/// `x402 approval …`.
pub(crate) mod approval;

/// `x402 webhook …`.
pub(crate) mod webhook;

/// `x402 events`.
pub(crate) mod events;

/// `x402 provider …`.
pub(crate) mod provider;

/// `x402 pay URL`.
pub(crate) mod pay;

/// `x402 verify PROOF`.
pub(crate) mod verify;

/// `x402 audit`.
pub(crate) mod audit;

/// How far a backfill or an audit is.
pub(crate) mod bar;

/// A purchase's steps in words.
pub(crate) mod steps;

/// Flags that several commands share.
pub(crate) mod connection;
