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

use super::{BlockReply, Logs};

/// One result of the batch that asks for a range.
#[derive(Debug)]
pub(in crate::source) enum PartOfRange {
    Logs(Logs),
    Block(Box<BlockReply<B256>>),
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
