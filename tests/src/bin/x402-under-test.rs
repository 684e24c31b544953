//! The real command line, as a binary that this package's tests can start and kill.

fn main() -> std::process::ExitCode {
    // Where to die, from FAILPOINTS.
    let _points = fail::FailScenario::setup();
    x402::run()
}
