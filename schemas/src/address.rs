//! Addresses from text.
//!
//! Mixed case is a checksum (EIP-55) and must be right; all-lowercase and all-uppercase carry none
//! and are accepted. Text is always written checksummed.

use std::cell::RefCell;

use alloy_primitives::Address;
use thiserror::Error;

/// Addresses whose checksums a thread remembers.
const REMEMBERED: usize = 256;

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not `0x` and 40 hex digits.
    #[error("an address is 0x followed by 40 hex digits")]
    NotAddress,
    /// Mixed case that is not the EIP-55 checksum: most often a typing error.
    #[error("the address has a wrong EIP-55 checksum; check every digit")]
    WrongChecksum,
}

/// The EIP-55 form.
type Checksummed = [u8; 42];

thread_local! {
    /// A service sees the same few addresses again and again, and a checksum costs a hash. Each has
    /// one place, by its last byte.
    static CHECKSUMS: RefCell<Vec<Option<(Address, Checksummed)>>> =
        RefCell::new(vec![None; REMEMBERED]);
}

fn checksum(address: &Address) -> Checksummed {
    CHECKSUMS.with_borrow_mut(|places| {
        let last = address.last().copied().map_or(0, usize::from);
        let known = places.get(last).copied().flatten();
        if let Some((_, text)) = known.filter(|(known, _)| known == address) {
            return text;
        }
        let mut text = [0; 42];
        let _written: &mut str = address.to_checksum_raw(&mut text, None);
        if let Some(place) = places.get_mut(last) {
            *place = Some((*address, text));
        }
        text
    })
}

/// Reads an address, refusing a wrong checksum.
pub fn parse(text: &str) -> Result<Address, AddressError> {
    let digits = text.strip_prefix("0x").ok_or(AddressError::NotAddress)?;
    if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(AddressError::NotAddress);
    }
    let address: Address = text.parse().map_err(|_| AddressError::NotAddress)?;
    let upper = digits.bytes().any(|byte| byte.is_ascii_uppercase());
    let lower = digits.bytes().any(|byte| byte.is_ascii_lowercase());
    if upper && lower && checksum(&address) != text.as_bytes() {
        return Err(AddressError::WrongChecksum);
    }
    Ok(address)
}

/// Serde for an address with its checksum enforced: `#[serde(with = "address::checksummed")]`.
pub mod checksummed {
    use alloy_primitives::Address;
    use serde::{Deserialize, Deserializer, Serializer, de::Error, ser::Error as _};

    /// Writes the EIP-55 form.
    pub fn serialize<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
        let text = super::checksum(address);
        serializer.serialize_str(std::str::from_utf8(&text).map_err(S::Error::custom)?)
    }

    /// Reads an address, refusing a wrong checksum.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        super::parse(&text).map_err(D::Error::custom)
    }

    /// The same for a field that may be absent; pair it with `#[serde(default)]`.
    pub mod option {
        use super::{Address, Deserialize, Deserializer, Error, Serializer};

        /// Writes the EIP-55 form, or nothing.
        pub fn serialize<S: Serializer>(
            address: &Option<Address>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match address {
                Some(address) => super::serialize(address, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Reads an address if there is one.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Address>, D::Error> {
            let text = <Option<std::borrow::Cow<'de, str>>>::deserialize(deserializer)?;
            text.map(|text| crate::address::parse(&text).map_err(D::Error::custom))
                .transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MNEE: &str = "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF";

    #[test]
    fn a_right_checksum_and_no_checksum_are_accepted() {
        let address = parse(MNEE).unwrap();
        assert_eq!(parse(&MNEE.to_ascii_lowercase()), Ok(address));
        assert_eq!(address.to_checksum(None), MNEE);
    }

    #[test]
    fn addresses_that_share_a_place_keep_their_own_checksums() {
        // Two with the same last byte, in turns.
        let other = Address::repeat_byte(0xcf).to_checksum(None);
        for text in [MNEE, &other, MNEE, &other] {
            assert_eq!(checksum(&parse(text).unwrap()), text.as_bytes());
            assert_eq!(
                parse(&swap_case(text)),
                Err(AddressError::WrongChecksum),
                "{text}"
            );
        }
    }

    fn swap_case(text: &str) -> String {
        let swap = |letter: char| {
            if letter.is_ascii_uppercase() {
                letter.to_ascii_lowercase()
            } else {
                letter.to_ascii_uppercase()
            }
        };
        format!("0x{}", text[2..].chars().map(swap).collect::<String>())
    }

    #[test]
    fn one_letter_in_the_wrong_case_is_a_wrong_checksum() {
        assert_eq!(
            parse(&MNEE.replace("dbAe", "dbae")),
            Err(AddressError::WrongChecksum)
        );
    }

    #[test]
    fn other_texts_are_not_addresses() {
        for text in [
            "",
            "0x",
            "8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF",
            "0x8cced",
            "0xzccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF",
            "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF00",
        ] {
            assert_eq!(parse(text), Err(AddressError::NotAddress), "{text:?}");
        }
    }
}
