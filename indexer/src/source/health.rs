//! How far an endpoint is to be trusted now: what it did, when it may be asked again, which blocks it has seen. Pure.
//!
//! Only the order of asking follows from it, never what is believed. No floats: parts are counted per thousand.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause after a failure; doubled with each in a row.
const FIRST_REST: Duration = Duration::from_millis(50);

/// The longest of those: a node that comes back is noticed soon.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// The longest pause that we let a node ask for.
const LONGEST_ASKED_REST: Duration = Duration::from_mins(1);

/// Above this share of failures, per thousand, an endpoint comes after those that work.
const UNRELIABLE_PERMILLE: u32 = 500;

/// So many blocks behind the best, an endpoint comes after those that are there: the spread of honest nodes is less.
const LAGS_BLOCKS: u64 = 3;

/// An endpoint is slow at four times the best's latency, and not below this.
const SLOW: Duration = Duration::from_millis(400);

/// What an endpoint did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// Of asking for the head, which all are asked alike. Moving average.
    latency: Option<Duration>,
    /// Failures per thousand requests, the last ones counting most.
    trouble: u32,
    failures_in_a_row: u32,
    rests_until: Option<Instant>,
    head: Option<Seen>,
}

/// A head, and when it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    number: u64,
    at: Instant,
}

impl Health {
    /// A request was answered.
    pub(super) fn answered(&mut self) {
        self.failures_in_a_row = 0;
        self.rests_until = None;
        self.trouble = self.trouble.saturating_sub(self.trouble.div_ceil(4));
    }

    /// A request was not answered. `asked_rest` is the pause that the node asks for; `jitter`, per thousand, shortens
    /// our own pause by up to half, so that several indexers do not come back together.
    pub(super) fn failed(&mut self, now: Instant, asked_rest: Option<Duration>, jitter: u32) {
        self.contradicted();
        let doublings = self.failures_in_a_row.min(16);
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let longest = FIRST_REST
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(LONGEST_REST);
        let shortening = longest
            .saturating_mul(jitter.min(1_000))
            .checked_div(2_000)
            .unwrap_or_default();
        let own = longest.saturating_sub(shortening);
        let asked = asked_rest.unwrap_or_default().min(LONGEST_ASKED_REST);
        let until = now.checked_add(own.max(asked));
        // Requests that were under way together must not shorten what one of them was told.
        self.rests_until = until.max(self.rests_until);
    }

    /// A request was given up after a long wait, which is worse than an error at once: others go first from now on.
    pub(super) fn late(&mut self) {
        self.trouble = self.trouble.max(UNRELIABLE_PERMILLE.saturating_add(1));
    }

    /// A reply contradicted itself, or another endpoint.
    pub(super) fn contradicted(&mut self) {
        let healthy = 1_000_u32.saturating_sub(self.trouble);
        self.trouble = self.trouble.saturating_add(healthy.div_ceil(4));
    }

    /// The endpoint's newest block, and how long it took to say so.
    pub(super) fn saw_head(&mut self, number: u64, took: Duration, now: Instant) {
        self.head = Some(Seen { number, at: now });
        let eighth = |time: Duration| time.checked_div(8).unwrap_or_default();
        self.latency = Some(match self.latency {
            None => took,
            Some(before) => before
                .saturating_sub(eighth(before))
                .saturating_add(eighth(took)),
        });
    }

    /// The newest block that it said it has.
    pub(super) fn head(&self) -> Option<u64> {
        self.head.map(|seen| seen.number)
    }

    /// Whether its head is not known as of `age` ago.
    pub(super) fn head_is_older_than(&self, age: Duration, now: Instant) -> bool {
        self.head
            .is_none_or(|seen| now.saturating_duration_since(seen.at) >= age)
    }

    /// How much longer it is to be left alone.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        self.rests_until
            .map(|until| until.saturating_duration_since(now))
            .filter(|rest| !rest.is_zero())
    }
}

