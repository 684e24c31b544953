//! How text and JSON are broken. Positions are shares of whatever length there is, so that every mutation fits every text.

use proptest::prelude::*;

/// Bytes that mean something to some parser between the socket and the verdict.
const TELLING: &[u8] = b"\0\t\n\r \"'\\/{}[]:,.+-_=eE019nulltrufs\x7f\x80\xc0\xed\xff";

/// Numbers at or past some type's limit, and texts that JSON calls numbers or that look like them.
const NUMBERS: [&str; 16] = [
    "-1",
    "0",
    "-0",
    "0.0",
    "1e0",
    "1.5",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "115792089237316195423570985008687907853269984665640564039457584007913129639936",
    "1e308",
    "1e999999999",
    "-1e-999999999",
    "00",
];

/// Values that no field of ours expects, or not there.
const VALUES: [&str; 12] = [
    "null",
    "true",
    "\"\"",
    "\"_\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "[[[[[[[[[[]]]]]]]]]]",
    "{}",
    "\"0x\"",
    "\"eip155:1:1\"",
    "\"none\"",
];

/// One change of a text.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    /// Ends it early.
    Truncate(f64),
    /// Another byte in one place.
    Set(f64, u8),
    /// Bytes in between.
    Insert(f64, Vec<u8>),
    /// Bytes taken out.
    Cut(f64, usize),
    /// A stretch of it once more.
    Repeat(f64, usize, usize),
    /// From here on another text.
    Splice(f64, f64),
    /// One bit.
    Flip(f64, u8),
}

/// One change of a JSON object's text.
#[derive(Clone, Debug)]
pub(crate) enum FieldMutation {
    /// A field's value becomes a number that does not fit.
    Number(f64, usize),
    /// A field's value becomes something else.
    Value(f64, usize),
    /// A field comes twice, the second time with this value.
    Twice(f64, usize),
    /// A field is missing.
    Missing(f64),
    /// A field that nobody knows.
    Unknown(String),
    /// Deeply nested.
    Deep(u16),
}

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    let at = || 0.0..1.0_f64;
    let byte = || prop_oneof![prop::sample::select(TELLING), any::<u8>()];
    prop_oneof![
        at().prop_map(Mutation::Truncate),
        (at(), byte()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at(), prop::collection::vec(byte(), 1..8))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at(), 1..40_usize).prop_map(|(at, count)| Mutation::Cut(at, count)),
        (at(), 1..40_usize, 1..20_usize)
            .prop_map(|(at, count, times)| Mutation::Repeat(at, count, times)),
        (at(), at()).prop_map(|(at, of)| Mutation::Splice(at, of)),
        (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
    ]
}

pub(crate) fn field_mutation() -> impl Strategy<Value = FieldMutation> {
    let at = || 0.0..1.0_f64;
    prop_oneof![
        (at(), 0..NUMBERS.len()).prop_map(|(at, which)| FieldMutation::Number(at, which)),
        (at(), 0..VALUES.len()).prop_map(|(at, which)| FieldMutation::Value(at, which)),
        (at(), 0..VALUES.len()).prop_map(|(at, which)| FieldMutation::Twice(at, which)),
        at().prop_map(FieldMutation::Missing),
        "[a-zA-Z_]{1,12}".prop_map(FieldMutation::Unknown),
        (1..2_000_u16).prop_map(FieldMutation::Deep),
    ]
}

impl Mutation {
    /// The text with this change; `other` is what it is spliced with.
    pub(crate) fn apply(&self, mut text: Vec<u8>, other: &[u8]) -> Vec<u8> {
        let length = text.len();
        match self {
            Self::Truncate(at) => text.truncate(place(*at, length)),
            Self::Set(at, byte) => {
                if let Some(place) = text.get_mut(place(*at, length)) {
                    *place = *byte;
                }
            }
            Self::Insert(at, bytes) => {
                let at = place(*at, length);
                text.splice(at..at, bytes.iter().copied());
            }
            Self::Cut(at, count) => {
                let at = place(*at, length);
                text.drain(at..length.min(at + count));
            }
            Self::Repeat(at, count, times) => {
                let at = place(*at, length);
                let stretch = text[at..length.min(at + count)].repeat(*times);
                text.splice(at..at, stretch);
            }
            Self::Splice(at, of) => {
                text.truncate(place(*at, length));
                text.extend_from_slice(&other[place(*of, other.len())..]);
            }
            Self::Flip(at, bit) => {
                if let Some(place) = text.get_mut(place(*at, length)) {
                    *place ^= 1 << bit;
                }
            }
        }
        text
    }
}

impl FieldMutation {
    /// The object with this change, as text: much of it is JSON that no serializer writes.
    pub(crate) fn apply(&self, fields: &[(String, String)]) -> String {
        let mut fields = fields.to_vec();
        let count = fields.len();
        let at = |share: f64| place(share, count).min(count.saturating_sub(1));
        match self {
            Self::Number(share, which) => NUMBERS[*which].clone_into(&mut fields[at(*share)].1),
            Self::Value(share, which) => VALUES[*which].clone_into(&mut fields[at(*share)].1),
            Self::Twice(share, which) => {
                let name = fields[at(*share)].0.clone();
                fields.push((name, VALUES[*which].to_owned()));
            }
            Self::Missing(share) => {
                fields.remove(at(*share));
            }
            Self::Unknown(name) => fields.push((format!("x{name}"), "1".to_owned())),
            Self::Deep(levels) => {
                let levels = usize::from(*levels);
                let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
                fields.push(("deep".to_owned(), deep));
            }
        }
        object(&fields)
    }
}

/// An object's fields in their order, each value as its JSON text.
pub(crate) fn fields(object: &serde_json::Value) -> Vec<(String, String)> {
    let fields = object.as_object().unwrap().iter();
    fields
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect()
}

/// The object of these fields, duplicates and all.
pub(crate) fn object(fields: &[(String, String)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// A share of a length.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_arithmetic,
    reason = "a share of a length is one"
)]
fn place(share: f64, length: usize) -> usize {
    ((share * length as f64) as usize).min(length)
}
