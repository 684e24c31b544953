//! How many requests there may be: per second to one endpoint, and how many of all may be repetitions. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// One endpoint's limit of requests per second, with bursts of up to one second's worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// The time that one request takes up.
    spacing: Duration,
    /// When everything that was allowed so far is paid off.
    paid_off: Option<Instant>,
}

impl Rate {
    /// So many requests per second.
    pub(super) fn per_second(requests: u32) -> Self {
        Self {
            spacing: Duration::from_secs(1)
                .checked_div(requests)
                .unwrap_or_default(),
            paid_off: None,
        }
    }

    /// Takes `requests` of the allowance; they may be sent after the returned wait.
    pub(super) fn take(&mut self, requests: u32, now: Instant) -> Duration {
        const BURST: Duration = Duration::from_secs(1);
        let from = self.paid_off.map_or(now, |paid_off| paid_off.max(now));
        let until = from
            .checked_add(self.spacing.saturating_mul(requests))
            .unwrap_or(from);
        self.paid_off = Some(until);
        until.saturating_duration_since(now).saturating_sub(BURST)
    }
}

/// How many requests may be repetitions: a tenth of all, after a supply for bad moments. Without it, a node that
/// fails every other request is asked twice as often, which is the last thing that it needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryBudget {
    tenths: u32,
}

impl RetryBudget {
    /// What may be saved up, in tenths of a repetition.
    const FULL_TENTHS: u32 = 500;

    /// The whole supply.
    pub(super) const fn full() -> Self {
        Self {
            tenths: Self::FULL_TENTHS,
        }
    }

    /// A read succeeded.
    pub(super) fn earn(&mut self) {
        self.tenths = self.tenths.saturating_add(1).min(Self::FULL_TENTHS);
    }

    /// Whether one more repetition is allowed.
    pub(super) fn spend(&mut self) -> bool {
        let rest = self.tenths.checked_sub(10);
        self.tenths = rest.unwrap_or(self.tenths);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_never_sees_more_than_a_burst_and_the_rate() {
        let start = Instant::now();
        let mut rate = Rate::per_second(10);
        let mut sent_at: Vec<Duration> = (0..100).map(|_| rate.take(1, start)).collect();
        sent_at.sort_unstable();
        let within = |seconds: u64| {
            let end = Duration::from_secs(seconds);
            sent_at.iter().filter(|at| **at <= end).count()
        };
        assert_eq!((within(0), within(1), within(5)), (10, 20, 60));
        let mut batches = Rate::per_second(10);
        assert_eq!(batches.take(10, start), Duration::ZERO);
        assert_eq!(batches.take(10, start), Duration::from_secs(1));
        let later = start + Duration::from_mins(1);
        assert_eq!(batches.take(10, later), Duration::ZERO);
    }

    #[test]
    fn repetitions_are_a_tenth_of_what_succeeds_after_a_supply() {
        let mut budget = RetryBudget::full();
        let supply = (0..1_000).filter(|_| budget.spend()).count();
        assert_eq!(supply, 50);
        for _ in 0..100 {
            budget.earn();
        }
        assert_eq!((0..1_000).filter(|_| budget.spend()).count(), 10);
    }
}
