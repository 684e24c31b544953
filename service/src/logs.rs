//! Structured logs: JSON lines where a machine reads, plain text in a terminal.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Sends logs to standard error. `filter` is a `tracing` filter such as `info,x402_gateway=debug`; an
/// unreadable one is an error that names itself.
pub fn init(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    init_to(filter, std::io::stderr)
}

/// The same through a writer of the caller's, which ends at standard error.
pub fn init_to(
    filter: &str,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    // A second call, as tests make, keeps the first subscriber.
    let outcome = if std::io::stderr().is_terminal() {
        registry
            .with(fmt::layer().compact().with_writer(writer))
            .try_init()
    } else {
        registry
            .with(fmt::layer().json().flatten_event(true).with_writer(writer))
            .try_init()
    };
    drop(outcome);
    Ok(())
}

/// An error and all its causes on one line, outermost first: log formatters show the first only.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |cause| cause.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
