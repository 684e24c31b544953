//! Digests of the proofs that the gateway is known to have issued.
//!
//! A proof with such a digest is the gateway's own, byte for byte, so its signature need not be
//! checked. Nothing else is taken from it: a proof whose digest is not here merely costs a signature
//! check, so this may lag, be away or forget.

use std::sync::{Arc, PoisonError, RwLock};

use alloy_primitives::{B256, map::B256HashSet};
use tokio_util::sync::CancellationToken;
use url::Url;
use x402_schemas::api::issued::Issued;

use crate::{
    gateway::{AskError, Gateway, WAIT},
    retry::Retry,
};

/// The largest answer: 10,000 digests take about a megabyte.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Digests of issued proofs, the newest of them if not all fit.
#[derive(Debug)]
pub(crate) struct IssuedProofs {
    generations: RwLock<Generations>,
    /// Half of what may be held.
    half: usize,
}

/// When the newer half is full, the older one goes.
#[derive(Debug, Default)]
struct Generations {
    newer: B256HashSet,
    older: B256HashSet,
}

/// Follows the gateway's feed.
#[derive(Debug)]
pub(crate) struct IssuedFollower {
    /// Filled with what the feed brings.
    pub(crate) proofs: Arc<IssuedProofs>,
    /// Whose feed.
    pub(crate) gateway: Gateway,
    /// Where.
    pub(crate) endpoint: Url,
}

impl IssuedProofs {
    /// Room for at least half of `capacity` digests, and for no more than it.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            generations: RwLock::default(),
            half: capacity.div_ceil(2),
        }
    }

    /// Whether the gateway is known to have issued the proof of this digest.
    pub(crate) fn contains(&self, digest: &B256) -> bool {
        let generations = self
            .generations
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        generations.newer.contains(digest) || generations.older.contains(digest)
    }

    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        let generations = self
            .generations
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let (newer, older) = (generations.newer.len(), generations.older.len());
        newer.saturating_add(older)
    }

    fn extend(&self, digests: impl Iterator<Item = B256>) {
        let mut generations = self
            .generations
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for digest in digests {
            if generations.newer.len() >= self.half {
                generations.older = std::mem::take(&mut generations.newer);
            }
            generations.newer.insert(digest);
        }
    }

    fn clear(&self) {
        *self
            .generations
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Generations::default();
    }

    /// Takes an answer to a question for what comes after `after`. Returns what to ask for next.
    pub(crate) fn accept(&self, after: u64, issued: &Issued) -> u64 {
        if issued.newest < after {
            self.clear();
            return 0;
        }
        self.extend(issued.proofs.iter().map(|proof| proof.digest));
        issued
            .proofs
            .last()
            .map_or(after, |last| last.number.max(after))
    }
}

impl IssuedFollower {
    /// Follows until `stop`. Nothing that the gateway does ends it.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled_owned(self.follow()).await;
    }

    async fn follow(self) {
        let (mut after, mut retry) = (0, Retry::new());
        loop {
            match self.ask(after).await {
                Ok(issued) => {
                    retry = Retry::new();
                    after = self.proofs.accept(after, &issued);
                }
                Err(error) => {
                    let what = "the digests of issued proofs could not be read";
                    retry.after(what, error).await;
                }
            }
        }
    }

    async fn ask(&self, after: u64) -> Result<Issued, AskError> {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut()
            .append_pair("after", &after.to_string())
            .append_pair("waitMs", &WAIT.as_millis().to_string());
        self.gateway.ask(url, MAX_BYTES).await
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use proptest::prelude::*;
    use x402_schemas::api::issued::IssuedProof;

    use super::*;

    fn digest(number: u64) -> B256 {
        B256::from(U256::from(number))
    }

    fn issued(newest: u64, numbers: std::ops::RangeInclusive<u64>) -> Issued {
        let proofs = numbers
            .map(|number| IssuedProof {
                number,
                digest: digest(number),
            })
            .collect();
        Issued { newest, proofs }
    }

    #[test]
    fn the_feed_goes_on_where_it_stopped() {
        let proofs = IssuedProofs::new(100);
        assert_eq!(proofs.accept(0, &issued(9, 3..=5)), 5);
        assert_eq!(proofs.accept(5, &issued(9, 6..=9)), 9);
        #[expect(clippy::reversed_empty_ranges, reason = "nothing new")]
        let nothing = issued(9, 1..=0);
        assert_eq!(proofs.accept(9, &nothing), 9);
        assert_eq!(proofs.len(), 7);
        assert!(proofs.contains(&digest(3)) && !proofs.contains(&digest(2)));
    }

    #[test]
    fn a_gateway_that_lost_its_ledger_is_followed_from_the_beginning() {
        let proofs = IssuedProofs::new(100);
        let after = proofs.accept(0, &issued(9, 1..=9));
        #[expect(clippy::reversed_empty_ranges, reason = "nothing new")]
        let reset = issued(2, 1..=0);
        assert_eq!(proofs.accept(after, &reset), 0);
        assert!(
            !proofs.contains(&digest(9)),
            "another gateway's proofs do not count"
        );
    }

    proptest! {
        #[test]
        fn the_newest_stay_and_no_more_than_fit(capacity in 2_usize..40, count in 1_u64..200) {
            let proofs = IssuedProofs::new(capacity);
            proofs.accept(0, &issued(count, 1..=count));
            prop_assert!(proofs.len() <= capacity.next_multiple_of(2));
            let kept = capacity.div_ceil(2);
            for number in (1..=count).rev().take(kept) {
                prop_assert!(proofs.contains(&digest(number)));
            }
        }
    }
}
