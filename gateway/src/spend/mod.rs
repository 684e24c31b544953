//! What spend is looked at by, in ClickHouse, besides the events: accounts and their limits, what
//! treasuries hold, what the ledger sums to, and outcomes that are closed.
//!
//! Information only: no payment waits for any of it, and what could not be written is written later. Each
//! write may be repeated.

/// Rows into ClickHouse.
pub(crate) mod rows;

/// Outcomes that cannot change any more, counted for good.
pub(crate) mod close;

/// Workspaces, agents and providers with their limits.
mod accounts;

/// What treasuries hold and allow.
pub(crate) mod treasuries;

use std::{convert::Infallible, sync::Arc, time::Duration};

use clickhouse::Client;
use jiff::SignedDuration;
use thiserror::Error;
use tokio::sync::watch;
use x402_schemas::index::{Tip, spend::LedgerSumRow, uint256};
use x402_service::{clock, logs::with_causes};

use self::{
    accounts::Accounts,
    close::{CloseError, Closer, Moment},
};
use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        event_cursors::{self, Consumer},
        totals::{self, Totals},
    },
};

/// How often the ledger is summed and looked at for changes, if nothing wants it sooner.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Keeps what spend is looked at by up to date.
pub(crate) struct Recorder {
    gateway: Arc<Gateway>,
    client: Client,
    settled_to: watch::Receiver<Option<Tip>>,
    closer: Closer,
    look_every: Duration,
    accounts: Accounts,
    /// What the ledger summed to, until ClickHouse has all events up to then.
    waiting: Option<(Moment, Totals)>,
    /// The event and the block of the sums that were written last.
    written: Option<(u64, u64)>,
}

#[derive(Debug, Error)]
enum RecordError {
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("ClickHouse did not take it")]
    ClickHouse(#[from] clickhouse::error::Error),
    #[error("outcomes were not closed")]
    Close(#[from] CloseError),
}

impl Recorder {
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        client: Client,
        settled_to: watch::Receiver<Option<Tip>>,
        close_every: Duration,
    ) -> Self {
        let closer = Closer {
            network: gateway.network,
            ledger: gateway.ledger_id.clone(),
            every: SignedDuration::try_from(close_every).unwrap_or(SignedDuration::MAX),
        };
        Self {
            gateway,
            client: rows::writer(client),
            settled_to,
            closer,
            look_every: LOOK_EVERY.min(close_every),
            accounts: Accounts::default(),
            waiting: None,
            written: None,
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
                        "what spend is looked at by is not up to date; trying again"
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

    async fn round(&mut self) -> Result<(), RecordError> {
        self.accounts.write(&self.gateway, &self.client).await?;
        self.write_sums().await?;
        if self.waiting.is_none() {
            self.waiting = self.sums().await?;
        }
        Ok(())
    }

    /// What the ledger sums to. Where the index was is read first, so that all up to there is settled in it.
    async fn sums(&self) -> Result<Option<(Moment, Totals)>, RecordError> {
        let Some(tip) = *self.settled_to.borrow() else {
            return Ok(None);
        };
        let at = clock::now();
        let totals = totals::now(&self.gateway.ledger).await?;
        let moment = Moment {
            number: totals.number,
            settled_to: tip.block_number,
            finalized: tip.finalized,
            at,
        };
        Ok(Some((moment, totals)))
    }

    /// Writes the sums that wait, and closes what had ended then, once every event up to then is told.
    async fn write_sums(&mut self) -> Result<(), RecordError> {
        let Some((moment, totals)) = &self.waiting else {
            return Ok(());
        };
        let cursor = {
            let mut conn = self.gateway.ledger.read().await?;
            event_cursors::get(&mut conn, Consumer::ClickHouse).await?
        };
        if cursor.told < moment.number {
            return Ok(());
        }
        if self.written != Some((moment.number, moment.settled_to)) {
            let rows: Vec<LedgerSumRow> = totals
                .of_workspaces
                .iter()
                .map(|total| LedgerSumRow {
                    chain_id: self.gateway.network.chain_id(),
                    ledger: self.gateway.ledger_id.clone(),
                    workspace_id: total.workspace_id.clone(),
                    number: moment.number,
                    settled_to: moment.settled_to,
                    reserved: uint256(total.reserved),
                    spent: uint256(total.spent),
                    at: moment.at.as_millisecond(),
                })
                .collect();
            rows::insert(&self.client, "ledger_sums", &rows, None).await?;
            self.written = Some((moment.number, moment.settled_to));
        }
        self.closer
            .close(&self.client, *moment, clock::now())
            .await?;
        self.waiting = None;
        Ok(())
    }
}
