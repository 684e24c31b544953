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
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::json;
use x402::local::clickhouse::{ClickHouse, ClickHouseOptions};
use x402_tests::{
    market::payments::{Paid, Payments, invoice_id},
    shared::{run, shared},
    world::eventually,
};

use crate::EXE;

mod race;
mod stand;

use stand::Stand;

/// Providers that ask.
const PROVIDERS: u64 = 20;

/// Callers whose transfers are all not in memory, and the most queries that they may cost.
const MISSES: u64 = 500;
const MAX_QUERIES: u64 = 20;

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
fn a_reorg_while_the_verifier_is_down_is_told_when_it_is_back() {
    run(async {
        let shared = shared(EXE).await;
        let payments = Payments::to(PROVIDERS, Paid::EachSeller);
        let mut stand = Stand::start(&shared.clickhouse, "down", payments, 3, &[]).await;
        let [gone, stays] = [0, 1];
        for number in [gone, stays] {
            let seller = stand.payments.seller(number);
            let told = stand.ask(number, seller, json!({})).await.unwrap();
            assert!(told.is_verified(number), "{}", told.body);
        }
        stand.verifier.kill();
        stand.index.retract(&[stand.payments.transfer(gone)]).await;
        stand.verifier.revive(&stand.index).await;

        assert_eq!(stand.look(gone).await.body["errorCode"], "PAYMENT_REVERTED");
        assert!(stand.look(stays).await.is_verified(stays));
        eventually("its provider is told", async || {
            !stand.revocations(gone).await.is_empty()
        })
        .await;
        let told = stand.revocations(gone).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["event"], "revoked");
        assert_eq!(told[0]["invoiceId"], invoice_id(gone));
        assert_eq!(stand.revocations(stays).await.len(), 0);
    });
}
