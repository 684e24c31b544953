//! How much each key may ask, and each address that sends no valid one.
//!
//! A key has a rate and a number of open requests of its own, so its flood is its own loss; guessing keys
//! is the address's. A request that waits, or whose answer is a stream, is open until its end. Our own services
//! are not counted.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use x402_service::{
    connections::Peer,
    problem::Problem,
    rate::{Lane, Left, Spent},
};

use crate::{
    gateway::Gateway,
    metrics::{Limit, LimitOf},
    principal::Caller,
};

/// After so long without a request a rate is whole again, and the share as good as new.
const RECOVERED: Duration = Duration::from_mins(1);
/// The most keys, and the most addresses, that are told apart; what comes beyond them shares one lane.
const MAX_TOLD_APART: usize = 100_000;
/// When to come back to a gateway where too many requests are open.
const BUSY_RETRY_SECONDS: u32 = 1;

/// What one key, or one address, may ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) per_minute: NonZeroU32,
    pub(crate) concurrent: usize,
}

/// Everybody's shares.
#[derive(Debug)]
pub(crate) struct Limits {
    keys: Lanes<String>,
    addresses: Lanes<IpAddr>,
}

#[derive(Debug)]
struct Lanes<K> {
    terms: Terms,
    most: usize,
    shares: Mutex<Shares<K>>,
    /// Of all those that are not told apart.
    rest: Arc<Lane>,
}

#[derive(Debug)]
struct Shares<K> {
    of: HashMap<K, Share>,
    swept_at: Instant,
}

#[derive(Debug)]
struct Share {
    lane: Arc<Lane>,
    asked_at: Instant,
}

impl Limits {
    /// Shares that nothing has been taken of.
    pub(crate) fn of(terms: Terms) -> Self {
        Self {
            keys: Lanes::new(terms, MAX_TOLD_APART),
            addresses: Lanes::new(terms, MAX_TOLD_APART),
        }
    }
}

impl Terms {
    fn lane(self) -> Arc<Lane> {
        Arc::new(Lane::per_minute(self.per_minute, self.concurrent))
    }
}

impl<K: Clone + Eq + Hash> Lanes<K> {
    fn new(terms: Terms, most: usize) -> Self {
        Self {
            terms,
            most,
            shares: Mutex::new(Shares {
                of: HashMap::new(),
                swept_at: Instant::now(),
            }),
            rest: terms.lane(),
        }
    }

    /// The share of one asker.
    fn of(&self, asker: &K, now: Instant) -> Arc<Lane> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.of.get_mut(asker) {
            share.asked_at = now;
            return Arc::clone(&share.lane);
        }
        shares.sweep(now);
        if shares.of.len() >= self.most {
            return Arc::clone(&self.rest);
        }
        let lane = self.terms.lane();
        let share = Share {
            lane: Arc::clone(&lane),
            asked_at: now,
        };
        shares.of.insert(asker.clone(), share);
        lane
    }
}

impl<K> Shares<K> {
    /// Drops shares that are as good as new, now and then, so that nobody wins or loses by it.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept_at) < RECOVERED {
            return;
        }
        self.swept_at = now;
        self.of.retain(|_, share| {
            let recovered = now.saturating_duration_since(share.asked_at) >= RECOVERED;
            !(recovered && share.lane.is_quiet())
        });
    }
}

/// Lets a request in if its asker has a share left, and tells what remains of it.
pub(crate) async fn admit(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response {
    let now = Instant::now();
    let (of, lane) = match request.extensions().get::<Caller>() {
        Some(caller) => match caller.counted_key() {
            Some(key_id) => (
                LimitOf::Key,
                gateway.limits.keys.of(&key_id.to_owned(), now),
            ),
            None => return next.run(request).await,
        },
        None => (
            LimitOf::Address,
            gateway.limits.addresses.of(&address(&request), now),
        ),
    };
    let admitted = lane
        .open()
        .and_then(|slot| Ok((slot, lane.take(NonZeroU32::MIN)?)));
    match admitted {
        Ok((slot, left)) => {
            let mut response = next.run(request).await;
            if !Left::is_told(response.headers()) {
                left.write(response.headers_mut());
            }
            held_until_its_end(response, slot)
        }
        Err(spent) => {
            let limit = match spent {
                Spent::Rate { .. } | Spent::TooMuch => Limit::Rate,
                Spent::Concurrency => Limit::Concurrency,
            };
            gateway.metrics.over_limit(of, limit);
            refusal(of, spent)
        }
    }
}

/// An answer that is all there is at its end; a stream ends when its reader has it or goes away.
fn held_until_its_end(response: Response, slot: OwnedSemaphorePermit) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &slot;
            frame
        }))
    })
}

