//! The verifier at high volume: races for claims, ClickHouse away under load, misses by the hundred, a reorg under it all.
//!
//! Small by default. `X402_VOLUME_CLAIMS=100000` races so many claims, ten on each transfer, by 50 providers:
//! `X402_VOLUME_CLAIMS=100000 cargo test --release -p x402-tests --test e2e volume`.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "numbers stay far from any limit, and how many claims to race has no flag"
)]

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use reqwest::Url;
use serde_json::{Value, json};
use x402::local::clickhouse::{ClickHouse, ClickHouseOptions};
use x402_tests::{
    market::{
        gateway::Gateway,
        index::Index,
        payments::{Paid, Payments, Seller, invoice_id, payment_id},
        verifier::Verifier,
    },
    raw,
    shared::{run, shared},
    world::{World, eventually},
};

use crate::EXE;

/// Claims of an ordinary test run, and providers that race for them.
const CLAIMS: u64 = 2_000;
const PROVIDERS: u64 = 20;

/// Providers of the full race.
const MANY_PROVIDERS: u64 = 50;

/// Claims on each transfer.
const PER_TRANSFER: u64 = 10;

/// Requests under way at once in a race.
const AT_ONCE: usize = 200;

/// Callers whose transfers are all not in memory, and the most queries that they may cost.
const MISSES: u64 = 500;
const MAX_QUERIES: u64 = 20;

/// What a caller was told: a status, a verdict, and when to come back.
struct Told {
    status: u16,
    retry_after: Option<String>,
    body: Value,
}

/// A verifier, its index and those who ask it.
struct Stand {
    payments: Arc<Payments>,
    proofs: Vec<String>,
    gateway: Gateway,
    index: Arc<Index>,
    verifier: Verifier,
    client: reqwest::Client,
}

impl Stand {
    async fn start(
        clickhouse: &ClickHouse,
        name: &str,
        payments: Arc<Payments>,
        count: u64,
        flags: &[&str],
    ) -> Self {
        let proofs = payments.proofs(0..count);
        let gateway = Gateway::start(&payments, &proofs);
        let index = Index::create(clickhouse, name).await;
        let transfers = payments.transfers(0..count);
        index.add(&transfers).await;
        let folder = std::env::temp_dir();
        let folder = folder.to_str().unwrap();
        let verifier = Verifier::start(EXE, folder, &clickhouse.url, &gateway, &index, flags).await;
        Self {
            payments,
            proofs,
            gateway,
            index,
            verifier,
            client: reqwest::Client::new(),
        }
    }

    /// Asks about a payment as a provider; `None` when there was no answer at all.
    async fn ask(&self, number: u64, seller: &Seller, changes: Value) -> Option<Told> {
        let proof = &self.proofs[usize::try_from(number).unwrap()];
        let mut body = json!({ "proof": proof, "invoiceId": invoice_id(number) });
        body.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        let url = format!("http://{}/verify", self.verifier.address);
        let request = self.client.post(url).bearer_auth(seller.key.expose());
        let response = request.json(&body).send().await.ok()?;
        let retry_after = response.headers().get("retry-after");
        Some(Told {
            status: response.status().as_u16(),
            retry_after: retry_after.map(|value| value.to_str().unwrap().to_owned()),
            body: response.json().await.ok()?,
        })
    }

    /// The same as its own provider, without using it up.
    async fn look(&self, number: u64) -> Told {
        let seller = self.payments.seller(number);
        let told = self.ask(number, seller, json!({ "claim": false })).await;
        told.unwrap()
    }
}

impl Told {
    fn is_verified(&self, number: u64) -> bool {
        self.status == 200
            && self.body["verified"] == true
            && self.body["paymentId"] == payment_id(number)
    }

    /// No verdict, and when to ask again.
    fn is_away(&self) -> bool {
        self.status == 503 && self.retry_after.is_some() && self.body["error"].is_string()
    }
}

/// One claim: which transfer, by whom, in which attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Racer {
    transfer: u64,
    seller: u64,
    attempt: u64,
}

/// Who was granted which transfer, and when it was claimed as they were told.
type Grants = HashMap<u64, (Racer, Value)>;

impl Stand {
    /// All of these at once, `AT_ONCE` under way; grants go into `grants`. Returns how many got a verdict.
    async fn race(&self, racers: &[Racer], grants: &mut Grants, stop: &AtomicBool) -> u64 {
        let answered = AtomicU64::new(0);
        let asking = stream::iter(racers).map(async |racer| {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let seller = &self.payments.sellers[usize::try_from(racer.seller).unwrap()];
            let attempt = json!({ "attempt": format!("{}", racer.attempt) });
            let told = self.ask(racer.transfer, seller, attempt).await?;
            Some((*racer, told))
        });
        let mut told = asking.buffer_unordered(AT_ONCE);
        while let Some(told) = told.next().await {
            let Some((racer, told)) = told else { continue };
            if told.status != 200 {
                assert!(told.is_away(), "{} {}", told.status, told.body);
                continue;
            }
            answered.fetch_add(1, Ordering::Relaxed);
            if told.is_verified(racer.transfer) {
                let claimed_at = told.body["claimedAt"].clone();
                let before = grants.insert(racer.transfer, (racer, claimed_at.clone()));
                let same = before.is_none_or(|before| before == (racer, claimed_at));
                assert!(same, "transfer {} is granted to two", racer.transfer);
            } else {
                assert_eq!(told.body["errorCode"], "ALREADY_CLAIMED", "{}", told.body);
            }
        }
        answered.into_inner()
    }
}

