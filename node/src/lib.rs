//! `x402`, the one binary: runs a service or all of them, wallets and keys, the demo, the local stack.

/// The command line: what is asked, and which command answers.
mod cli;

/// The TOML file: defaults for the flags.
mod settings;

/// One file for each command.
mod commands;

/// Lines for the person at the terminal.
mod terminal;

/// The gateway as an owner sees it.
pub mod owner;

/// Treasuries: keystore files and what is signed with them.
pub mod wallet;

/// The three services in one process.
pub mod stack;

/// A chain node and a ClickHouse on this machine, for the demo and for tests.
pub mod local;

pub use cli::{command_tree, run};
