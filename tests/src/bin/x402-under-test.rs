//! The real command line, as a binary that this package's tests can start and kill.

fn main() -> std::process::ExitCode {
    x402::run()
}