fn claims() -> (u64, u64) {
    let asked = std::env::var("X402_VOLUME_CLAIMS");
    asked.map_or((CLAIMS, PROVIDERS), |text| {
        (text.parse().unwrap(), MANY_PROVIDERS)
    })
}

/// So many claims in an order without order, ten on each transfer, from sellers in turn.
fn racers(transfers: std::ops::Range<u64>, sellers: u64, seed: u64) -> Vec<Racer> {
    let mut racers: Vec<Racer> = transfers
        .flat_map(|transfer| {
            (0..PER_TRANSFER).map(move |turn| Racer {
                transfer,
                seller: (transfer + turn * 7) % sellers,
                attempt: turn,
            })
        })
        .collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut racers);
    racers
}

#[test]
fn of_racing_claims_on_a_transfer_one_is_granted_and_a_kill_changes_nothing() {
    run(async {
        let shared = shared(EXE).await;
        let (claims, sellers) = claims();
        let transfers = claims / PER_TRANSFER;
        let payments = Payments::to(sellers, Paid::SharedPayee);
        let entries = (4 * transfers).to_string();
        let flags = ["--cache-entries", &entries];
        // One half is raced for undisturbed, the other with a kill in the middle.
        let count = 2 * transfers;
        let mut stand = Stand::start(&shared.clickhouse, "race", payments, count, &flags).await;
        let undisturbed = racers(0..transfers, sellers, 1);
        let (mut grants, go_on) = (Grants::new(), AtomicBool::new(false));
        let answered = stand.race(&undisturbed, &mut grants, &go_on).await;
        assert_eq!(answered, claims);
        assert_eq!(grants.len(), usize::try_from(transfers).unwrap());

        let disturbed = racers(transfers..count, sellers, 2);
        let mut before = Grants::new();
        let half = disturbed.len() / 2;
        let stop = AtomicBool::new(false);
        let answered_before = {
            let killing = async {
                eventually("a fair share of the claims is made", async || {
                    let name = "x402_verifier_claims_total{outcome=\"granted\"}";
                    stand.verifier.metric(name).await > transfers + transfers / 4
                })
                .await;
                let id =
                    nix::unistd::Pid::from_raw(i32::try_from(stand.verifier.process().0).unwrap());
                nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
                stop.store(true, Ordering::Relaxed);
            };
            let racing = stand.race(&disturbed, &mut before, &stop);
            futures::join!(racing, killing).0
        };
        assert!(answered_before < claims, "the kill came too late to matter");
        assert!(!before.is_empty() && half > 0);
        stand.verifier.kill();
        stand.verifier.revive(&stand.index).await;

        // Everybody asks again, those who were answered too.
        let mut after = Grants::new();
        let answered = stand.race(&disturbed, &mut after, &go_on).await;
        assert_eq!(answered, claims);
        assert_eq!(after.len(), usize::try_from(transfers).unwrap());
        for (transfer, grant) in &before {
            assert_eq!(
                after.get(transfer),
                Some(grant),
                "an answered claim was lost"
            );
        }
        // And those before the kill hold as well.
        let mut again = Grants::new();
        stand.race(&undisturbed, &mut again, &go_on).await;
        assert_eq!(again, grants);
    });
}

#[test]
fn without_clickhouse_cached_answers_go_on_and_others_wait() {
    run(async {
        let shared = shared(EXE).await;
        let folder = tempfile::tempdir().unwrap();
        let mut options = ClickHouseOptions {
            folder: folder.path().join("clickhouse"),
            http_port: None,
        };
        let start = async |options: &ClickHouseOptions| {
            ClickHouse::start(&shared.launcher, &shared.tools.clickhouse, options)
                .await
                .unwrap()
        };
        let clickhouse = start(&options).await;
        options.http_port = clickhouse.url.port();
        let payments = Payments::to(PROVIDERS, Paid::EachSeller);
        // Memory starts with the newest; the oldest are never in it.
        let (count, cold, hot) = (2_000, 0..100, 1_950..2_000);
        let flags = ["--cache-entries", "200"];
        let mut stand = Stand::start(&clickhouse, "away", payments, count, &flags).await;
        for number in hot.clone() {
            let told = stand.look(number).await;
            assert!(told.is_verified(number), "{}", told.body);
        }

        let load_ended = AtomicBool::new(false);
        let load = async {
            let (mut verified, mut away) = (HashSet::new(), 0);
            let mut round = 0;
            while !load_ended.load(Ordering::Relaxed) {
                for (hot, cold) in hot.clone().zip(cold.clone().skip(round % 50)) {
                    let told = stand.look(hot).await;
                    assert!(
                        told.is_verified(hot),
                        "cached: {} {}",
                        told.status,
                        told.body
                    );
                    let told = stand.look(cold).await;
                    if told.is_verified(cold) {
                        verified.insert(cold);
                    } else {
                        assert!(told.is_away(), "not cached: {} {}", told.status, told.body);
                        away += 1;
                    }
                }
                round += 7;
            }
            (verified.len(), away)
        };
        let killing = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(clickhouse);
            tokio::time::sleep(Duration::from_secs(4)).await;
            let clickhouse = start(&options).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            load_ended.store(true, Ordering::Relaxed);
            clickhouse
        };
        let ((verified, away), _clickhouse) = futures::join!(load, killing);
        assert!(verified > 0 && away > 0, "{verified} verified, {away} away");

        // Claims need no ClickHouse, and the same process answers everything again.
        let id = stand.verifier.process().0;
        for number in cold {
            eventually("what is not cached verifies again", async || {
                stand.look(number).await.is_verified(number)
            })
            .await;
        }
        assert_eq!(stand.verifier.process().0, id);
        stand.verifier.caught_up(&stand.index).await;
    });
}

