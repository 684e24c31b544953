//! What treasuries hold and allow, whenever it has changed, and once an hour.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use alloy::primitives::Address;
use clickhouse::Client;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use x402_schemas::index::{spend::TreasuryRow, uint256};
use x402_service::{clock, logs::with_causes};

use super::rows;
use crate::{
    chain::{
        ChainError,
        holdings::{Holding, Seen},
    },
    gateway::Gateway,
    ledger::{LedgerError, treasuries},
    policy::tally::earlier,
    spender::{self, SpenderError},
};

/// How often all treasuries are looked at, if nothing wants it sooner.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// A treasury that does not change is written this often, so that a gap means that nobody looked.
const WRITE_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// Treasuries that are looked at together, in one batch of requests.
const MAX_TOGETHER: u32 = 100;

/// Looks at treasuries and writes what it sees.
pub(crate) struct Watch {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) client: Client,
    look_every: Duration,
    /// What was written last, by treasury.
    written: HashMap<[u8; 20], TreasuryRow>,
}

#[derive(Debug, Error)]
enum WatchError {
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("a spender could not be derived")]
    Spender(#[from] SpenderError),
    #[error("the chain could not be asked")]
    Chain(#[from] ChainError),
    #[error("ClickHouse did not take it")]
    ClickHouse(#[from] clickhouse::error::Error),
}

impl Watch {
    pub(crate) fn new(gateway: Arc<Gateway>, client: Client, at_most: Duration) -> Self {
        Self {
            gateway,
            client: rows::writer(client),
            look_every: LOOK_EVERY.min(at_most),
            written: HashMap::new(),
        }
    }

    /// Runs until the process stops.
    pub(crate) async fn run(mut self) -> Result<(), Infallible> {
        let stop = self.gateway.stop.clone();
        while !stop.is_cancelled() {
            tokio::select! {
                done = self.round() => if let Err(error) = done {
                    tracing::warn!(
                        error = with_causes(&error),
                        "what treasuries hold could not be written; trying again"
                    );
                },
                () = stop.cancelled() => break,
            }
            tokio::select! {
                () = tokio::time::sleep(self.look_every) => (),
                () = stop.cancelled() => (),
            }
        }
        Ok(())
    }

    async fn round(&mut self) -> Result<(), WatchError> {
        let mut after = 0;
        loop {
            let paying = {
                let mut conn = self.gateway.ledger.read().await?;
                treasuries::paying(&mut conn, after, MAX_TOGETHER).await?
            };
            let Some((last, ..)) = paying.last() else {
                return Ok(());
            };
            after = *last;
            self.look(&paying).await?;
        }
    }

    async fn look(&mut self, paying: &[(i64, String, Address)]) -> Result<(), WatchError> {
        let pairs = spender::pairs(&self.gateway.seed, paying)?;
        let (seen, holdings) = self.gateway.chain.holdings_of(&pairs).await?;
        let now = clock::now();
        let mut rows = Vec::new();
        for (((_, workspace_id, _), pair), holding) in paying.iter().zip(pairs).zip(holdings) {
            let row = self.row(workspace_id, pair, seen, holding, now);
            if is_news(self.written.get(&row.treasury), &row) {
                rows.push(row);
            }
        }
        rows::insert(&self.client, "treasury_states", &rows, None).await?;
        self.written
            .extend(rows.into_iter().map(|row| (row.treasury, row)));
        Ok(())
    }

    fn row(
        &self,
        workspace_id: &str,
        (treasury, spender): (Address, Address),
        seen: Seen,
        holding: Holding,
        now: Timestamp,
    ) -> TreasuryRow {
        TreasuryRow {
            chain_id: self.gateway.network.chain_id(),
            workspace_id: workspace_id.to_owned(),
            at: now.as_millisecond(),
            ledger: self.gateway.ledger_id.clone(),
            treasury: treasury.into_array(),
            spender: spender.into_array(),
            block_number: seen.number,
            block_hash: seen.hash.0,
            block_time: u32::try_from(seen.time).unwrap_or(u32::MAX),
            balance: uint256(holding.balance),
            allowance: uint256(holding.allowance),
            spender_gas_wei: uint256(holding.spender_gas_wei),
        }
    }
}

/// Whether a sample says what the one before did not, or that one is old.
fn is_news(before: Option<&TreasuryRow>, now: &TreasuryRow) -> bool {
    before.is_none_or(|before| {
        let at = Timestamp::from_millisecond(now.at).unwrap_or(Timestamp::MAX);
        (&before.balance, &before.allowance, &before.spender_gas_wei)
            != (&now.balance, &now.allowance, &now.spender_gas_wei)
            || before.workspace_id != now.workspace_id
            || before.at <= earlier(at, WRITE_EVERY).as_millisecond()
    })
}
