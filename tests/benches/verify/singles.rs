//! One proof in one request: unique ones with and without known digests, repeats, bad ones among them, and the
//! latency below the peak.

use std::sync::Arc;

use x402_tests::{
    market::{
        gateway::Gateway,
        index::{Heartbeat, Index},
        verifier::Verifier,
    },
    process::Process,
    shared::Shared,
};

use crate::{
    CONNECTIONS, World,
    calls::{self, Claim},
    load::{Call, flat_out, paced},
    meter::{Measured, Meter},
    verifier,
};

/// Transfers of one batch of the index, and batches that the verifier's tail may be behind.
const BATCH: usize = 5_000;
const BATCHES_AHEAD: usize = 3;

/// How many of the proofs are repeated when they are repeated, and how often.
const WARM_PROOFS: usize = 10_000;
const WARM_REQUESTS: usize = 400_000;

/// Every so many a bad one: 5 %.
const BAD_EVERY: u64 = 20;

/// The share of the peak at which latency is looked at.
pub(crate) const BELOW_PEAK: f64 = 0.7;

/// A verifier that has never seen a proof, with all their transfers tailed from the index.
pub(crate) struct Fresh {
    pub(crate) verifier: Verifier,
    pub(crate) index: Arc<Index>,
    clickhouse: Process,
    beat: Heartbeat,
}

impl Fresh {
    /// Starts one under a name of its own. With `digests` it waits until it knows all of them.
    pub(crate) async fn start(
        shared: &Shared,
        world: &World,
        name: &str,
        digests: bool,
        flags: &[&str],
    ) -> Self {
        world.gateway.tell_digests(digests);
        let index = Index::create(&shared.clickhouse, name).await;
        let beat = index.beat();
        let entries = (world.proofs.len() * 2).to_string();
        let mut all = vec!["--cache-entries", &entries];
        all.extend(flags);
        let mut verifier = verifier(shared, world, &index, &all).await;
        let count = u64::try_from(world.proofs.len()).unwrap();
        let transfers = world.payments.transfers(0..count);
        for batches in transfers.chunks(BATCH * BATCHES_AHEAD) {
            for batch in batches.chunks(BATCH) {
                index.add(batch).await;
            }
            verifier
                .until("x402_verifier_index_tip_block", index.tip())
                .await;
        }
        if digests {
            known(&mut verifier, &world.gateway).await;
        }
        Self {
            verifier,
            index,
            clickhouse: Process(shared.clickhouse.id()),
            beat,
        }
    }

    /// These requests, flat out.
    pub(crate) async fn measure(&self, name: &str, calls: &Arc<[Call]>, total: usize) -> Measured {
        let meter = Meter::start(self.verifier.process(), &[self.clickhouse]);
        let run = flat_out(self.verifier.address, calls, total, CONNECTIONS).await;
        let measured = meter.stop(run, total);
        measured.print(name);
        measured
    }

    /// So many of these requests over so many connections, at so many a second.
    pub(crate) async fn measure_paced(
        &self,
        name: &str,
        calls: &Arc<[Call]>,
        total: usize,
        connections: usize,
        rate: f64,
    ) -> Measured {
        let meter = Meter::start(self.verifier.process(), &[self.clickhouse]);
        let run = paced(self.verifier.address, calls, total, connections, rate).await;
        let measured = meter.stop(run, total);
        measured.print(name);
        measured
    }

    /// How many requests were over a provider's rate.
    pub(crate) async fn limited(&self) -> u64 {
        let name = "x402_verifier_refused_total{limit=\"rate\"}";
        self.verifier.metric(name).await
    }

