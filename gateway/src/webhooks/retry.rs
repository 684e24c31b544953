//! When to try again. Pure.

use jiff::{SignedDuration, Timestamp};

/// The pause after the first attempt; each is twice the one before.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(1);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// How long an event is tried.
pub(super) const TRIED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// When to try again after an attempt at `now`, which was the `attempts`-th since `since`; `None`: never.
/// `jitter` of 0 to 255 takes up to half of a pause away, so that endpoints which failed together are not
/// tried together.
pub(super) fn next(
    since: Timestamp,
    now: Timestamp,
    attempts: u32,
    jitter: u8,
) -> Option<Timestamp> {
    let doubled = 2_i32.checked_pow(attempts.saturating_sub(1));
    let pause = doubled
        .and_then(|doubled| FIRST_PAUSE.checked_mul(doubled))
        .unwrap_or(LONGEST_PAUSE)
        .min(LONGEST_PAUSE);
    let millis = i64::try_from(pause.as_millis()).ok()?;
    let less = millis
        .checked_mul(i64::from(jitter))?
        .checked_div(i64::from(u8::MAX).checked_mul(2)?)?;
    let pause = SignedDuration::from_millis(millis.checked_sub(less)?);
    let next = now.checked_add(pause).ok()?;
    let end = since.checked_add(TRIED_FOR).ok()?;
    (next <= end).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn pauses_double_up_to_an_hour_and_jitter_takes_at_most_half() {
        let pause = |attempts, jitter| {
            let next = next(at(0), at(0), attempts, jitter).unwrap();
            next.as_millisecond()
        };
        let exact: Vec<i64> = (1..=4).map(|attempts| pause(attempts, 0)).collect();
        assert_eq!(exact, [1_000, 2_000, 4_000, 8_000]);
        for attempts in [12, 13, 40, u32::MAX] {
            assert_eq!(
                pause(attempts, 0),
                if attempts == 12 { 2_048_000 } else { 3_600_000 }
            );
        }
        assert_eq!(pause(1, u8::MAX), 500);
        assert!((500..1_000).contains(&pause(1, 100)));
    }

    #[test]
    fn after_a_day_it_is_given_up() {
        let day = 24 * 3_600;
        assert!(next(at(0), at(day - 2), 1, 0).is_some());
        assert_eq!(next(at(0), at(day), 1, 0), None);
        assert_eq!(next(at(0), at(day - 1_800), 20, 0), None);
        let (mut now, mut attempts) = (at(0), 1);
        while let Some(then) = next(at(0), now, attempts, 0) {
            (now, attempts) = (then, attempts + 1);
        }
        assert!((30..60).contains(&attempts), "{attempts} attempts in a day");
    }
}
