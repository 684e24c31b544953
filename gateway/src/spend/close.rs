//! Outcomes that cannot change any more are counted for good.
//!
//! Rows first, and then one that vouches for them: a closing that fails on its way has none and counts for
//! nothing. The next try names its rows anew. Of two that vouch under one number the first counts, so an
//! insert that arrives late does no harm either.

use clickhouse::{Client, error::Error};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use x402_schemas::{
    index::spend::{ClosingRow, DayClosingRow},
    network::Network,
};
use x402_service::api_key::{NoRandomness, random_bytes};

use super::rows;
use crate::{fault, policy::tally::earlier};

/// What is asked to be paid after a moment was quoted at most this long before: twice the longest that a quote is good for.
const QUOTED_BEFORE: SignedDuration = SignedDuration::from_hours(2);

const CLOSE_OUTCOMES: &str = "INSERT INTO closed_outcomes (chain_id, workspace_id, at, ledger, closing, outcome, agent_id, \
     provider_id, host, resource, payment_id, quote_id, pay_to, treasury, amount, code, reason, gas_wei, tx_hash, \
     block_number, log_index, quoted_at, ended) \
     SELECT chain_id, workspace_id, at, ledger, {closing:UInt64}, outcome, agent_id, provider_id, host, resource, payment_id, \
     quote_id, pay_to, treasury, amount, code, reason, gas_wei, tx_hash, block_number, log_index, quoted_at, ended \
     FROM open_outcomes WHERE chain_id = {chain:UInt64} AND ledger = {ledger:String} AND ended <= {up_to:UInt64}";

const SUM_HOURS: &str = "INSERT INTO closed_hours (chain_id, workspace_id, hour, ledger, closing, agent_id, provider_id, host, \
     payments, amount, gas_wei, denied, denied_amount, failed, failed_amount) \
     SELECT chain_id, workspace_id, toStartOfHour(o.at) AS hour, ledger, closing, agent_id, provider_id, host, \
     countIf(outcome = 'spent'), sumIf(o.amount, outcome = 'spent'), sum(o.gas_wei), \
     countIf(outcome = 'denied'), sumIf(o.amount, outcome = 'denied'), \
     countIf(outcome NOT IN ('spent', 'denied')), sumIf(o.amount, outcome NOT IN ('spent', 'denied')) \
     FROM closed_outcomes AS o WHERE closing = {closing:UInt64} AND ended > {after:UInt64} \
     GROUP BY chain_id, workspace_id, hour, ledger, closing, agent_id, provider_id, host";

const SUM_DAYS: &str = "INSERT INTO closed_days (chain_id, workspace_id, day, ledger, closing, agent_id, provider_id, host, \
     resource, payments, amount, gas_wei, denied, denied_amount, failed, failed_amount) \
     SELECT chain_id, workspace_id, toDate(o.at) AS day, ledger, {closing:UInt64}, agent_id, provider_id, host, resource, \
     countIf(outcome = 'spent'), sumIf(o.amount, outcome = 'spent'), sum(o.gas_wei), \
     countIf(outcome = 'denied'), sumIf(o.amount, outcome = 'denied'), \
     countIf(outcome NOT IN ('spent', 'denied')), sumIf(o.amount, outcome NOT IN ('spent', 'denied')) \
     FROM closed_outcomes AS o WHERE closing IN (SELECT closing FROM closings) AND chain_id = {chain:UInt64} \
     AND ledger = {ledger:String} AND ended > {after:UInt64} AND ended <= {up_to:UInt64} \
     GROUP BY chain_id, workspace_id, day, ledger, agent_id, provider_id, host, resource";

const STILL_OPEN: &str = "SELECT toUnixTimestamp64Milli(min(quoted_at)), minIf(block_number, block_number > 0) FROM payment_states FINAL \
     WHERE chain_id = {chain:UInt64} AND ledger = {ledger:String} AND quoted_at >= fromUnixTimestamp64Milli({since:Int64}) \
     AND ended > {up_to:UInt64} HAVING count() > 0";

