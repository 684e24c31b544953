//! One provider asks at its usual pace, alone and then beside another one that asks far more than it may.

use std::{sync::Arc, time::Duration};

use x402_tests::shared::Shared;

use crate::{
    World,
    calls::{self, Claim},
    load::{Call, Expected, paced},
    meter::Measured,
    singles::Fresh,
};

/// What each provider may ask a second, what the quiet one asks, and what the other one does.
const ALLOWED: &str = "2000";
const QUIET_PER_SECOND: f64 = 500.0;
const FLOOD_PER_SECOND: f64 = 10_000.0;

/// Connections of each.
const QUIET_CONNECTIONS: usize = 16;
const FLOOD_CONNECTIONS: usize = 64;

/// Requests of the quiet one, about five seconds' worth, and how much longer the flood takes.
const QUIET_REQUESTS: usize = 2_500;
const FLOOD_REQUESTS: usize = 60_000;

/// So that the flood is there when the quiet one starts.
const HEAD_START: Duration = Duration::from_millis(500);

/// The quiet provider's latencies alone and beside the flood.
pub(crate) async fn measure(shared: &Shared, world: &World) -> (Measured, Measured) {
    let flags = ["--provider-rate", ALLOWED];
    let fresh = Fresh::start(shared, world, "flood", true, &flags).await;
    let quiet = of_seller(world, 0, Expected::Verified);
    let flood = of_seller(world, 1, Expected::VerifiedOrLimited);
    let ask = async |name: &str| {
        fresh
            .measure_paced(
                name,
                &quiet,
                QUIET_REQUESTS,
                QUIET_CONNECTIONS,
                QUIET_PER_SECOND,
            )
            .await
    };
    let alone = ask("a quiet provider alone").await;
    let flooding = paced(
        fresh.verifier.address,
        &flood,
        FLOOD_REQUESTS,
        FLOOD_CONNECTIONS,
        FLOOD_PER_SECOND,
    );
    let beside = async {
        tokio::time::sleep(HEAD_START).await;
        ask("the same beside a flood").await
    };
    let (_, beside) = futures::join!(flooding, beside);
    println!("    {} of the flood were refused", fresh.limited().await);
    fresh.end().await;
    (alone, beside)
}

/// Good proofs of one provider, to be looked at.
fn of_seller(world: &World, seller: usize, expected: impl Fn(u64) -> Expected) -> Arc<[Call]> {
    let sellers = world.payments.sellers.len();
    let indexes = (seller..world.proofs.len()).step_by(sellers);
    indexes
        .map(|index| {
            let number = u64::try_from(index).unwrap();
            let call = calls::one(&world.payments, number, &world.proofs[index], Claim::Off);
            Call {
                expected: expected(number),
                ..call
            }
        })
        .collect()
}
