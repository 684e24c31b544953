//! What a process has used, as the kernel counts it.

use std::fs;

/// Kernel clock ticks in a second; 100 on every Linux of our kind.
const TICKS: f64 = 100.0;

/// A process by its id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// CPU seconds so far, of all its threads, in the kernel too.
    pub(crate) fn cpu_seconds(self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        // The name before may have spaces.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks: f64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse::<f64>().unwrap())
            .sum();
        ticks / TICKS
    }

    /// The most memory that it ever held, in MB.
    pub(crate) fn peak_mb(self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kilobytes = line.split_whitespace().next().unwrap();
        kilobytes.parse::<f64>().unwrap() / 1_024.0
    }
}
