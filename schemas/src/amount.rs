//! MNEE amounts.
//!
//! An amount is a whole number of base units (10^-18 MNEE) from the wire to the chain and back.
//! Text is decimal MNEE ("0.05"). Nothing here rounds, wraps or meets a float: what does not fit is
//! an error, never a different amount.

use std::{fmt, str::FromStr};

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Decimals of MNEE on Ethereum; services refuse to start on a token that says otherwise.
pub const DECIMALS: u8 = 18;

const DECIMAL_PLACES: usize = 18;

/// 78 digits hold 2^256; a longer text is refused before it is read.
const MAX_TEXT_LEN: usize = 80;

/// A quantity of MNEE in base units. Travels in JSON as a decimal string of MNEE.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(U256);

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Something other than digits with at most one point between them.
    #[error("an amount is decimal digits with at most one point, such as \"0.05\"")]
    NotDecimal,
    /// More digits after the point than MNEE has.
    #[error("MNEE has 18 decimals; the amount has more")]
    TooPrecise,
    /// More than 256 bits of base units.
    #[error("the amount does not fit in 256 bits")]
    TooLarge,
}

impl Amount {
    /// Nothing owed, nothing paid.
    pub const ZERO: Self = Self(U256::ZERO);

    /// Wraps a count of base units, as the token contract reports it.
    pub const fn from_base_units(units: U256) -> Self {
        Self(units)
    }

    /// The count of base units.
    pub const fn base_units(self) -> U256 {
        self.0
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The sum, or `None` past 2^256 - 1. `U256`'s own `+` wraps, so this is the only way to add.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The difference, or zero when there is none left.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Reads a whole number of base units in decimal digits, as proofs and the ledger write them.
    pub fn from_base_text(text: &str) -> Result<Self, AmountError> {
        let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits_only {
            return Err(AmountError::NotDecimal);
        }
        if text.len() > MAX_TEXT_LEN {
            return Err(AmountError::TooLarge);
        }
        #[expect(clippy::disallowed_methods, reason = "the text is known to be digits")]
        let units = U256::from_str_radix(text, 10).map_err(|_| AmountError::TooLarge)?;
        Ok(Self(units))
    }

    /// Base units in decimal digits, for proofs and the ledger.
    pub fn to_base_text(self) -> String {
        self.0.to_string()
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        if text.len() > MAX_TEXT_LEN {
            return Err(AmountError::TooLarge);
        }
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(AmountError::NotDecimal),
            Some(parts) => parts,
            None => (text, ""),
        };
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        let fraction_is_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || leading_zero || !fraction_is_digits {
            return Err(AmountError::NotDecimal);
        }
        if fraction.len() > DECIMAL_PLACES {
            return Err(AmountError::TooPrecise);
        }
        // Digits shift into base units as text, so no multiplication can overflow unseen.
        Self::from_base_text(&format!("{whole}{fraction:0<DECIMAL_PLACES$}"))
    }
}

impl TryFrom<String> for Amount {
    type Error = AmountError;

    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = DECIMAL_PLACES.saturating_add(1);
        let digits = format!("{:0>width$}", self.0.to_string());
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(DECIMAL_PLACES));
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() {
            f.pad(whole)
        } else {
            f.pad(&format!("{whole}.{fraction}"))
        }
    }
}

/// Serde for an amount as base units, as the proof carries it: `#[serde(with = "base_units")]`.
pub mod base_units {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Amount;

    /// Writes base units as a decimal string.
    pub fn serialize<S: Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&amount.to_base_text())
    }

    /// Reads base units from a decimal string.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Amount::from_base_text(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(units: u128) -> Amount {
        Amount::from_base_units(U256::from(units))
    }

    #[test]
    fn decimal_text_is_read_exactly() {
        for (text, expected) in [
            ("0", 0),
            ("0.05", 50_000_000_000_000_000),
            ("1", 1_000_000_000_000_000_000),
            ("12.340", 12_340_000_000_000_000_000),
            ("0.000000000000000001", 1),
        ] {
            assert_eq!(text.parse::<Amount>(), Ok(units(expected)), "{text:?}");
        }
    }

    #[test]
    fn text_that_is_not_plain_decimal_is_not_an_amount() {
        for text in [
            "", "_", "1_000", "1e18", "0x10", "-1", "+5", " 5", ".5", "5.", "1.2.3", "00", "01.5",
            "٣", "1.-1", "1,5",
        ] {
            assert_eq!(
                text.parse::<Amount>(),
                Err(AmountError::NotDecimal),
                "{text:?}"
            );
        }
    }

    #[test]
    fn nineteen_decimals_are_refused_even_when_zero() {
        assert_eq!(
            "0.0000000000000000010".parse::<Amount>(),
            Err(AmountError::TooPrecise)
        );
    }

    #[test]
    fn more_than_256_bits_are_refused_not_wrapped() {
        let largest = Amount::from_base_units(U256::MAX);
        assert_eq!(largest.to_string().parse::<Amount>(), Ok(largest));
        let past =
            "115792089237316195423570985008687907853269984665640564039457.584007913129639936";
        assert_eq!(past.parse::<Amount>(), Err(AmountError::TooLarge));
        assert_eq!(largest.checked_add(units(1)), None);
        assert_eq!(Amount::ZERO.checked_sub(units(1)), None);
        assert_eq!(
            "9".repeat(10_000).parse::<Amount>(),
            Err(AmountError::TooLarge)
        );
    }

    #[test]
    fn no_float_ever_touches_money() {
        // 0.1 + 0.2 is the sum that floats get wrong.
        let sum = units(100_000_000_000_000_000).checked_add(units(200_000_000_000_000_000));
        assert_eq!(sum.unwrap().to_string(), "0.3");
        // A JSON number has been a float in somebody's parser; only text is an amount.
        assert!(serde_json::from_str::<Amount>("0.05").is_err());
        assert!(serde_json::from_str::<Amount>("5").is_err());
    }

    proptest! {
        #[test]
        fn every_amount_survives_the_trip_through_text(limbs: [u64; 4]) {
            let amount = Amount::from_base_units(U256::from_limbs(limbs));
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
            prop_assert_eq!(Amount::from_base_text(&amount.to_base_text()), Ok(amount));
        }

        #[test]
        fn no_text_panics_the_parser(text in ".{0,100}") {
            let _ = text.parse::<Amount>();
        }
    }
}
