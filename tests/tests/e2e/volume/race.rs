//! Many providers that claim the same transfers at once, and a kill in the middle.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use futures::{StreamExt, stream};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use x402_tests::{
    market::payments::{Paid, Payments},
    shared::{run, shared},
    world::eventually,
};

use super::{PROVIDERS, Stand};
use crate::EXE;

/// Claims of an ordinary test run.
const CLAIMS: u64 = 2_000;

/// Providers of the full race.
const MANY_PROVIDERS: u64 = 50;

/// Claims on each transfer.
const PER_TRANSFER: u64 = 10;

/// Requests under way at once in a race.
const AT_ONCE: usize = 200;

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
                let id = i32::try_from(stand.verifier.process().0).unwrap();
                kill(Pid::from_raw(id), Signal::SIGKILL).unwrap();
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
