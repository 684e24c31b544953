//! How much each provider may ask, and how much is in hand altogether.
//!
//! A provider has a rate and a number of open requests of its own, so its flood is its own loss; what
//! is in hand is bounded, so that the answer to too much is a quick no instead of a late yes. An item
//! of a batch counts as a request.

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use x402_schemas::api::provider::MAX_BATCH;
pub(crate) use x402_service::rate::Left;
use x402_service::{
    problem::Problem,
    rate::{self, Spent},
};

use crate::metrics::Refused;

/// When to come back to a verifier that has too much in hand.
const OVERLOADED_RETRY_SECONDS: u32 = 1;

/// What each provider may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Proofs a second; as many may come at once, and never less than one batch.
    pub(crate) per_second: NonZeroU32,
    /// Open requests.
    pub(crate) concurrent: usize,
}

/// One provider's share, for as long as the directory has the provider.
#[derive(Debug)]
pub(crate) struct Lane(rate::Lane);

/// All that is in hand.
#[derive(Clone, Debug)]
pub(crate) struct InHand {
    room: usize,
    items: Arc<Semaphore>,
}

/// A request that is not taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum LimitError {
    /// The provider asks faster than its rate.
    #[error("more proofs than this provider's rate allows; ask again after Retry-After")]
    Rate {
        /// What is left of it.
        left: Left,
        /// When there is enough again.
        retry_seconds: u32,
    },
    /// The provider has too many requests open.
    #[error("too many open requests of this provider; wait for answers before asking more")]
    Concurrency,
    /// The verifier has too much in hand.
    #[error(
        "the verifier has more in hand than it can answer in time; ask again after Retry-After"
    )]
    Overloaded,
}

impl Lane {
    /// A share that nothing has been taken of.
    pub(crate) fn new(terms: Terms) -> Self {
        let batch = u32::try_from(MAX_BATCH)
            .ok()
            .and_then(NonZeroU32::new)
            .unwrap_or(NonZeroU32::MIN);
        let burst = terms.per_second.max(batch);
        Self(rate::Lane::per_second(
            terms.per_second,
            burst,
            terms.concurrent,
        ))
    }

    /// Opens a request, until the slot is dropped.
    pub(crate) fn open(&self) -> Result<OwnedSemaphorePermit, LimitError> {
        Ok(self.0.open()?)
    }

    /// Takes `count` proofs of the rate.
    pub(crate) fn take(&self, count: usize) -> Result<Left, LimitError> {
        let count = u32::try_from(count)
            .ok()
            .and_then(NonZeroU32::new)
            .unwrap_or(NonZeroU32::MIN);
        Ok(self.0.take(count)?)
    }
}

impl From<Spent> for LimitError {
    fn from(spent: Spent) -> Self {
        match spent {
            Spent::Rate {
                left,
                retry_seconds,
            } => Self::Rate {
                left,
                retry_seconds,
            },
            // A batch always fits the burst; anything else asks for what there never is.
            Spent::TooMuch => Self::Overloaded,
            Spent::Concurrency => Self::Concurrency,
        }
    }
}

impl InHand {
    /// Room for so many proofs.
    pub(crate) fn new(items: usize) -> Self {
        let room = items.clamp(MAX_BATCH, Semaphore::MAX_PERMITS);
        Self {
            room,
            items: Arc::new(Semaphore::new(room)),
        }
    }

    /// Proofs in hand.
    pub(crate) fn taken(&self) -> usize {
        self.room.saturating_sub(self.items.available_permits())
    }

    /// Takes `count` proofs in hand, if there is room, until the permit is dropped.
    pub(crate) fn take(&self, count: usize) -> Result<OwnedSemaphorePermit, LimitError> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Arc::clone(&self.items)
            .try_acquire_many_owned(count)
            .map_err(|_| LimitError::Overloaded)
    }
}

impl LimitError {
    /// What it is counted as.
    pub(crate) const fn counted_as(&self) -> Refused {
        match self {
            Self::Rate { .. } => Refused::Rate,
            Self::Concurrency => Refused::Concurrency,
            Self::Overloaded => Refused::Overload,
        }
    }

    /// The stable code.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Rate { .. } | Self::Concurrency => "RATE_LIMITED",
            Self::Overloaded => "OVERLOADED",
        }
    }
}

impl IntoResponse for LimitError {
    fn into_response(self) -> Response {
        let (status, retry_seconds) = match self {
            Self::Rate { retry_seconds, .. } => (StatusCode::TOO_MANY_REQUESTS, retry_seconds),
            Self::Concurrency => (StatusCode::TOO_MANY_REQUESTS, OVERLOADED_RETRY_SECONDS),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, OVERLOADED_RETRY_SECONDS),
        };
        let mut response = Problem::new(status, self.code(), self.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_seconds));
        if let Self::Rate { left, .. } = self {
            left.write(headers);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(per_second: u32, concurrent: usize) -> Lane {
        Lane::new(Terms {
            per_second: NonZeroU32::new(per_second).unwrap(),
            concurrent,
        })
    }

    #[test]
    fn items_of_a_batch_count_as_requests() {
        let lane = lane(2_000, 1);
        assert_eq!(lane.take(1_000).unwrap().remaining(), 1_000);
        assert!(lane.take(999).is_ok());
        let LimitError::Rate {
            left,
            retry_seconds,
        } = lane.take(1_000).unwrap_err()
        else {
            panic!("the rate is used up");
        };
        assert_eq!((left.limit(), retry_seconds), (2_000, 1));
    }

    #[test]
    fn a_batch_fits_the_smallest_rate_and_takes_its_time() {
        let lane = lane(1, 1);
        let left = lane.take(1_000).unwrap();
        assert_eq!((left.remaining(), left.reset_seconds()), (0, 1_000));
        assert!(matches!(
            lane.take(1_000),
            Err(LimitError::Rate { retry_seconds, .. }) if retry_seconds > 900
        ));
    }

    #[test]
    fn a_slot_is_free_again_when_its_request_ends() {
        let lane = lane(1, 1);
        let slot = lane.open().unwrap();
        assert_eq!(lane.open().unwrap_err(), LimitError::Concurrency);
        drop(slot);
        assert!(lane.open().is_ok());
    }

    #[test]
    fn what_is_in_hand_is_bounded() {
        let in_hand = InHand::new(1_500);
        let first = in_hand.take(1_000).unwrap();
        assert_eq!(in_hand.take(501).unwrap_err(), LimitError::Overloaded);
        assert!(in_hand.take(500).is_ok());
        drop(first);
        assert!(in_hand.take(1_500).is_ok());
    }
}
