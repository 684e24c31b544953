//! cryo, the fastest extractor that we know of, from the same node to parquet files.

use std::{path::Path, process::Command};

use crate::{
    BASELINE_BLOCKS,
    chain::{Shape, TOKEN},
    mock::Mock,
};

/// What it prints: seconds within the call, without Python's start.
const SCRIPT: &str = "
import sys, time, cryo
rpc, contract, out, last, size = sys.argv[1:]
began = time.time()
cryo.freeze('logs', blocks=['1:' + str(int(last) + 1)], rpc=rpc, contract=[contract], output_dir=out,
            inner_request_size=int(size), max_concurrent_requests=8, no_report=True, verbose=False)
print('seconds', time.time() - began)
";

/// Logs a second. Installs cryo from `PyPI` on first use.
pub(crate) fn logs_per_s(mock: &Mock, shape: Shape) -> f64 {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cryo");
    let python = target.join("bin/python3");
    if !python.exists() {
        checked(Command::new("python3").args(["-m", "venv"]).arg(&target));
        checked(Command::new(target.join("bin/pip")).args(["install", "--quiet", "cryo==0.3.2"]));
    }
    let out = tempfile::tempdir().unwrap();
    let said = checked(
        Command::new(python)
            .args(["-c", SCRIPT, &mock.url, TOKEN])
            .arg(out.path())
            .args([shape.blocks.to_string(), BASELINE_BLOCKS.to_string()]),
    );
    let seconds = said.lines().find_map(|line| line.strip_prefix("seconds "));
    let seconds: f64 = seconds
        .expect("cryo says how long it took")
        .parse()
        .unwrap();
    let written: u64 = out
        .path()
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(written > shape.total(), "cryo wrote {written} bytes only");
    shape.total() as f64 / seconds
}

/// Runs a command that has to succeed; returns what it printed.
fn checked(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; --no-peers leaves it out"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {told}; --no-peers leaves it out"
    );
    String::from_utf8(output.stdout).unwrap()
}
