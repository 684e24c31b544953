//! Rows of `payment_events`, as the gateway writes them from its outbox.

use clickhouse::{Row, types::UInt256};
use serde::{Deserialize, Serialize};

use crate::{amount::Amount, api::events::Event};

/// The table.
pub const TABLE: &str = "payment_events";

/// A row of `payment_events`.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct PaymentEventRow {
    pub chain_id: u64,
    pub workspace_id: String,
    /// Unix milliseconds.
    pub at: i64,
    pub ledger: String,
    pub number: u64,
    pub r#type: String,
    pub agent_id: String,
    pub provider_id: String,
    pub payment_id: String,
    pub quote_id: String,
    pub invoice_id: String,
    pub resource: String,
    pub host: String,
    pub pay_to: [u8; 20],
    pub amount: UInt256,
    pub status: String,
    pub code: String,
    pub reason: String,
    pub tx_hash: [u8; 32],
    pub block_number: u64,
    pub log_index: u32,
    pub gas_wei: UInt256,
}

impl PaymentEventRow {
    /// The row of an event of a ledger's outbox.
    pub fn new(event: &Event, ledger: &str, provider_id: Option<&str>) -> Self {
        let data = &event.data;
        let gas = data.gas_paid_wei.as_deref();
        let gas = gas.and_then(|wei| Amount::from_base_text(wei).ok());
        Self {
            chain_id: data.network.chain_id(),
            workspace_id: data.workspace_id.clone(),
            at: event.timestamp.as_millisecond(),
            ledger: ledger.to_owned(),
            number: event.number,
            r#type: event.kind.as_str().to_owned(),
            agent_id: data.agent_id.clone(),
            provider_id: provider_id.unwrap_or_default().to_owned(),
            payment_id: data.payment_id.clone().unwrap_or_default(),
            quote_id: data.quote_id.clone(),
            invoice_id: data.invoice_id.as_str().to_owned(),
            resource: data.resource.as_str().to_owned(),
            host: data.resource.host().to_owned(),
            pay_to: data.pay_to.into_array(),
            amount: uint256(data.amount),
            status: data.status.as_str().to_owned(),
            code: data.code.map_or("", |code| code.as_str()).to_owned(),
            reason: data.reason.clone(),
            tx_hash: data.tx_hash.unwrap_or_default().0,
            block_number: data.block_number.unwrap_or_default(),
            log_index: data.log_index.unwrap_or_default(),
            gas_wei: uint256(gas.unwrap_or(Amount::ZERO)),
        }
    }
}

/// An amount as ClickHouse holds it.
pub fn uint256(amount: Amount) -> UInt256 {
    UInt256::from_le_bytes(amount.base_units().to_le_bytes())
}
