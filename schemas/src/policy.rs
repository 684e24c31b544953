//! What an owner allows an agent to spend. Deny by default: no policy, no payment.

use std::{fmt, str::FromStr};

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{
    address::{self, AddressError},
    amount::Amount,
};

/// One agent's limits. Days and months are UTC calendar periods; reserved and spent both count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// The most that one request may cost.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0.10"))]
    pub per_request: Amount,
    /// The most in one UTC day.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "5"))]
    pub daily: Amount,
    /// The most in one UTC month.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "50"))]
    pub monthly: Amount,
    /// Who may be paid: payee addresses, or `*` for anyone. Empty allows no one.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["*"])))]
    pub allowed_providers: Vec<AllowedProvider>,
}

/// One entry of a policy's list of whom it may pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AllowedProvider {
    /// Anyone. Has to be written down; an empty list never means this.
    Anyone,
    /// The provider that is paid at this address. A host would only repeat what the agent claims.
    Payee(Address),
}

impl Policy {
    /// Whether this payee is on the list.
    pub fn allows_payee(&self, payee: Address) -> bool {
        self.allowed_providers.iter().any(|allowed| match allowed {
            AllowedProvider::Anyone => true,
            AllowedProvider::Payee(address) => *address == payee,
        })
    }
}

impl FromStr for AllowedProvider {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "*" {
            Ok(Self::Anyone)
        } else {
            address::parse(text).map(Self::Payee)
        }
    }
}

impl TryFrom<String> for AllowedProvider {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<AllowedProvider> for String {
    fn from(allowed: AllowedProvider) -> Self {
        allowed.to_string()
    }
}

impl fmt::Display for AllowedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.pad("*"),
            Self::Payee(address) => f.pad(&address.to_checksum(None)),
        }
    }
}