/// Why nothing was closed.
#[derive(Debug, Error)]
pub(crate) enum CloseError {
    #[error("ClickHouse did not close outcomes")]
    ClickHouse(#[from] Error),
    #[error("the closing has no name")]
    NoName(#[from] NoRandomness),
}

/// Where a ledger was, and how far the index then reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The newest event.
    pub(crate) number: u64,
    /// Transfers up to this block of the index were settled before that event, or by it.
    pub(crate) settled_to: u64,
    /// And this one could not be reorganised away any more.
    pub(crate) finalized: u64,
    pub(crate) at: Timestamp,
}

/// Closes the outcomes of one ledger.
#[derive(Debug)]
pub(crate) struct Closer {
    pub(crate) network: Network,
    pub(crate) ledger: String,
    /// How long one closing gathers.
    pub(crate) every: SignedDuration,
}

/// Writes the closings that a ledger begins with, unless they are there. None of its states may be there before.
pub(crate) async fn begin(client: &Client, network: Network, ledger: &str) -> Result<(), Error> {
    let chain_id = network.chain_id();
    let token = token(ledger, 0);
    if newest(client, chain_id, ledger).await?.is_none() {
        let first = ClosingRow {
            chain_id,
            ledger: ledger.to_owned(),
            seq: 0,
            closing: 0,
            up_to: 0,
            open_since: 0,
            open_from: 0,
            closed_at: 0,
        };
        rows::insert(client, "closings", &[first], Some(&token)).await?;
    }
    if newest_day(client, chain_id, ledger).await?.is_none() {
        let first = DayClosingRow {
            chain_id,
            ledger: ledger.to_owned(),
            seq: 0,
            closing: 0,
            up_to: 0,
            closed_at: 0,
        };
        rows::insert(client, "day_closings", &[first], Some(&token)).await?;
    }
    Ok(())
}

impl Closer {
    /// Closes what had ended by a moment up to which every event is in ClickHouse, if it is time for that.
    pub(crate) async fn close(
        &self,
        client: &Client,
        moment: Moment,
        now: Timestamp,
    ) -> Result<(), CloseError> {
        let chain_id = self.network.chain_id();
        begin(client, self.network, &self.ledger).await?;
        let Some(last) = newest(client, chain_id, &self.ledger).await? else {
            return Ok(());
        };
        let due_since = earlier(now, self.every).as_millisecond();
        if last.closed_at > due_since || moment.number <= last.up_to {
            return Ok(());
        }
        let closing = u64::from_le_bytes(random_bytes()?);
        self.query(client, CLOSE_OUTCOMES, closing)
            .param("up_to", moment.number)
            .execute()
            .await?;
        fault::point!("closing");
        self.query(client, SUM_HOURS, closing)
            .param("after", last.up_to)
            .execute()
            .await?;
        let open: Option<(i64, u64)> = self
            .query(client, STILL_OPEN, closing)
            .param("since", last.open_since)
            .param("up_to", moment.number)
            .fetch_optional()
            .await?;
        let later = earlier(moment.at, QUOTED_BEFORE).as_millisecond();
        let (open_since, block) = open.unwrap_or((later, 0));
        let after_final = moment.finalized.saturating_add(1);
        let next = ClosingRow {
            seq: last.seq.saturating_add(1),
            closing,
            up_to: moment.number,
            open_since: open_since.min(later),
            open_from: if block == 0 {
                after_final
            } else {
                block.min(after_final)
            },
            closed_at: now.as_millisecond(),
            ..last
        };
        let token = token(&self.ledger, next.seq);
        rows::insert(client, "closings", &[next], Some(&token)).await?;
        self.close_days(client, now).await
    }

    /// Sums what is closed by day too, the first time after a UTC day has begun.
    async fn close_days(&self, client: &Client, now: Timestamp) -> Result<(), CloseError> {
        let chain_id = self.network.chain_id();
        let closed = newest(client, chain_id, &self.ledger).await?;
        let last = newest_day(client, chain_id, &self.ledger).await?;
        let (Some(closed), Some(last)) = (closed, last) else {
            return Ok(());
        };
        let is_of_today = day(last.closed_at) == day(now.as_millisecond());
        if is_of_today || closed.up_to <= last.up_to {
            return Ok(());
        }
        let closing = u64::from_le_bytes(random_bytes()?);
        self.query(client, SUM_DAYS, closing)
            .param("after", last.up_to)
            .param("up_to", closed.up_to)
            .execute()
            .await?;
        let next = DayClosingRow {
            seq: last.seq.saturating_add(1),
            closing,
            up_to: closed.up_to,
            closed_at: now.as_millisecond(),
            ..last
        };
        let token = token(&self.ledger, next.seq);
        rows::insert(client, "day_closings", &[next], Some(&token)).await?;
        Ok(())
    }

    fn query(&self, client: &Client, sql: &str, closing: u64) -> clickhouse::query::Query {
        client
            .query(sql)
            .param("chain", self.network.chain_id())
            .param("ledger", &self.ledger)
            .param("closing", closing)
    }
}

fn token(ledger: &str, seq: u64) -> String {
    format!("{ledger}:{seq}")
}

const fn day(millis: i64) -> i64 {
    millis.div_euclid(24 * 3_600 * 1_000)
}

async fn newest(client: &Client, chain_id: u64, ledger: &str) -> Result<Option<ClosingRow>, Error> {
    let query =
        "SELECT ?fields FROM closings WHERE chain_id = ? AND ledger = ? ORDER BY seq DESC LIMIT 1";
    let query = client.query(query).bind(chain_id).bind(ledger);
    query.fetch_optional().await
}

async fn newest_day(
    client: &Client,
    chain_id: u64,
    ledger: &str,
) -> Result<Option<DayClosingRow>, Error> {
    let query = "SELECT ?fields FROM day_closings WHERE chain_id = ? AND ledger = ? ORDER BY seq DESC LIMIT 1";
    let query = client.query(query).bind(chain_id).bind(ledger);
    query.fetch_optional().await
}
