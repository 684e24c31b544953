//! What a run cost: CPU of the process under measurement, and what else the machine was doing meanwhile.

use x402_tests::process::{Process, load, machine_cpu_seconds};

use crate::load::Run;

/// CPU counters at the start of a run.
#[derive(Debug)]
pub(crate) struct Meter {
    served_by: Process,
    others: Vec<Process>,
    served_cpu: f64,
    ours_cpu: f64,
    machine_cpu: f64,
}

/// A run and its cost. `checks` may be more than its requests: a batch has many.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) run: Run,
    checks: usize,
    cpu_seconds: f64,
    /// Share of the run's CPU that went to nobody of ours.
    foreign: f64,
    resident_mb: f64,
}

impl Meter {
    /// Starts counting. `others` belong to the bench as well: a node, ClickHouse.
    pub(crate) fn start(served_by: Process, others: &[Process]) -> Self {
        let others = others.to_vec();
        Self {
            served_cpu: served_by.cpu_seconds(),
            ours_cpu: ours(&others),
            machine_cpu: machine_cpu_seconds(),
            served_by,
            others,
        }
    }

    /// Ends counting.
    pub(crate) fn stop(self, run: Run, checks: usize) -> Measured {
        let cpu_seconds = self.served_by.cpu_seconds() - self.served_cpu;
        let ours = ours(&self.others) - self.ours_cpu + cpu_seconds;
        let machine = machine_cpu_seconds() - self.machine_cpu;
        Measured {
            run,
            checks,
            cpu_seconds,
            foreign: ((machine - ours) / machine).max(0.0),
            resident_mb: self.served_by.resident_mb(),
        }
    }
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.checks as f64 / self.run.seconds
    }

    /// CPU of the process under measurement, milliseconds a check.
    pub(crate) fn cpu_ms(&self) -> f64 {
        self.cpu_seconds / self.checks as f64 * 1_000.0
    }

    pub(crate) fn print(&self, name: &str) {
        println!(
            "{name:<28} {:>8.0}/s  {:.4} CPU-ms a check  p50 {:.2} p99 {:.2} p99.9 {:.2} ms  {:.0} MB  others {:.0} %, load {}",
            self.per_second(),
            self.cpu_ms(),
            self.run.quantile_ms(0.5),
            self.run.quantile_ms(0.99),
            self.run.quantile_ms(0.999),
            self.resident_mb,
            self.foreign * 100.0,
            load(),
        );
    }
}

fn ours(others: &[Process]) -> f64 {
    let own = Process::own().cpu_seconds();
    own + others.iter().map(|other| other.cpu_seconds()).sum::<f64>()
}
