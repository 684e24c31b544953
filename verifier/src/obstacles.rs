//! What keeps the verifier from its work, by part; together they are its readiness.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use x402_service::admin::Readiness;

use crate::directory::DirectoryView;

/// A part that answers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The gateway's directory.
    Directory,
    /// The index of the chain.
    Index,
    /// How old its last block is.
    Age,
}

/// The obstacles of each part.
#[derive(Clone, Debug)]
pub(crate) struct Obstacles {
    readiness: Readiness,
    standing: Arc<Mutex<Standing>>,
}

#[derive(Debug)]
struct Standing {
    directory: Option<&'static str>,
    index: Option<&'static str>,
    age: Option<&'static str>,
}

impl Obstacles {
    /// Neither part has been reached yet.
    pub(crate) fn starting(readiness: Readiness) -> Self {
        let standing = Standing {
            directory: Some("the gateway's directory has not been read yet"),
            index: Some("the index has not been read yet"),
            age: None,
        };
        let obstacles = Self {
            readiness,
            standing: Arc::new(Mutex::new(standing)),
        };
        obstacles.update(|_| ());
        obstacles
    }

    /// What stands in this part's way now, if anything.
    pub(crate) fn set(&self, part: Part, obstacle: Option<&'static str>) {
        self.update(|standing| match part {
            Part::Directory => standing.directory = obstacle,
            Part::Index => standing.index = obstacle,
            Part::Age => standing.age = obstacle,
        });
    }

    /// Sets the directory's obstacle by its age: a short silence of the gateway is none.
    pub(crate) fn judge_directory(&self, view: &DirectoryView) {
        let obstacle = view.current(Instant::now()).err().map(|_| {
            "the gateway's directory is missing or too old; is the gateway reachable with the service token?"
        });
        self.set(Part::Directory, obstacle);
    }

    /// Sets the age's obstacle.
    pub(crate) fn judge_age(&self, is_stale: bool) {
        let obstacle = is_stale.then_some(
            "the index's last block is older than max-index-age-secs; do the indexer and its node keep up?",
        );
        self.set(Part::Age, obstacle);
    }

    fn update(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut standing);
        match standing.directory.or(standing.index).or(standing.age) {
            Some(obstacle) => self.readiness.not_ready(obstacle),
            None => self.readiness.ready(),
        }
    }
}
