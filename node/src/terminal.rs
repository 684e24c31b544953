//! Lines for the person at the terminal. Results go to standard output, everything else to standard error.

use std::{
    io::{self, Stderr, Write},
    sync::LazyLock,
};

use indicatif::MultiProgress;
use serde::Serialize;

/// Where this process draws its progress bars: on standard error, when that is a terminal.
pub(crate) fn bars() -> &'static MultiProgress {
    static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
    &BARS
}

/// Standard error, with the bars out of the way while something is written.
#[derive(Debug)]
pub(crate) struct AboveBars(Stderr);

impl AboveBars {
    /// For the logs of this process.
    pub(crate) fn new() -> Self {
        Self(io::stderr())
    }
}

impl Write for AboveBars {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        bars().suspend(|| self.0.write(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes one line to standard output. A reader that has gone away is no failure of the command.
pub(crate) fn say(line: impl std::fmt::Display) {
    drop(bars().suspend(|| writeln!(io::stdout().lock(), "{line}")));
}

/// Writes one line to standard error.
pub(crate) fn note(line: impl std::fmt::Display) {
    drop(bars().suspend(|| writeln!(io::stderr().lock(), "{line}")));
}

/// Writes a result as indented JSON to standard output.
pub(crate) fn say_json(result: &impl Serialize) -> anyhow::Result<()> {
    say(serde_json::to_string_pretty(result)?);
    Ok(())
}
