//! Lines for the person at the terminal. Results go to standard output, everything else to standard error.

use std::io::Write;

use serde::Serialize;

/// Writes one line to standard output. A reader that has gone away is no failure of the command.
pub(crate) fn say(line: impl std::fmt::Display) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

/// Writes one line to standard error.
pub(crate) fn note(line: impl std::fmt::Display) {
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Writes a result as indented JSON to standard output.
pub(crate) fn say_json(result: &impl Serialize) -> anyhow::Result<()> {
    say(serde_json::to_string_pretty(result)?);
    Ok(())
}
