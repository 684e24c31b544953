//! What a process has used, as the kernel counts it, and what the machine was busy with besides.

#![expect(
    clippy::float_arithmetic,
    reason = "seconds and megabytes are no money"
)]

use std::fs;

/// Kernel clock ticks in a second; 100 on every Linux of our kind.
const TICKS: f64 = 100.0;

/// The columns of `/proc/stat` that are work: user, nice, system, irq, softirq and steal.
const WORK: [usize; 6] = [1, 2, 3, 6, 7, 8];

/// A process by its id.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// The process that asks.
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// CPU seconds so far, of all its threads, in the kernel too.
    pub fn cpu_seconds(self) -> f64 {
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
    pub fn peak_mb(self) -> f64 {
        self.status_mb("VmHWM:")
    }

    /// The memory that it holds now, in MB.
    pub fn resident_mb(self) -> f64 {
        self.status_mb("VmRSS:")
    }

    fn status_mb(self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let kilobytes = line.split_whitespace().next().unwrap();
        kilobytes.parse::<f64>().unwrap() / 1_024.0
    }
}

/// CPU seconds that the whole machine has worked so far, whoever for.
pub fn machine_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let all: Vec<&str> = stat.lines().next().unwrap().split_whitespace().collect();
    let ticks: f64 = WORK
        .iter()
        .map(|column| all[*column].parse::<f64>().unwrap())
        .sum();
    ticks / TICKS
}

/// The load averages, as the kernel words them.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}
