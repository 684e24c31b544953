//! One asker's share of a service: a rate, and a number of open requests.
//!
//! Whoever has a share loses nothing to another's flood. Who gets one, and what a refusal says, is the
//! service's matter.

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{IntoResponseParts, ResponseParts},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// One asker's share.
#[derive(Debug)]
pub struct Lane {
    rate: RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>,
    clock: DefaultClock,
    slots: Arc<Semaphore>,
    concurrent: usize,
}

/// What is left of a rate, for the answer's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    limit: u32,
    remaining: u32,
    reset_seconds: u32,
}

/// Why a request has no part in its asker's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Spent {
    /// The rate is used up.
    #[error("the rate is used up")]
    Rate {
        /// What is left of it.
        left: Left,
        /// When there is enough again.
        retry_seconds: u32,
    },
    /// There is never as much at once.
    #[error("more at once than the rate ever allows")]
    TooMuch,
    /// All slots are taken.
    #[error("too many requests are open")]
    Concurrency,
}

impl Lane {
    /// So many a second, of which `burst` may come at once, and so many open.
    pub fn per_second(rate: NonZeroU32, burst: NonZeroU32, concurrent: usize) -> Self {
        Self::new(Quota::per_second(rate).allow_burst(burst), concurrent)
    }

    /// So many a minute, all of which may come at once, and so many open.
    pub fn per_minute(rate: NonZeroU32, concurrent: usize) -> Self {
        Self::new(Quota::per_minute(rate), concurrent)
    }

    fn new(quota: Quota, concurrent: usize) -> Self {
        let concurrent = concurrent.min(Semaphore::MAX_PERMITS);
        Self {
            rate: RateLimiter::direct(quota).with_middleware(),
            clock: DefaultClock::default(),
            slots: Arc::new(Semaphore::new(concurrent)),
            concurrent,
        }
    }

    /// Opens a request, until the slot is dropped.
    pub fn open(&self) -> Result<OwnedSemaphorePermit, Spent> {
        Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| Spent::Concurrency)
    }

    /// Takes `count` of the rate.
    pub fn take(&self, count: NonZeroU32) -> Result<Left, Spent> {
        match self.rate.check_n(count) {
            Ok(Ok(state)) => Ok(left(state.remaining_burst_capacity(), state.quota())),
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(self.clock.now());
                Err(Spent::Rate {
                    left: left(0, not_until.quota()),
                    retry_seconds: u32::try_from(wait.as_secs())
                        .unwrap_or(u32::MAX)
                        .saturating_add(1),
                })
            }
            Err(_) => Err(Spent::TooMuch),
        }
    }

    /// Whether no request is open.
    pub fn is_quiet(&self) -> bool {
        self.slots.available_permits() == self.concurrent
    }
}

fn left(remaining: u32, quota: Quota) -> Left {
    let limit = quota.burst_size().get();
    let used = limit.saturating_sub(remaining);
    let reset = quota.replenish_interval().saturating_mul(used);
    let begun = u64::from(reset.subsec_nanos() > 0);
    Left {
        limit,
        remaining,
        reset_seconds: u32::try_from(reset.as_secs().saturating_add(begun)).unwrap_or(u32::MAX),
    }
}

impl Left {
    /// Writes `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    pub fn write(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.reset_seconds));
    }

    /// Whether an answer tells of a rate already, as one that another service gave does.
    pub fn is_told(headers: &HeaderMap) -> bool {
        headers.contains_key(LIMIT)
    }

    /// How much may come at once.
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// How much may come now.
    pub const fn remaining(self) -> u32 {
        self.remaining
    }

    /// When all of it may come again.
    pub const fn reset_seconds(self) -> u32 {
        self.reset_seconds
    }
}

impl IntoResponseParts for Left {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        self.write(parts.headers_mut());
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn what_is_left_is_told_and_comes_back() {
        let lane = Lane::per_minute(number(60), 1);
        let left = lane.take(number(30)).unwrap();
        assert_eq!(
            (left.limit, left.remaining, left.reset_seconds),
            (60, 30, 30)
        );
        let Err(Spent::Rate {
            left,
            retry_seconds,
        }) = lane.take(number(40))
        else {
            panic!("thirty are left");
        };
        assert_eq!((left.remaining, left.reset_seconds), (0, 60));
        assert!((9..=11).contains(&retry_seconds), "{retry_seconds}");
        assert_eq!(lane.take(number(61)), Err(Spent::TooMuch));
    }

    #[test]
    fn a_slot_is_free_again_when_its_request_ends() {
        let lane = Lane::per_minute(number(1), 1);
        assert!(lane.is_quiet());
        let slot = lane.open().unwrap();
        assert!(!lane.is_quiet());
        assert_eq!(lane.open().unwrap_err(), Spent::Concurrency);
        drop(slot);
        assert!(lane.is_quiet() && lane.open().is_ok());
    }
}
