//! Logs and blocks in one batch, told apart by their form.

use std::fmt;

use alloy::primitives::B256;
use serde::{
    Deserialize, Deserializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::{
    super::wire::{self, Answers, NoResult},
    BlockReply, Logs, scan,
};

/// One result of the batch that asks for a range.
#[derive(Debug)]
pub(in crate::source) enum PartOfRange {
    Logs(Logs),
    Block(Box<BlockReply<B256>>),
}

/// The answers to a batch of `size` requests for a range. Its logs take the short way where they can.
pub(in crate::source) fn answers(
    status: u16,
    body: &[u8],
    size: usize,
) -> Result<Option<Answers<PartOfRange>>, NoResult> {
    let general = || wire::results(status, body, size);
    let Some((logs, rest)) = scan::cut_logs(body) else {
        return general();
    };
    let Ok(Some(mut answers)) = wire::results(status, &rest, size) else {
        return general();
    };
    let mut lists = answers.iter_mut().filter_map(|answer| match answer {
        Ok(Some(PartOfRange::Logs(list))) => Some(list),
        Ok(Some(PartOfRange::Block(_)) | None) | Err(_) => None,
    });
    match (lists.next(), lists.next()) {
        (Some(list), None) => *list = logs,
        // The list that was cut out was no result.
        _ => return general(),
    }
    Ok(Some(answers))
}

impl<'de> Deserialize<'de> for PartOfRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Part;

        impl<'de> Visitor<'de> for Part {
            type Value = PartOfRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("logs or a block")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<PartOfRange, A::Error> {
                Logs::deserialize(SeqAccessDeserializer::new(list)).map(PartOfRange::Logs)
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<PartOfRange, A::Error> {
                let block = Box::deserialize(MapAccessDeserializer::new(fields));
                block.map(PartOfRange::Block)
            }
        }

        deserializer.deserialize_any(Part)
    }
}
