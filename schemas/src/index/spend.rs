//! Rows that the gateway writes for those who look at spend: where payments stand, who spends and with
//! which limits, what treasuries hold, what the ledger sums to, how far outcomes are closed.

use clickhouse::{Row, types::UInt256};
use serde::{Deserialize, Serialize};

use super::payment_events::PaymentEventRow;

/// The number of an ending that has not come.
pub const NOT_ENDED: u64 = u64::MAX;

/// A row of `payment_states`.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct PaymentStateRow {
    pub chain_id: u64,
    pub workspace_id: String,
    /// Unix milliseconds, as all times here.
    pub quoted_at: i64,
    pub ledger: String,
    pub quote_id: String,
    pub number: u64,
    pub payment_id: String,
    pub agent_id: String,
    pub provider_id: String,
    pub invoice_id: String,
    pub resource: String,
    pub host: String,
    pub pay_to: [u8; 20],
    pub treasury: [u8; 20],
    pub amount: UInt256,
    pub status: String,
    pub code: String,
    pub reason: String,
    pub last_event: String,
    pub changed_at: i64,
    pub tx_hash: [u8; 32],
    pub block_number: u64,
    pub log_index: u32,
    pub gas_wei: UInt256,
    pub asked_at: Option<i64>,
    pub reserved_at: Option<i64>,
    pub signed_at: Option<i64>,
    pub broadcast_at: Option<i64>,
    pub included_at: Option<i64>,
    pub settled_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub ended: u64,
}

/// How a payment came to where an event left it. Times are Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// When the quote was asked for.
    pub quoted_at: i64,
    /// When the agent asked to pay.
    pub asked_at: Option<i64>,
    /// Who pays; zero before it is signed.
    pub treasury: [u8; 20],
    /// The first time.
    pub reserved_at: Option<i64>,
    /// The only time.
    pub signed_at: Option<i64>,
    /// The first time.
    pub broadcast_at: Option<i64>,
    /// The last time.
    pub included_at: Option<i64>,
    /// The last time.
    pub settled_at: Option<i64>,
    /// When nothing could change any more.
    pub ended_at: Option<i64>,
    /// The event that told so.
    pub ended: Option<u64>,
}

impl Course {
    /// Of a quote that was denied: it ended as it began.
    pub fn of_denial(event: &PaymentEventRow) -> Self {
        Self {
            quoted_at: event.at,
            ended_at: Some(event.at),
            ended: Some(event.number),
            ..Self::default()
        }
    }
}

impl PaymentStateRow {
    /// Where an event left the payment, or the quote that was denied.
    pub fn new(event: &PaymentEventRow, course: &Course) -> Self {
        let event = event.clone();
        Self {
            chain_id: event.chain_id,
            workspace_id: event.workspace_id,
            quoted_at: course.quoted_at,
            ledger: event.ledger,
            quote_id: event.quote_id,
            number: event.number,
            payment_id: event.payment_id,
            agent_id: event.agent_id,
            provider_id: event.provider_id,
            invoice_id: event.invoice_id,
            resource: event.resource,
            host: event.host,
            pay_to: event.pay_to,
            treasury: course.treasury,
            amount: event.amount,
            status: event.status,
            code: event.code,
            reason: event.reason,
            last_event: event.r#type,
            changed_at: event.at,
            tx_hash: event.tx_hash,
            block_number: event.block_number,
            log_index: event.log_index,
            gas_wei: event.gas_wei,
            asked_at: course.asked_at,
            reserved_at: course.reserved_at,
            signed_at: course.signed_at,
            broadcast_at: course.broadcast_at,
            included_at: course.included_at,
            settled_at: course.settled_at,
            ended_at: course.ended_at,
            ended: course.ended.unwrap_or(NOT_ENDED),
        }
    }
}

/// A row of `account_states`.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct AccountRow {
    pub ledger: String,
    /// `workspace`, `agent` or `provider`.
    pub kind: String,
    pub id: String,
    pub at: i64,
    pub workspace_id: String,
    pub name: String,
    pub daily_limit: Option<UInt256>,
    pub monthly_limit: Option<UInt256>,
    pub total_limit: Option<UInt256>,
    pub payment_limit: Option<UInt256>,
    pub is_active: bool,
}

/// A row of `treasury_states`.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct TreasuryRow {
    pub chain_id: u64,
    pub workspace_id: String,
    pub at: i64,
    pub ledger: String,
    pub treasury: [u8; 20],
    pub spender: [u8; 20],
    pub block_number: u64,
    pub block_hash: [u8; 32],
    /// Unix seconds.
    pub block_time: u32,
    pub balance: UInt256,
    pub allowance: UInt256,
    pub spender_gas_wei: UInt256,
}

/// A row of `ledger_sums`.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct LedgerSumRow {
    pub chain_id: u64,
    pub ledger: String,
    pub workspace_id: String,
    pub number: u64,
    pub settled_to: u64,
    pub reserved: UInt256,
    pub spent: UInt256,
    pub at: i64,
}

/// A row of `closings`.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct ClosingRow {
    pub chain_id: u64,
    pub ledger: String,
    pub seq: u64,
    pub closing: u64,
    pub up_to: u64,
    pub open_since: i64,
    pub open_from: u64,
    pub closed_at: i64,
}

/// A row of `day_closings`.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct DayClosingRow {
    pub chain_id: u64,
    pub ledger: String,
    pub seq: u64,
    pub closing: u64,
    pub up_to: u64,
    pub closed_at: i64,
}
