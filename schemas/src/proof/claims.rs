//! The claims of a proof.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{
    address::checksummed,
    amount::{Amount, base_units},
    invoice::{InvoiceId, Resource},
    network::Network,
    transfer::TransferId,
};

/// What the gateway states about one payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofClaims {
    /// The gateway's public URL.
    pub iss: String,
    /// The payment's id.
    pub sub: String,
    /// When it was signed, Unix seconds.
    pub iat: u64,
    /// When it ends, Unix seconds.
    pub exp: u64,
    /// The invoice that was paid.
    pub invoice_id: InvoiceId,
    /// How much, in base units.
    #[serde(with = "base_units")]
    pub amount: Amount,
    /// The token contract.
    #[serde(with = "checksummed")]
    pub asset: Address,
    /// Who was paid.
    #[serde(with = "checksummed")]
    pub pay_to: Address,
    /// The treasury that paid.
    #[serde(with = "checksummed")]
    pub payer: Address,
    /// The chain, as CAIP-2.
    #[serde(with = "caip2")]
    pub network: Network,
    /// The transaction that moved the money.
    pub tx_hash: B256,
    /// Which log of its block.
    pub log_index: u32,
    /// The block that held it when this was signed. A reader whose index ends below it knows that it
    /// must wait, so "not indexed yet" and "never happened" are told apart without comparing clocks.
    pub block_number: u64,
    /// What was bought.
    pub resource: Resource,
}

impl ProofClaims {
    /// The transfer that this proof stands on.
    pub const fn transfer_id(&self) -> TransferId {
        TransferId {
            network: self.network,
            tx_hash: self.tx_hash,
            log_index: self.log_index,
        }
    }
}

mod caip2 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::network::Network;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde fixes the signature"
    )]
    pub(super) fn serialize<S: Serializer>(
        network: &Network,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&network.caip2())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Network, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
