//! How settled a payment must be before it verifies.

use serde::{Deserialize, Serialize};

/// The most confirmations that may be asked for.
pub const MAX_CONFIRMATIONS: u64 = 10_000;

/// A provider's terms; a request may ask for more, never for less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confirmations {
    /// Blocks that must stand on the payment, its own included: 1 to 10,000.
    #[serde(default = "one")]
    pub min_confirmations: u64,
    /// Whether the chain must have finalized it.
    #[serde(default)]
    pub finalized: bool,
}

impl Confirmations {
    /// Whether the number can be asked for at all.
    pub fn is_valid(&self) -> bool {
        (1..=MAX_CONFIRMATIONS).contains(&self.min_confirmations)
    }

    /// What satisfies both.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        Self {
            min_confirmations: self.min_confirmations.max(other.min_confirmations),
            finalized: self.finalized || other.finalized,
        }
    }
}

impl Default for Confirmations {
    fn default() -> Self {
        Self {
            min_confirmations: one(),
            finalized: false,
        }
    }
}

const fn one() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_stricter_terms_satisfy_both(a in 1_u64..10, af: bool, b in 1_u64..10, bf: bool) {
            let terms = |min_confirmations, finalized| Confirmations { min_confirmations, finalized };
            let both = terms(a, af).stricter(terms(b, bf));
            assert!(both.min_confirmations >= a && both.min_confirmations >= b);
            assert!([a, b].contains(&both.min_confirmations));
            assert_eq!(both.finalized, af || bf);
        }
    }
}
