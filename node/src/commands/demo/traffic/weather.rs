//! What a chain does now and then: its blocks come late, and some are replaced.

use std::time::Duration;

use alloy::{providers::Provider, transports::TransportError};

use super::super::BLOCK_SECONDS;
use crate::local::chain::Chain;

/// From one spell to the next.
const CALM: Duration = Duration::from_secs(25);
/// For how long no block comes.
const STALL: Duration = Duration::from_secs(5);
/// How many blocks are replaced, one time after the other.
const DEPTHS: [u64; 3] = [1, 2, 3];

/// Goes on for ever.
pub(super) async fn run(chain: &Chain) {
    for depth in DEPTHS.into_iter().cycle() {
        tokio::time::sleep(CALM).await;
        if let Err(error) = spell(chain, depth).await {
            tracing::debug!(%error, "the chain's weather stays fair");
        }
    }
}

async fn spell(chain: &Chain, depth: u64) -> Result<(), TransportError> {
    mine_every(chain, 0).await?;
    tokio::time::sleep(STALL).await;
    mine_every(chain, BLOCK_SECONDS).await?;
    chain.reorg(depth).await
}

async fn mine_every(chain: &Chain, seconds: u64) -> Result<(), TransportError> {
    chain
        .rpc()
        .raw_request("evm_setIntervalMining".into(), (seconds,))
        .await
}
