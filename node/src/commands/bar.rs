//! Progress of a long walk along the chain: a bar with the time left in a terminal, lines in the log otherwise.

use std::{
    fmt::Write,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tokio::sync::watch;
use x402_indexer::progress::Progress;

use crate::terminal;

/// The shortest time between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// The shortest time between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// What a walk does where there is no terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// It logs lines itself.
    Theirs,
    /// They are written here.
    Own,
}

/// Shows a walk until whoever makes it is gone.
pub(crate) async fn show(what: &'static str, mut walk: watch::Receiver<Progress>, lines: Lines) {
    if !std::io::stderr().is_terminal() {
        if lines == Lines::Own {
            log(what, walk).await;
        }
        return;
    }
    loop {
        let begun = walk
            .wait_for(|progress| progress.to > 0 && !progress.done)
            .await;
        let Ok(from) = begun.map(|progress| progress.from) else {
            return;
        };
        let bar = terminal::bars().add(bar(what));
        let open = draw(&bar, from, &mut walk).await;
        bar.finish_and_clear();
        if !open {
            return;
        }
    }
}

/// Draws until the walk is done; false when nobody walks any more.
async fn draw(bar: &ProgressBar, from: u64, walk: &mut watch::Receiver<Progress>) -> bool {
    loop {
        let now = *walk.borrow_and_update();
        if now.done {
            return true;
        }
        bar.set_length(now.to.saturating_sub(from));
        bar.set_position(now.block.saturating_sub(from));
        bar.set_message(format!("block {}, {} transfers", now.block, now.transfers));
        tokio::time::sleep(LOOK).await;
        if walk.changed().await.is_err() {
            return false;
        }
    }
}

fn bar(what: &'static str) -> ProgressBar {
    const TEMPLATE: &str =
        "{prefix} [{elapsed_precise}] {bar:30} {percent}% {msg}, {speed} blocks/s, ETA {eta}";
    let style = ProgressStyle::with_template(TEMPLATE)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("speed", |state: &ProgressState, out: &mut dyn Write| {
            // A bar that cannot be drawn is no failure.
            let _ = write!(out, "{:.0}", state.per_sec());
        })
        .progress_chars("=> ");
    ProgressBar::no_length().with_style(style).with_prefix(what)
}

async fn log(what: &'static str, mut walk: watch::Receiver<Progress>) {
    let began = Instant::now();
    let mut last = began;
    while walk.changed().await.is_ok() {
        let now = *walk.borrow_and_update();
        if now.done || last.elapsed() < EVERY {
            continue;
        }
        last = Instant::now();
        let done = now.block.saturating_sub(now.from);
        let left = now.to.saturating_sub(now.block);
        let eta_s = began
            .elapsed()
            .as_secs()
            .saturating_mul(left)
            .checked_div(done);
        tracing::info!(
            walk = what,
            block = now.block,
            to = now.to,
            transfers = now.transfers,
            eta_s,
            "comparing"
        );
    }
}
