//! The indexer under test: a process of its own that can be killed, started again, and made to tell what it logged.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use x402::local::child::{Child, DeathSignal, Launcher, Program};

/// Time for an orderly stop.
const GRACE: Duration = Duration::from_secs(5);

/// What an indexer says that gives up for good, though nobody gave it a reason to.
const GAVE_UP: [&str; 4] = [
    "which was final",
    "no commit explains",
    "panicked",
    "check --token",
];

/// What an indexer says when it goes through something; counted, to know what a play has touched.
const NOTED: [(&str, &str); 5] = [
    ("reorgs", "blocks left the chain"),
    ("recoveries", "an earlier run died within a batch"),
    ("failed rounds", "came to nothing"),
    ("refused batches", "did not take a batch"),
    ("failed starts", "x402: "),
];

/// An indexer that runs, or does not.
#[derive(Debug)]
pub struct Indexer {
    launcher: Launcher,
    flags: Vec<String>,
    folder: PathBuf,
    starts: usize,
    child: Option<Child>,
}

impl Indexer {
    /// Not started yet. `flags` without their dashes; logs go to `folder`.
    pub fn new(launcher: &Launcher, folder: &Path, flags: &[(&str, String)]) -> Self {
        let flags = flags.iter();
        Self {
            launcher: launcher.clone(),
            flags: flags
                .flat_map(|(name, value)| [format!("--{name}"), value.clone()])
                .collect(),
            folder: folder.to_owned(),
            starts: 0,
            child: None,
        }
    }

    /// Starts it; one that runs is killed.
    pub async fn start(&mut self) {
        self.kill();
        self.starts += 1;
        let arguments = std::iter::once("indexer".to_owned()).chain(self.flags.clone());
        let program = Program {
            path: self.launcher.exe().to_owned(),
            arguments: arguments.map(Into::into).collect(),
            environment: vec![("RUST_LOG", "info".into()), ("NO_COLOR", "1".into())],
            at_parents_death: DeathSignal::Kill,
            log: self.log(self.starts),
        };
        self.child = Some(self.launcher.start(program).await.unwrap());
    }

    /// Starts it again, as a supervisor would, if it has ended by itself.
    pub async fn keep_running(&mut self) -> Result<(), String> {
        let runs = match &mut self.child {
            Some(child) => child.has_ended().unwrap().is_none(),
            None => false,
        };
        if !runs {
            self.must_not_have_given_up()?;
            self.start().await;
        }
        Ok(())
    }

    /// Waits for its end, but not longer than `at_most`.
    pub async fn ended_within(&mut self, at_most: Duration) {
        if let Some(child) = &mut self.child {
            drop(tokio::time::timeout(at_most, child.ended()).await);
        }
    }

    /// `kill -9`, if it runs.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Stops it as a supervisor would.
    pub async fn stop(&mut self) {
        if let Some(child) = self.child.take() {
            child.stop(GRACE).await.unwrap();
        }
    }

    /// Its process id, if it was started.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How often it was started.
    pub const fn starts(&self) -> usize {
        self.starts
    }

    /// Fails if the last start ended in words of giving up.
    pub fn must_not_have_given_up(&self) -> Result<(), String> {
        let log = self.said(self.starts);
        match GAVE_UP.iter().find(|words| log.contains(**words)) {
            Some(words) => Err(format!("the indexer gave up: “{words}”")),
            None => Ok(()),
        }
    }

    /// The end of the last start's log.
    pub fn last_words(&self, lines: usize) -> String {
        let log = self.said(self.starts);
        let lines_of_log: Vec<&str> = log.lines().collect();
        let first = lines_of_log.len().saturating_sub(lines);
        lines_of_log[first..].join("\n  ")
    }

    /// What it went through in all its starts.
    pub fn noted(&self) -> BTreeMap<&'static str, usize> {
        let logs: Vec<String> = (1..=self.starts).map(|start| self.said(start)).collect();
        let count = |words: &str| logs.iter().map(|log| log.matches(words).count()).sum();
        NOTED
            .into_iter()
            .map(|(name, words)| (name, count(words)))
            .chain([("starts", self.starts)])
            .collect()
    }

    fn said(&self, start: usize) -> String {
        std::fs::read_to_string(self.log(start)).unwrap_or_default()
    }

    fn log(&self, start: usize) -> PathBuf {
        self.folder.join(format!("indexer-{start}.log"))
    }
}