    /// What the cache and the index had to do.
    pub(crate) async fn end(self) {
        let mut told = Vec::new();
        for name in [
            "proofs_total{source=\"digest\"}",
            "proofs_total{source=\"signature\"}",
            "proofs_total{source=\"memory\"}",
            "cache_misses_total",
            "index_queries_total{outcome=\"ok\"}",
            "claims_total{outcome=\"granted\"}",
            "claim_commit_duration_seconds_count",
        ] {
            let value = self.verifier.metric(&format!("x402_verifier_{name}")).await;
            told.push(format!("{name} {value}"));
        }
        println!(
            "    {}, peak {:.0} MB",
            told.join(", "),
            self.verifier.process().peak_mb()
        );
        drop((self.verifier, self.beat));
        self.index.drop_rows().await;
    }
}

/// Unique proofs whose digests the gateway has told, claims on: the first figure of the bar. Then the same ones again.
pub(crate) async fn digests(shared: &Shared, world: &World) -> (Measured, Measured) {
    let calls = calls::good(&world.payments, 0, &world.proofs, Claim::On);
    let fresh = Fresh::start(shared, world, "digests", true, &[]).await;
    let unique = fresh
        .measure("unique, digests known", &calls, calls.len())
        .await;
    let again: Arc<[Call]> =
        calls::good(&world.payments, 0, &world.proofs[..WARM_PROOFS], Claim::On);
    let warm = fresh.measure("the same again", &again, WARM_REQUESTS).await;
    let looks = calls::good(&world.payments, 0, &world.proofs[..WARM_PROOFS], Claim::Off);
    fresh
        .measure("the same again, no claim", &looks, WARM_REQUESTS)
        .await;
    fresh.end().await;
    (unique, warm)
}

/// The same proofs below the peak.
pub(crate) async fn latency(shared: &Shared, world: &World, peak: f64) -> Measured {
    let calls = calls::good(&world.payments, 0, &world.proofs, Claim::On);
    let fresh = Fresh::start(shared, world, "latency", true, &[]).await;
    let rate = peak * BELOW_PEAK;
    let measured = fresh
        .measure_paced(
            "unique, at 70 % of that",
            &calls,
            calls.len(),
            CONNECTIONS,
            rate,
        )
        .await;
    fresh.end().await;
    measured
}

/// Unique proofs whose signatures have to be checked.
pub(crate) async fn signatures(shared: &Shared, world: &World) -> Measured {
    let calls = calls::good(&world.payments, 0, &world.proofs, Claim::On);
    let fresh = Fresh::start(shared, world, "signatures", false, &[]).await;
    let measured = fresh
        .measure("unique, signatures checked", &calls, calls.len())
        .await;
    fresh.end().await;
    measured
}

/// Unique proofs that are looked at and not used up.
pub(crate) async fn claims_off(shared: &Shared, world: &World) {
    let calls = calls::good(&world.payments, 0, &world.proofs, Claim::Off);
    let fresh = Fresh::start(shared, world, "claims_off", true, &[]).await;
    fresh
        .measure("unique, claims off", &calls, calls.len())
        .await;
    fresh.end().await;
}

/// One proof in twenty is bad in one of six ways.
pub(crate) async fn mixed(shared: &Shared, world: &World) {
    let calls = calls::mixed(&world.payments, &world.proofs, BAD_EVERY);
    let fresh = Fresh::start(shared, world, "mixed", true, &[]).await;
    fresh.measure("unique, 5 % bad", &calls, calls.len()).await;
    fresh.end().await;
}

/// A thousand proofs in one request.
pub(crate) async fn batch(
    shared: &Shared,
    world: &World,
    size: usize,
    connections: usize,
) -> Measured {
    let calls = calls::batches(&world.payments, &world.proofs, size);
    let fresh = Fresh::start(shared, world, "batch", true, &[]).await;
    let meter = Meter::start(fresh.verifier.process(), &[fresh.clickhouse]);
    let run = flat_out(fresh.verifier.address, &calls, calls.len(), connections).await;
    let measured = meter.stop(run, world.proofs.len());
    measured.print("unique, batches of 1,000");
    fresh.end().await;
    measured
}

/// Waits until the verifier has heard every digest.
async fn known(verifier: &mut Verifier, gateway: &Gateway) {
    verifier
        .until("x402_verifier_issued_digests", gateway.digests())
        .await;
}
