//! Proofs whose transfers are not in memory: what a question to ClickHouse costs as the table grows, and how many
//! questions five hundred callers make.

use std::sync::Arc;

use x402_tests::{market::index::Index, process::Process, shared::Shared};

use crate::{
    World,
    calls::{self, Claim},
    load::{Call, all_at_once, flat_out},
    meter::Meter,
    verifier,
};

/// Payments that nobody has asked for since long: those one by one, those side by side, those all at once.
const ONE_BY_ONE: usize = 1_000;
const SIDE_BY_SIDE: usize = 20_000;
const AT_ONCE: usize = 500;

/// Connections of those side by side.
const CONNECTIONS: usize = 64;

/// What counts questions to ClickHouse.
const QUERIES: &str = "x402_verifier_index_queries_total{outcome=\"ok\"}";

/// Proofs that the scenario needs.
pub(crate) const PROOFS: usize = ONE_BY_ONE + SIDE_BY_SIDE + AT_ONCE;

/// The median of a miss in milliseconds, in a table of so many rows.
pub(crate) async fn measure(shared: &Shared, world: &World, rows: u64) -> f64 {
    let index = Index::create(&shared.clickhouse, &format!("misses_{rows}")).await;
    let cold = &world.proofs[..PROOFS];
    let count = u64::try_from(PROOFS).unwrap();
    let transfers = world.payments.transfers(0..count);
    index.add(&transfers).await;
    index.fill(rows - count).await;
    index.merged().await;
    world.gateway.tell_digests(true);
    // No room for what a start loads, as if the payments were old.
    let flags = ["--cache-entries", "1"];
    let beat = index.beat();
    let verifier = verifier(shared, world, &index, &flags).await;
    let calls = |first: usize, count: usize| -> Arc<[Call]> {
        let number = u64::try_from(first).unwrap();
        calls::good(
            &world.payments,
            number,
            &cold[first..first + count],
            Claim::Off,
        )
    };
    let clickhouse = Process(shared.clickhouse.id());
    let (process, address) = (verifier.process(), verifier.address);

    let meter = Meter::start(process, &[clickhouse]);
    let (asked, cpu) = (calls(0, ONE_BY_ONE), clickhouse.cpu_seconds());
    let run = flat_out(address, &asked, ONE_BY_ONE, 1).await;
    let each_ms = (clickhouse.cpu_seconds() - cpu) / ONE_BY_ONE as f64 * 1_000.0;
    let one_by_one = meter.stop(run, ONE_BY_ONE);
    one_by_one.print(&format!("misses, one by one, {rows}"));

    let meter = Meter::start(process, &[clickhouse]);
    let asked = calls(ONE_BY_ONE, SIDE_BY_SIDE);
    let run = flat_out(address, &asked, SIDE_BY_SIDE, CONNECTIONS).await;
    let name = format!("misses, {CONNECTIONS} callers, {rows}");
    meter.stop(run, SIDE_BY_SIDE).print(&name);

    let before = verifier.metric(QUERIES).await;
    let run = all_at_once(address, &calls(ONE_BY_ONE + SIDE_BY_SIDE, AT_ONCE)).await;
    let queries = verifier.metric(QUERIES).await - before;
    println!(
        "    {each_ms:.2} CPU-ms of ClickHouse a miss one by one; {AT_ONCE} at once: {queries} queries, the last answered after {:.1} ms",
        run.quantile_ms(1.0)
    );
    drop((verifier, beat));
    index.drop_rows().await;
    one_by_one.run.quantile_ms(0.5)
}
