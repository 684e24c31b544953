//! See the library.

fn main() -> std::process::ExitCode {
    x402::run()
}
