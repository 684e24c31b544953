//! The time, asked for at the edge only; everything below takes it as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds; zero for a time before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the system"
)]
pub(crate) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