fn refusal(of: LimitOf, spent: Spent) -> Response {
    let asker = match of {
        LimitOf::Key => "this key",
        LimitOf::Address => "this address, without a valid key,",
    };
    let (left, retry_seconds, message) = match spent {
        Spent::Rate {
            left,
            retry_seconds,
        } => (
            Some(left),
            retry_seconds,
            format!("{asker} has made its requests of the minute; come back after Retry-After"),
        ),
        Spent::TooMuch | Spent::Concurrency => (
            None,
            BUSY_RETRY_SECONDS,
            format!("{asker} has too many requests open; wait for answers before asking more"),
        ),
    };
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", message);
    let mut response = problem.retry_after(retry_seconds).into_response();
    if let Some(left) = left {
        left.write(response.headers_mut());
    }
    response
}

/// Where a request comes from. Whoever has one IPv6 address has the 2^64 beside it.
fn address(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let ip = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let network = ip.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        per_minute: NonZeroU32::MIN,
        concurrent: 1,
    };

    fn take(lane: &Lane) -> bool {
        lane.take(NonZeroU32::MIN).is_ok()
    }

    #[test]
    fn one_askers_flood_is_its_own_loss() {
        let lanes = Lanes::new(TERMS, 10);
        let now = Instant::now();
        assert!(take(&lanes.of(&1, now)) && !take(&lanes.of(&1, now)));
        assert!(take(&lanes.of(&2, now)));
    }

    #[test]
    fn a_share_is_forgotten_only_when_it_is_as_good_as_new() {
        let lanes = Lanes::new(TERMS, 10);
        let start = Instant::now();
        let slot = lanes.of(&1, start).open().unwrap();
        lanes.of(&2, start);
        let later = start + RECOVERED;
        lanes.of(&3, later);
        let told_apart = |lanes: &Lanes<i32>| {
            let shares = lanes.shares.lock().unwrap();
            let mut askers: Vec<i32> = shares.of.keys().copied().collect();
            askers.sort_unstable();
            askers
        };
        assert_eq!(told_apart(&lanes), [1, 3], "the first is still open");
        assert!(lanes.of(&1, later).open().is_err());
        drop(slot);
        lanes.of(&4, later + RECOVERED);
        assert_eq!(told_apart(&lanes), [4]);
    }

    #[test]
    fn what_cannot_be_told_apart_shares_a_lane_and_takes_no_memory() {
        let lanes = Lanes::new(TERMS, 2);
        let now = Instant::now();
        assert!(take(&lanes.of(&1, now)) && take(&lanes.of(&2, now)));
        assert!(take(&lanes.of(&3, now)) && !take(&lanes.of(&4, now)));
        assert_eq!(lanes.shares.lock().unwrap().of.len(), 2);
        // Room comes back with time, and nobody's share was touched.
        assert!(!take(&lanes.of(&1, now)));
        assert!(take(&lanes.of(&4, now + RECOVERED)));
    }

    #[test]
    fn neighbours_in_an_ipv6_network_are_one_address() {
        let of = |text: &str| {
            let mut request = Request::new(Body::empty());
            let peer = Peer::at(text.parse().unwrap());
            request.extensions_mut().insert(ConnectInfo(peer));
            address(&request)
        };
        assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::2:3]:2"));
        assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
        assert_ne!(of("192.0.2.1:1"), of("192.0.2.2:1"));
        assert_eq!(of("[::ffff:192.0.2.1]:1"), of("192.0.2.1:5"));
    }
}