#[test]
fn hundreds_of_misses_at_once_share_a_few_queries() {
    run(async {
        let shared = shared(EXE).await;
        let payments = Payments::to(PROVIDERS, Paid::EachSeller);
        let flags = ["--cache-entries", "1"];
        let stand = Stand::start(&shared.clickhouse, "misses", payments, MISSES, &flags).await;
        let queries = async || {
            let name = "x402_verifier_index_queries_total{outcome=\"ok\"}";
            stand.verifier.metric(name).await
        };
        let before = queries().await;
        let looks = futures::future::join_all((0..MISSES).map(|number| stand.look(number))).await;
        for (number, told) in (0..).zip(&looks) {
            assert!(told.is_verified(number), "{} {}", told.status, told.body);
        }
        let queries = queries().await - before;
        assert!((1..MAX_QUERIES).contains(&queries), "{queries} queries");
    });
}

#[test]
fn a_known_digest_serves_as_the_signature_and_an_unknown_one_is_checked() {
    run(async {
        let shared = shared(EXE).await;
        let payments = Payments::to(PROVIDERS, Paid::EachSeller);
        let count = 50;
        let mut stand = Stand::start(&shared.clickhouse, "digests", payments, count, &[]).await;
        let digests = stand.gateway.digests();
        stand
            .verifier
            .until("x402_verifier_issued_digests", digests)
            .await;
        for number in 0..count {
            assert!(stand.look(number).await.is_verified(number));
        }
        let read = async |source: &str| {
            let name = format!("x402_verifier_proofs_total{{source=\"{source}\"}}");
            stand.verifier.metric(&name).await
        };
        assert_eq!(read("digest").await, count);
        assert_eq!(read("signature").await, 0);
        // A proof with a digest that nobody issued: its signature decides.
        let other = Payments::to(PROVIDERS, Paid::EachSeller);
        let (rest, _) = stand.proofs[0].rsplit_once('.').unwrap();
        let (_, foreign) = stand.proofs[1].rsplit_once('.').unwrap();
        let forged = json!({ "proof": format!("{rest}.{foreign}") });
        let told = stand
            .ask(0, stand.payments.seller(0), forged)
            .await
            .unwrap();
        assert_eq!(told.body["errorCode"], "INVALID_PROOF", "{}", told.body);
        // The keys of another market open nothing here.
        let told = stand.ask(0, other.seller(0), json!({})).await.unwrap();
        assert_eq!(told.status, 401);
    });
}

#[test]
fn a_reorg_flips_a_claimed_answer_and_is_told_as_a_revocation() {
    run(async {
        let world = World::on_own_chain(EXE, "revoked").await;
        let before = world.snapshot().await;
        let paid = world.settled("inv_1").await;
        let proof = paid["proof"].as_str().unwrap();
        let claimed = world
            .verify(proof, "inv_1", json!({ "attempt": "a" }))
            .await;
        assert_eq!(claimed["verified"], true, "{claimed}");
        let revocations: Url = world.verifier().join("revocations").unwrap();
        let told = async || {
            let (status, body) = raw::get(revocations.as_str(), Some(&world.provider_key)).await;
            assert_eq!(status, 200, "{body}");
            body["revocations"].as_array().unwrap().clone()
        };
        assert_eq!(told().await, Vec::<Value>::new());

        world.drop_payments_since(before).await;
        eventually("the answer to the claimed payment flips", async || {
            let answer = world
                .verify(proof, "inv_1", json!({ "attempt": "a" }))
                .await;
            answer["errorCode"] == "PAYMENT_REVERTED"
        })
        .await;
        eventually("the provider is told of the revocation", async || {
            !told().await.is_empty()
        })
        .await;
        let revocations = told().await;
        assert_eq!(revocations.len(), 1, "{revocations:?}");
        assert_eq!(revocations[0]["event"], "revoked");
        assert_eq!(revocations[0]["invoiceId"], "inv_1");
        assert_eq!(revocations[0]["attempt"], "a");
        assert_eq!(revocations[0]["txHash"], paid["txHash"]);
        world.stop().await;
    });
}
