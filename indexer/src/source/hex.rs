//! Hexadecimal JSON strings, read straight from the reply's bytes into what they mean.
//!
//! Text is never built in between; that is half of the time that a reply of logs takes. Strict: `0x` first, every
//! digit there.

use std::fmt;

use alloy::primitives::{Address, B256, Bytes, hex};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use smallvec::SmallVec;

use crate::decode::{Topics, Word};

/// Exactly `N` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed<const N: usize>(pub(super) [u8; N]);

/// Any number of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Data(pub(super) Word);

/// A number without leading zeros, by the rules; with them, by some nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantity(pub(super) u64);

/// A list of words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(pub(super) Topics);

/// Reads `T` from the bytes of a JSON string.
pub(super) trait FromDigits: Sized {
    const EXPECTED: &'static str;

    fn from_digits(digits: &[u8]) -> Option<Self>;
}

struct Digits<T>(std::marker::PhantomData<T>);

impl<T: FromDigits> Visitor<'_> for Digits<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<T, E> {
        text.strip_prefix(b"0x")
            .and_then(T::from_digits)
            .ok_or_else(|| E::custom(T::EXPECTED))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.visit_bytes(text.as_bytes())
    }
}

/// As bytes, so that the parser does not check what is about to be checked anyway: that it is text.
fn read<'de, T: FromDigits, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_bytes(Digits(std::marker::PhantomData))
}

impl<const N: usize> FromDigits for Fixed<N> {
    const EXPECTED: &'static str = "0x and a fixed number of hexadecimal digits";

    fn from_digits(digits: &[u8]) -> Option<Self> {
        let mut bytes = [0; N];
        // The decoder would take a second `0x`; the length gives it away.
        if digits.len() != N.checked_mul(2)? {
            return None;
        }
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl FromDigits for Data {
    const EXPECTED: &'static str = "0x and an even number of hexadecimal digits";

    fn from_digits(digits: &[u8]) -> Option<Self> {
        let mut bytes = SmallVec::from_elem(0, digits.len() >> 1);
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl FromDigits for Quantity {
    const EXPECTED: &'static str = "0x and a number below 2^64 in hexadecimal digits";

    fn from_digits(digits: &[u8]) -> Option<Self> {
        let significant = digits.iter().skip_while(|digit| **digit == b'0').count();
        if digits.is_empty() || significant > 16 {
            return None;
        }
        let mut number = 0_u64;
        for digit in digits {
            let value = char::from(*digit).to_digit(16)?;
            number = (number << 4) | u64::from(value);
        }
        Some(Self(number))
    }
}

impl From<Fixed<32>> for B256 {
    fn from(word: Fixed<32>) -> Self {
        Self::new(word.0)
    }
}

impl From<Fixed<20>> for Address {
    fn from(address: Fixed<20>) -> Self {
        Self::new(address.0)
    }
}

impl From<Data> for Bytes {
    fn from(data: Data) -> Self {
        Self::from(data.0.into_vec())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of words of 32 bytes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
                let mut words = Topics::new();
                while let Some(Fixed(word)) = list.next_element::<Fixed<32>>()? {
                    words.push(B256::new(word));
                }
                Ok(Words(words))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U64;
    use proptest::prelude::*;

    use super::*;

    fn parse<T: for<'de> Deserialize<'de>>(json: &str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn bytes_are_read_only_in_their_exact_form() {
        assert_eq!(parse(r#""0xAb01""#), Some(Fixed([0xab, 1])));
        for wrong in [
            r#""ab01""#,
            r#""0xab0""#,
            r#""0xab""#,
            r#""0xab0101""#,
            r#""0xzz01""#,
            r#""0x0xab""#,
            r#""0X0101""#,
            r#""""#,
            "null",
            "43777",
            "[171, 1]",
        ] {
            assert_eq!(parse::<Fixed<2>>(wrong), None, "{wrong}");
        }
        assert_eq!(parse(r#""0x""#), Some(Data::default()));
        assert_eq!(parse::<Data>(r#""0xabc""#), None);
        assert_eq!(parse::<Data>(r#""0x0xab""#), None);
        assert_eq!(parse(r#"["0x01"]"#), None::<Words>);
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        assert_eq!(parse(r#""0x0""#), Some(Quantity(0)));
        assert_eq!(parse(r#""0xffffffffffffffff""#), Some(Quantity(u64::MAX)));
        assert_eq!(parse(r#""0x0000000000000000000a""#), Some(Quantity(10)));
        for wrong in [
            r#""0x10000000000000000""#,
            r#""0x""#,
            r#""0x-1""#,
            r#""0x1_0""#,
            r#""10""#,
            "16",
        ] {
            assert_eq!(parse::<Quantity>(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(word: [u8; 32], data: Vec<u8>, number: u64) {
            let json = |text: String| format!("\"{text}\"");
            prop_assert_eq!(parse(&json(B256::new(word).to_string())), Some(Fixed(word)));
            prop_assert_eq!(parse(&json(hex::encode_prefixed(&data))), Some(Data(data.into())));
            prop_assert_eq!(parse(&json(format!("{number:#x}"))), Some(Quantity(number)));
        }

        #[test]
        fn a_number_is_read_as_others_read_it(text in "0x[0-9a-fA-F_ x-]{0,18}") {
            let json = format!("\"{text}\"");
            if let Some(Quantity(number)) = parse(&json) {
                prop_assert_eq!(parse::<U64>(&json), Some(U64::from(number)));
            }
        }
    }
}
