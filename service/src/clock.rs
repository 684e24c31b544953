//! The time, asked for at the edges only; everything below takes it as an argument.

use jiff::Timestamp;

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the system"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Unix seconds; zero for a time before 1970.
pub fn unix_seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}
