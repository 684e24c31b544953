//! The committed contract artifacts are what the pinned compiler makes of the committed sources.

use std::{path::Path, process::Command};

fn run_in_contracts(program: &str, arguments: &[&str]) {
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts");
    let output = Command::new(program)
        .args(arguments)
        .current_dir(contracts)
        .output()
        .unwrap_or_else(|error| panic!("{program} must be on PATH (Node.js 20 or newer): {error}"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn artifacts_match_their_sources() {
    run_in_contracts("npm", &["ci", "--ignore-scripts", "--prefer-offline"]);
    run_in_contracts("node", &["build.mjs", "--check"]);
}
