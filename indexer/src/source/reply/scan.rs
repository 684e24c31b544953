//! A shorter way through a reply of logs, which is nearly all that a backfill parses.
//!
//! Nodes write logs without white space, escapes or fields of their own. Such a list is read here in one pass, most
//! lengths being known beforehand; whatever looks otherwise is left to the general parser, the list and all around it.
//! A list that is taken here is read as that one reads it.

use alloy::primitives::B256;

use super::{
    super::hex::{Data, Fixed, FromDigits, Quantity, Words},
    log::{Field, LogReply, Logs},
};
use crate::decode::Topics;

/// What stands before a list that is a result.
const RESULT: &[u8] = b"\"result\":[";

/// How far from its start a reply is searched for it: it is the first of the batch.
const LOOK_WITHIN: usize = 128;

/// Fewer bytes than a transfer's log has, so that memory for all is taken once.
const BYTES_PER_LOG: usize = 600;

/// The longest name of a field.
const LONGEST_NAME: usize = 16;

/// The digits of a word, which is the data of a transfer.
const WORD_DIGITS: usize = 64;

/// The digits of the largest quantity.
const LONGEST_QUANTITY: usize = 16;

/// The logs in a reply that begins with a list of them, and the reply with an empty list in its place.
pub(super) fn cut_logs(body: &[u8]) -> Option<(Logs, Vec<u8>)> {
    let mut starts = body.windows(RESULT.len()).take(LOOK_WITHIN);
    let at = starts.position(|start| start == RESULT)?;
    let (before, rest) = body.split_at_checked(at.checked_add(RESULT.len())?)?;
    let mut text = Text { rest };
    let logs = text.logs()?;
    Some((logs, [before, b"]", text.rest].concat()))
}

/// What is not read yet.
struct Text<'a> {
    rest: &'a [u8],
}

impl<'a> Text<'a> {
    /// Logs up to the end of their list.
    fn logs(&mut self) -> Option<Logs> {
        let mut logs = Logs::with_capacity(self.rest.len().checked_div(BYTES_PER_LOG)?);
        if self.eat(b"]").is_some() {
            return Some(logs);
        }
        loop {
            logs.add(self.log()?);
            match self.next()? {
                b',' => (),
                b']' => return Some(logs),
                _ => return None,
            }
        }
    }

    fn log(&mut self) -> Option<LogReply> {
        let mut log = LogReply::default();
        self.eat(b"{")?;
        loop {
            match self.name()? {
                Field::Address => log.address = Some(self.fixed()?),
                Field::Topics => log.topics = Some(self.words()?),
                Field::Data => log.data = Some(self.digits()?),
                Field::BlockHash => log.block_hash = Some(self.fixed()?),
                Field::BlockNumber => log.block_number = Some(self.quantity()?),
                Field::BlockTimestamp => log.block_timestamp = Some(self.quantity()?),
                Field::TransactionHash => log.transaction_hash = Some(self.fixed()?),
                Field::TransactionIndex => log.transaction_index = Some(self.quantity()?),
                Field::LogIndex => log.log_index = Some(self.quantity()?),
                Field::Removed => log.removed = self.flag()?,
                Field::Other => return None,
            }
            match self.next()? {
                b',' => (),
                b'}' => return Some(log),
                _ => return None,
            }
        }
    }

    /// A field's name, up to its value.
    fn name(&mut self) -> Option<Field> {
        self.eat(b"\"")?;
        let field = Field::named(self.until_quote(LONGEST_NAME)?);
        self.eat(b":")?;
        Some(field)
    }

    fn words(&mut self) -> Option<Words> {
        let mut words = Topics::new();
        self.eat(b"[")?;
        if self.eat(b"]").is_some() {
            return Some(Words(words));
        }
        loop {
            words.push(B256::from(self.fixed::<32>()?));
            match self.next()? {
                b',' => (),
                b']' => return Some(Words(words)),
                _ => return None,
            }
        }
    }

    fn fixed<const N: usize>(&mut self) -> Option<Fixed<N>> {
        self.eat(b"\"0x")?;
        let digits = self.take(N.checked_mul(2)?)?;
        self.eat(b"\"")?;
        Fixed::from_digits(digits)
    }

    fn quantity(&mut self) -> Option<Quantity> {
        self.eat(b"\"0x")?;
        Quantity::from_digits(self.until_quote(LONGEST_QUANTITY)?)
    }

