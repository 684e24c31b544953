//! The index equals the chain after whatever a seed brings: forks, replicas that lag and lie, kills, a ClickHouse that
//! comes and goes.
//!
//! A handful of seeds by default; `X402_FAULT_SEEDS=1000` plays as many, `X402_FAULT_SEED=7` one. What happens follows
//! from the seed and is counted in requests and inserts, not in time, so a seed that fails fails again.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::struct_excessive_bools,
    clippy::disallowed_methods,
    reason = "numbers stay far from any limit, a seed decides many things by a coin, and which seeds to play has no flag"
)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use x402_tests::shared::{run, shared};

use crate::EXE;

/// What happens, step by step, out of a seed.
mod script;

/// One seed played on a real indexer and a real ClickHouse.
mod play;

use play::Play;
use script::Script;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 25;

/// Seeds that found a defect once: a chain that is replaced down to its genesis block while the indexer is down.
const FORMER: [u64; 2] = [30, 60];

/// Seeds played at a time; most of a seed's time is spent waiting.
const AT_A_TIME: usize = 8;

/// How long one seed may take in all on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// What a play has touched.
type Noted = BTreeMap<&'static str, usize>;

#[test]
#[expect(clippy::print_stderr, reason = "what a thousand seeds went through")]
fn the_index_equals_the_chain_whatever_fails() {
    let begin = Instant::now();
    let seeds = seeds();
    let count = seeds.len();
    let outcomes: Vec<Result<Noted, String>> = run(async {
        let played = seeds.into_iter().map(|seed| tokio::spawn(play_one(seed)));
        let outcomes = stream::iter(played).buffer_unordered(AT_A_TIME);
        outcomes.map(Result::unwrap).collect().await
    });
    let mut noted = Noted::new();
    for (name, times) in outcomes.iter().flatten().flatten() {
        *noted.entry(name).or_default() += times;
    }
    let took = begin.elapsed();
    eprintln!("{count} seeds in {took:?} went through {noted:?}");
    let failures: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(
        failures.is_empty(),
        "{} of {count} seeds failed\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| -> Option<u64> {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse()
                .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        )
    };
    match (number("X402_FAULT_SEED"), number("X402_FAULT_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).collect(),
        (None, None) => (0..SEEDS).chain(FORMER).collect(),
    }
}

async fn play_one(seed: u64) -> Result<Noted, String> {
    let script = Script::from_seed(seed);
    let shared = shared(EXE).await;
    let played = tokio::spawn(async move {
        let mut play = Play::start(shared, &script).await;
        let outcome = tokio::time::timeout(PATIENCE, play.run_to_end(&script)).await;
        let outcome = outcome.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let told = outcome
            .map(|()| play.noted())
            .map_err(|error| format!("{error}\n{}\n{script:#?}", play.told()));
        play.clear_away().await;
        told
    });
    let outcome = played
        .await
        .unwrap_or_else(|panic| Err(format!("the test itself broke: {panic}")));
    outcome.map_err(|error| {
        format!(
            "seed {seed} fails; play it again with\n    \
             X402_FAULT_SEED={seed} cargo test -p x402-tests --test e2e the_index_equals_the_chain_whatever_fails\n{error}"
        )
    })
}
