//! Kills a process at the n-th time that something happens.
//!
//! Counting what a process does, not the time, makes a kill land in the same step of its work on every machine.

use std::sync::{Arc, Mutex};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The node gets a request.
    Request,
    /// An insert is about to reach ClickHouse.
    BeforeInsert,
    /// ClickHouse has taken an insert, its writer does not know yet.
    AfterInsert,
}

/// Shared by who lights it and who counts.
#[derive(Clone, Debug, Default)]
pub struct Fuse(Arc<Mutex<Option<Lit>>>);

#[derive(Debug)]
struct Lit {
    moment: Moment,
    left: u32,
    process: Pid,
}

impl Fuse {
    /// Kills the process `id` at the `count`-th `moment` from now.
    pub fn light(&self, moment: Moment, count: u32, id: u32) {
        let process = Pid::from_raw(id.try_into().unwrap());
        *self.0.lock().unwrap() = Some(Lit {
            moment,
            left: count.max(1),
            process,
        });
    }

    /// A `moment` has come; true if it was the last for the process.
    pub fn burn(&self, moment: Moment) -> bool {
        let mut fuse = self.0.lock().unwrap();
        let Some(lit) = fuse.as_mut().filter(|lit| lit.moment == moment) else {
            return false;
        };
        lit.left -= 1;
        if lit.left > 0 {
            return false;
        }
        // Fails only for a process that is gone already.
        let _ = kill(lit.process, Signal::SIGKILL);
        *fuse = None;
        true
    }

    /// Whoever was to be killed is not any more.
    pub fn put_out(&self) {
        *self.0.lock().unwrap() = None;
    }
}
