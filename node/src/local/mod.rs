//! The local stack: a real chain node and a real ClickHouse, as children of this process.
//!
//! In flow order: tools are installed, servers are started on loopback ports, the token is placed on the chain.
//! Nothing here is used against a real network. Linux on x86-64 only: the tools are built for nothing else.

/// Tools on first use: versions and checksums in, paths of programs out.
pub mod install;

/// Child processes that never outlive their parent, and the hidden subcommand that arranges it.
pub mod child;

/// Ports: which are free, and which process listens on one.
pub mod port;

/// What both servers share: start on a port, wait until ready, explain a failure.
pub mod server;

/// ClickHouse: a program or a library in, the URL of its HTTP interface out.
pub mod clickhouse;

/// The hidden subcommand that is ClickHouse: calls into the embedded library.
pub mod embedded;

/// The chain node: options in, an RPC URL and control over blocks out.
pub mod chain;

/// The TypeScript SDKs: sources in, built packages out, and programs that use them as servers.
pub mod js;

/// MNEE on the local chain: placing it, and what its administrators can do.
pub mod token;
