//! What an owner allows to be spent. Deny by default: no policy, no payment.
//!
//! An agent has one of its own and a workspace may have one for all of its agents; a payment has to
//! satisfy both. A rule that is absent does not limit; the four that are required are always there.

/// Patterns of host names.
mod host;

/// Hours of the day.
mod hours;

use std::{fmt, str::FromStr};

use alloy_primitives::Address;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    address::{self, AddressError},
    amount::Amount,
    network::Network,
};

pub use host::{HostError, HostPattern};
pub use hours::{ActiveHours, TimeError, TimeOfDay};

/// The most entries of one of a policy's lists.
const MAX_LISTED: usize = 1_000;
/// The most rolling windows of a policy.
const MAX_WINDOWS: usize = 8;
/// The longest rolling window and the longest memory of a purchase: 31 days.
pub const MAX_WINDOW_HOURS: u16 = 744;
const MAX_DUPLICATE_SECONDS: u32 = 2_678_400;

/// Limits of an agent or a workspace. Days and months are UTC calendar periods; what is reserved
/// counts as spent.
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
    /// Payees who may not be paid, whatever allows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "payees")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub denied_providers: Vec<Address>,
    /// Hosts that may be bought from, as `api.example.com` or `*.example.com`; any when absent. The host is what the
    /// agent says it is, so this narrows `allowedProviders` and never widens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>, example = json!(["*.example.com"])))]
    pub allowed_hosts: Option<Vec<HostPattern>>,
    /// Hosts that may not be bought from, whatever allows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub denied_hosts: Vec<HostPattern>,
    /// Whether payees may be paid whose host no provider has registered. A registered host is paid at its provider's
    /// payees only, whatever this says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_unregistered: bool,
    /// Refuses invoices that their provider has not signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_signed_invoices: bool,
    /// Networks that may be paid on; the gateway's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>, example = json!(["mainnet"])))]
    pub networks: Option<Vec<Network>>,
    /// Limits over the hours before each payment; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolling: Vec<RollingLimit>,
    /// The most ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "1000"))]
    pub total: Option<Amount>,
    /// The most payments within any minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub payments_per_minute: Option<u32>,
    /// Refuses a second purchase of the same resource from the same payee for the same amount within so many seconds, 31
    /// days at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 2_678_400))]
    pub duplicate_within_seconds: Option<u32>,
    /// When payments may be asked for; at any time when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_hours: Option<ActiveHours>,
    /// From when on nothing is allowed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
    /// A payment of more than this waits for an owner's approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "1"))]
    pub approval_above: Option<Amount>,
}

/// A limit over the hours before a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollingLimit {
    /// How far back, 1 to 744.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 744))]
    pub hours: u16,
    /// The most within them.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "2"))]
    pub limit: Amount,
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

/// Why a policy is none that can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// A list is too long.
    #[error("a policy lists at most {MAX_LISTED} providers, hosts or networks each")]
    LongList,
    /// Too many windows, or one of no or too many hours.
    #[error("a policy has at most {MAX_WINDOWS} rolling windows of 1 to {MAX_WINDOW_HOURS} hours")]
    Rolling,
    /// A rate of nothing: a pause says that better.
    #[error("paymentsPerMinute is 1 or more; pause the agent to stop it")]
    Rate,
    /// No time, or more than is remembered.
    #[error("duplicateWithinSeconds is 1 to {MAX_DUPLICATE_SECONDS}")]
    Duplicate,
    /// From and to are the same.
    #[error("activeHours end at another time than they begin")]
    ActiveHours,
}

impl Policy {
    /// A policy of the four rules that every policy has.
    pub const fn new(
        per_request: Amount,
        daily: Amount,
        monthly: Amount,
        allowed_providers: Vec<AllowedProvider>,
    ) -> Self {
        Self {
            per_request,
            daily,
            monthly,
            allowed_providers,
            denied_providers: Vec::new(),
            allowed_hosts: None,
            denied_hosts: Vec::new(),
            allow_unregistered: false,
            require_signed_invoices: false,
            networks: None,
            rolling: Vec::new(),
            total: None,
            payments_per_minute: None,
            duplicate_within_seconds: None,
            active_hours: None,
            expires_at: None,
            approval_above: None,
        }
    }

    /// Whether it can be kept; asked before it is stored.
    pub fn check(&self) -> Result<(), PolicyError> {
        let lists = [
            self.allowed_providers.len(),
            self.denied_providers.len(),
            self.allowed_hosts.as_ref().map_or(0, Vec::len),
            self.denied_hosts.len(),
            self.networks.as_ref().map_or(0, Vec::len),
        ];
        let window_fits = |window: &RollingLimit| (1..=MAX_WINDOW_HOURS).contains(&window.hours);
        if lists.into_iter().any(|len| len > MAX_LISTED) {
            Err(PolicyError::LongList)
        } else if self.rolling.len() > MAX_WINDOWS || !self.rolling.iter().all(window_fits) {
            Err(PolicyError::Rolling)
        } else if self.payments_per_minute == Some(0) {
            Err(PolicyError::Rate)
        } else if self
            .duplicate_within_seconds
            .is_some_and(|seconds| !(1..=MAX_DUPLICATE_SECONDS).contains(&seconds))
        {
            Err(PolicyError::Duplicate)
        } else if self.active_hours.is_some_and(ActiveHours::are_empty) {
            Err(PolicyError::ActiveHours)
        } else {
            Ok(())
        }
    }

    /// Whether this payee may be paid.
    pub fn allows_payee(&self, payee: Address) -> bool {
        let listed = self.allowed_providers.iter().any(|allowed| match allowed {
            AllowedProvider::Anyone => true,
            AllowedProvider::Payee(address) => *address == payee,
        });
        listed && !self.denied_providers.contains(&payee)
    }

    /// Whether this host may be bought from.
    pub fn allows_host(&self, host: &str) -> bool {
        let on = |list: &[HostPattern]| list.iter().any(|pattern| pattern.matches(host));
        self.allowed_hosts.as_deref().is_none_or(on) && !on(&self.denied_hosts)
    }

    /// Whether this network may be paid on.
    pub fn allows_network(&self, network: Network) -> bool {
        self.networks
            .as_ref()
            .is_none_or(|networks| networks.contains(&network))
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

/// Serde for a list of addresses, each with its checksum.
mod payees {
    use alloy_primitives::Address;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::address;

    pub(super) fn serialize<S: Serializer>(
        payees: &[Address],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(payees.iter().map(|payee| payee.to_checksum(None)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Address>, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|text| address::parse(text).map_err(D::Error::custom))
            .collect()
    }
}

#[cfg(test)]
mod tests;
