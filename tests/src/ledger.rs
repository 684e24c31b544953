//! The gateway's ledger, checked as an operator checks it.

use std::process::Command;

use crate::world::World;

/// Fails with the first differences unless `x402 ledger check` finds that everything adds up. Answers what it says.
pub fn assert_adds_up(world: &World, exe: &str) -> String {
    let output = Command::new(exe)
        .args(["ledger", "check", "--data-dir"])
        .arg(world.options.data_dir.join("gateway"))
        .output()
        .expect("the binary under test runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