/// The places of the endpoints, the one to ask first in front: those that work before those that do not, and among
/// equals as the operator prefers them. Never leaves one out.
pub(super) fn order(endpoints: &[Health], now: Instant) -> Vec<usize> {
    let awake = |health: &&Health| health.rest(now).is_none();
    let best_head = endpoints
        .iter()
        .filter(awake)
        .filter_map(Health::head)
        .max()
        .unwrap_or_default();
    let best_latency = endpoints
        .iter()
        .filter(awake)
        .filter_map(|health| health.latency)
        .min()
        .unwrap_or_default();
    let slow = best_latency.saturating_mul(4).max(SLOW);
    let mut places: Vec<_> = endpoints
        .iter()
        .enumerate()
        .map(|(index, health)| {
            let lags = health
                .head()
                .is_some_and(|head| best_head.saturating_sub(head) > LAGS_BLOCKS);
            let is_slow = health.latency.is_some_and(|latency| latency > slow);
            let unreliable = health.trouble > UNRELIABLE_PERMILLE;
            (health.rest(now), unreliable, lags, is_slow, index)
        })
        .collect();
    places.sort_unstable();
    places.into_iter().map(|(.., index)| index).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn seen(number: u64, took: Duration, now: Instant) -> Health {
        let mut health = Health::default();
        health.saw_head(number, took, now);
        health
    }

    #[test]
    fn the_operators_preference_holds_among_endpoints_that_work() {
        let now = Instant::now();
        let endpoints = [
            seen(99, 300 * MS, now),
            seen(100, MS, now),
            Health::default(),
        ];
        assert_eq!(order(&endpoints, now), [0, 1, 2]);
    }

    #[test]
    fn what_rests_fails_lags_or_is_slow_comes_later() {
        let now = Instant::now();
        let good = seen(100, MS, now);
        let mut rests = good.clone();
        rests.failed(now, None, 0);
        let mut fails = good.clone();
        for _ in 0..4 {
            fails.contradicted();
        }
        let lags = seen(96, MS, now);
        let slow = seen(100, 500 * MS, now);
        let endpoints = [rests, fails, lags, slow, good];
        assert_eq!(order(&endpoints, now), [4, 3, 2, 1, 0]);
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_end_with_an_answer() {
        let now = Instant::now();
        let mut health = Health::default();
        let mut pauses = vec![];
        for _ in 0..9 {
            health.rests_until = None;
            health.failed(now, None, 0);
            pauses.push(health.rest(now).unwrap_or_default().as_millis());
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        health.answered();
        assert_eq!(health.rest(now), None);
    }

    #[test]
    fn a_node_is_left_alone_as_long_as_it_asks_within_reason() {
        let now = Instant::now();
        let mut health = Health::default();
        health.failed(now, Some(Duration::from_secs(7)), 1_000);
        assert_eq!(health.rest(now), Some(Duration::from_secs(7)));
        health.failed(now, None, 1_000);
        assert_eq!(health.rest(now), Some(Duration::from_secs(7)));
        health.failed(now, Some(Duration::from_hours(24)), 0);
        assert_eq!(health.rest(now), Some(LONGEST_ASKED_REST));
    }

    #[test]
    fn one_that_keeps_us_waiting_is_asked_last_at_once() {
        let now = Instant::now();
        let mut late = Health::default();
        late.late();
        assert_eq!(order(&[late, Health::default()], now), [1, 0]);
    }

    #[test]
    fn an_endpoint_that_works_again_is_preferred_again() {
        let now = Instant::now();
        let mut first = Health::default();
        for _ in 0..20 {
            first.failed(now, None, 0);
        }
        assert_eq!(order(&[first.clone(), Health::default()], now), [1, 0]);
        for _ in 0..4 {
            first.answered();
        }
        assert_eq!(order(&[first, Health::default()], now), [0, 1]);
    }

    proptest! {
        #[test]
        fn every_endpoint_is_in_the_order_once(deeds in proptest::collection::vec((0_u8..5, 0_usize..4, any::<u32>()), 0..60)) {
            let now = Instant::now();
            let mut endpoints = vec![Health::default(); 4];
            for (deed, index, number) in deeds {
                let health = &mut endpoints[index];
                match deed {
                    0 => health.answered(),
                    1 => health.failed(now, None, number),
                    2 => health.failed(now, Some(Duration::from_millis(number.into())), number),
                    3 => health.contradicted(),
                    _ => health.saw_head(number.into(), Duration::from_micros(number.into()), now),
                }
                prop_assert!(health.trouble <= 1_000);
            }
            let mut order = order(&endpoints, now);
            order.sort_unstable();
            prop_assert_eq!(order, [0, 1, 2, 3]);
        }
    }
}