    fn digits(&mut self) -> Option<Data> {
        self.eat(b"\"0x")?;
        // A quotation mark before the one after a word's digits would be no digit.
        if let Some((digits, rest)) = self.rest.split_at_checked(WORD_DIGITS)
            && let Some(rest) = rest.strip_prefix(b"\"")
            && let Some(word) = Data::from_digits(digits)
        {
            self.rest = rest;
            return Some(word);
        }
        Data::from_digits(self.until_quote(self.rest.len())?)
    }

    fn flag(&mut self) -> Option<bool> {
        if self.eat(b"false").is_some() {
            return Some(false);
        }
        self.eat(b"true").map(|()| true)
    }

    /// What stands before the next quotation mark, which is passed over; at most so many bytes.
    fn until_quote(&mut self, longest: usize) -> Option<&'a [u8]> {
        let within = longest.saturating_add(1);
        let length = self.rest.iter().take(within).position(|it| *it == b'"')?;
        let text = self.take(length)?;
        self.eat(b"\"")?;
        Some(text)
    }

    fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn word(byte: u8, length: usize) -> Value {
        json!(alloy::primitives::hex::encode_prefixed(vec![byte; length]))
    }

    prop_compose! {
        fn any_log()(byte: u8, topics in 0_usize..6, data in prop_oneof![Just(32_usize), 0_usize..70], number: u64, index: u32, removed in prop::option::weighted(0.1, any::<bool>())) -> Value {
            let mut log = json!({
                "address": word(byte, 20),
                "topics": vec![word(byte, 32); topics],
                "data": word(byte, data),
                "blockHash": word(byte, 32),
                "blockNumber": format!("{number:#x}"),
                "transactionHash": word(!byte, 32),
                "transactionIndex": format!("{index:#x}"),
                "logIndex": format!("{index:#x}"),
                "removed": removed.unwrap_or_default(),
            });
            if number % 2 == 0 {
                log["blockTimestamp"] = json!(format!("{number:#x}"));
            }
            log
        }
    }

    fn reply(logs: &[Value]) -> String {
        let logs = Value::from(logs);
        format!(
            r#"[{{"jsonrpc":"2.0","id":0,"result":{logs}}},{{"jsonrpc":"2.0","id":1,"result":null}}]"#
        )
    }

    #[derive(Debug, serde::Deserialize)]
    struct Reply {
        result: Option<Logs>,
    }

    /// Both readings of a reply, as text; the short one may decline, and what is around the list decides in both.
    fn readings(body: &[u8]) -> (Option<String>, Option<String>) {
        let replies = |body: &[u8]| serde_json::from_slice::<Vec<Reply>>(body).ok();
        let short = cut_logs(body).and_then(|(logs, rest)| {
            let mut replies = replies(&rest)?;
            replies[0].result = Some(logs);
            Some(format!("{replies:?}"))
        });
        (short, replies(body).map(|replies| format!("{replies:?}")))
    }

    proptest! {
        #[test]
        fn logs_as_nodes_write_them_are_read_the_short_way(logs in prop::collection::vec(any_log(), 0..6)) {
            let (short, general) = readings(reply(&logs).as_bytes());
            prop_assert!(short.is_some());
            prop_assert_eq!(short, general);
        }

        #[test]
        fn what_is_read_the_short_way_is_read_as_the_general_parser_reads_it(logs in prop::collection::vec(any_log(), 1..3), changes in prop::collection::vec((any::<prop::sample::Index>(), r#"[0-9a-fx"\[\]{},:\ ]"#), 1..4)) {
            let mut body = reply(&logs).into_bytes();
            for (at, with) in changes {
                let at = at.index(body.len());
                body[at] = with.as_bytes()[0];
            }
            let (short, general) = readings(&body);
            if short.is_some() {
                prop_assert_eq!(short, general);
            }
        }
    }

    #[test]
    fn what_is_written_otherwise_is_left_to_the_general_parser() {
        let log = json!({"address": word(1, 20), "type": "mined"}).to_string();
        for body in [
            String::new(),
            reply(&[]).replace(":[]", ": []"),
            reply(&[]).replace("result", "answer"),
            reply(&[]).replace("[]", &format!("[{log}]")),
            reply(&[]).replace("[]", r#"[{"logIndex":null}]"#),
            reply(&[]).replace("[]", "[ {}]"),
        ] {
            assert!(cut_logs(body.as_bytes()).is_none(), "{body}");
        }
    }
}
