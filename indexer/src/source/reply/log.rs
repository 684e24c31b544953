//! A log as a node writes it.
//!
//! Read field by field rather than by derived code, which would check every field's name to be text first: replies of
//! logs are nearly all that a backfill parses.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    super::hex::{Data, Fixed, Quantity, Words},
    Inconsistency,
};
use crate::decode::TokenLog;

#[derive(Debug, Default)]
pub(super) struct LogReply {
    pub(super) address: Option<Fixed<20>>,
    pub(super) topics: Option<Words>,
    pub(super) data: Option<Data>,
    pub(super) block_hash: Option<Fixed<32>>,
    pub(super) block_number: Option<Quantity>,
    pub(super) block_timestamp: Option<Quantity>,
    pub(super) transaction_hash: Option<Fixed<32>>,
    pub(super) transaction_index: Option<Quantity>,
    pub(super) log_index: Option<Quantity>,
    pub(super) removed: bool,
}

/// A reply's logs, or what is wrong with the first that cannot be used. Each is checked as it is read, so that they
/// are held once.
#[derive(Debug)]
pub(in crate::source) struct Logs(pub(super) Result<Vec<TokenLog>, Inconsistency>);

impl Logs {
    /// None yet, with memory for so many.
    pub(super) fn with_capacity(logs: usize) -> Self {
        Self(Ok(Vec::with_capacity(logs)))
    }

    pub(super) fn add(&mut self, reply: LogReply) {
        if let Ok(logs) = &mut self.0 {
            match reply.try_into() {
                Ok(log) => logs.push(log),
                Err(error) => self.0 = Err(error),
            }
        }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self(Ok(Vec::new()))
    }
}

impl TryFrom<LogReply> for TokenLog {
    type Error = Inconsistency;

    fn try_from(reply: LogReply) -> Result<Self, Inconsistency> {
        if reply.removed {
            return Err(Inconsistency::RemovedLog);
        }
        let index = |index: Option<Quantity>| u32::try_from(index?.0).ok();
        let log = || {
            Some(Self {
                address: reply.address?.into(),
                topics: reply.topics?.0,
                data: reply.data?.0,
                block_number: reply.block_number?.0,
                block_hash: reply.block_hash?.into(),
                block_time: reply.block_timestamp.map(|time| time.0),
                tx_hash: reply.transaction_hash?.into(),
                tx_index: index(reply.transaction_index)?,
                log_index: index(reply.log_index)?,
            })
        };
        log().ok_or(Inconsistency::IncompleteLog)
    }
}

/// The name of a field.
pub(super) enum Field {
    Address,
    Topics,
    Data,
    BlockHash,
    BlockNumber,
    BlockTimestamp,
    TransactionHash,
    TransactionIndex,
    LogIndex,
    Removed,
    Other,
}

impl Field {
    pub(super) fn named(name: &[u8]) -> Self {
        match name {
            b"address" => Self::Address,
            b"topics" => Self::Topics,
            b"data" => Self::Data,
            b"blockHash" => Self::BlockHash,
            b"blockNumber" => Self::BlockNumber,
            b"blockTimestamp" => Self::BlockTimestamp,
            b"transactionHash" => Self::TransactionHash,
            b"transactionIndex" => Self::TransactionIndex,
            b"logIndex" => Self::LogIndex,
            b"removed" => Self::Removed,
            _ => Self::Other,
        }
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Field, E> {
                Ok(Field::named(name))
            }
        }

        deserializer.deserialize_bytes(Name)
    }
}

impl<'de> Deserialize<'de> for LogReply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Log;

        impl<'de> Visitor<'de> for Log {
            type Value = LogReply;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a log")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<LogReply, A::Error> {
                let mut log = LogReply::default();
                // A field that is there twice counts as last written, as other readers have it.
                while let Some(field) = fields.next_key()? {
                    match field {
                        Field::Address => log.address = Some(fields.next_value()?),
                        Field::Topics => log.topics = Some(fields.next_value()?),
                        Field::Data => log.data = Some(fields.next_value()?),
                        Field::BlockHash => log.block_hash = fields.next_value()?,
                        Field::BlockNumber => log.block_number = fields.next_value()?,
                        Field::BlockTimestamp => log.block_timestamp = fields.next_value()?,
                        Field::TransactionHash => log.transaction_hash = fields.next_value()?,
                        Field::TransactionIndex => log.transaction_index = fields.next_value()?,
                        Field::LogIndex => log.log_index = fields.next_value()?,
                        Field::Removed => {
                            log.removed = fields.next_value::<Option<bool>>()?.unwrap_or_default();
                        }
                        Field::Other => {
                            fields.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(log)
            }
        }

        deserializer.deserialize_map(Log)
    }
}

impl<'de> Deserialize<'de> for Logs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Logs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of logs")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Logs, A::Error> {
                let mut logs = Logs::default();
                while let Some(reply) = list.next_element()? {
                    logs.add(reply);
                }
                Ok(logs)
            }
        }

        deserializer.deserialize_seq(List)
    }
}
