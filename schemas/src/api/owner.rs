//! What a workspace's members ask the gateway, by their roles. Bearer `x402_owner_…` or `x402_member_…`; creating a workspace takes the operator's token.

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::{SolStruct, eip712_domain};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::confirmations::Confirmations;
use crate::{
    address::checksummed, amount::Amount, host::ProviderHost, network::Network, policy::Policy,
};

/// `POST /workspaces`, by the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateWorkspace {
    /// 1 to 100 characters.
    pub name: String,
    /// The most that all agents together may spend in one UTC month, in MNEE.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "1000"))]
    pub monthly_budget: Amount,
}

/// A new workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceCreated {
    /// Its id.
    pub workspace_id: String,
    /// Its first owner.
    pub member_id: String,
    /// The owner's key. Shown here and never again.
    pub api_key: String,
}

/// `GET /workspace`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceView {
    /// Its id.
    pub workspace_id: String,
    /// Its name.
    pub name: String,
    /// Its budget for a UTC month.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub monthly_budget: Amount,
    /// Spent and reserved in this UTC month.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub monthly_spent: Amount,
    /// Spent and reserved in this UTC day.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub daily_spent: Amount,
    /// What its agents may spend together, besides the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Since when it is paused, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub paused_at: Option<Timestamp>,
    /// The account that the treasury has to approve.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub spender: Address,
    /// The network it pays on.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub network: Network,
    /// The token it pays in.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: Address,
}

/// `PUT /workspace/budget`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetBudget {
    /// The new budget for a UTC month.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub monthly_budget: Amount,
}

/// `PUT /workspace/policy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetWorkspacePolicy {
    /// What all agents together may spend, besides the budget; `null` for the budget alone.
    #[serde(deserialize_with = "Option::deserialize")]
    pub policy: Option<Policy>,
}

/// `POST /agents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateAgent {
    /// 1 to 100 characters.
    pub name: String,
    /// What it may spend; nothing until one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// A new agent, or a new key for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentCreated {
    /// Its id.
    pub agent_id: String,
    /// Its key. Shown here and never again.
    pub api_key: String,
}

/// One of `GET /agents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AgentView {
    /// Its id.
    pub agent_id: String,
    /// Its name.
    pub name: String,
    /// What it may spend.
    pub policy: Option<Policy>,
    /// Spent and reserved in this UTC day.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub daily_spent: Amount,
    /// Spent and reserved in this UTC month.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub monthly_spent: Amount,
    /// When a key of its was last used, a minute or so behind after a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_used_at: Option<Timestamp>,
    /// Since when it is paused, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub paused_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub revoked_at: Option<Timestamp>,
}

/// `POST /providers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateProvider {
    /// 1 to 100 characters.
    pub name: String,
    /// The addresses that it is paid at, 1 to 20. An address belongs to one provider.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub payees: Vec<Payee>,
    /// The hosts that it sells from, at most 20: `api.example.com`, `*.example.com`, with a port or at any. A host belongs
    /// to one provider at a time, and is paid at its provider's payees only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["api.example.com"])))]
    pub hosts: Vec<ProviderHost>,
}

/// `PUT /providers/{id}/registration`: everything that a provider is registered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// The addresses that it is paid at, 1 to 20. What was paid at one that is left out verifies no more.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub payees: Vec<Payee>,
    /// The hosts that it sells from, at most 20. One that is left out is free for others.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["api.example.com"])))]
    pub hosts: Vec<ProviderHost>,
}

/// An address that a provider is paid at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payee(#[serde(with = "checksummed")] pub Address);

/// A new provider, or a new key for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProviderCreated {
    /// Its id.
    pub provider_id: String,
    /// Its key. Shown here and never again.
    pub api_key: String,
}

/// One of `GET /providers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProviderView {
    /// Its id.
    pub provider_id: String,
    /// Its name.
    pub name: String,
    /// The addresses that it is paid at.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub payees: Vec<Payee>,
    /// The hosts that it sells from.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub hosts: Vec<ProviderHost>,
    /// How settled its payments must be before they verify.
    #[serde(default)]
    pub confirmations: Confirmations,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub revoked_at: Option<Timestamp>,
}

/// Answer to `POST /agents/{id}/revoke` and `POST /providers/{id}/revoke`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// Since when.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub revoked_at: Timestamp,
}

/// `POST /treasury`: pay from this address. Signed by its key over [`attachment_hash`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachTreasury {
    /// The treasury. An address belongs to one workspace for ever.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub address: Address,
    /// 65 bytes, hex: r, s, v.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub signature: Bytes,
}

/// `GET /treasury`: the treasury as the chain has it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TreasuryView {
    /// The treasury.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub address: Address,
    /// What it holds.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub balance: Amount,
    /// What the spender may still move.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub allowance: Amount,
    /// The account that it has to approve.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub spender: Address,
    /// The spender's gas money, in wei.
    pub spender_gas_wei: String,
    /// The treasury's next nonce, for signing an approval.
    pub nonce: u64,
    /// The treasury's own gas money, in wei; an approval needs some.
    pub gas_wei: String,
    /// What a transaction has to bid now for one gas, in wei.
    pub max_fee_per_gas_wei: String,
    /// The tip within that bid, in wei.
    pub max_priority_fee_per_gas_wei: String,
    /// The network.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub network: Network,
    /// The token.
    #[serde(with = "checksummed")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: Address,
}

/// `POST /treasury/relay`: send a transaction that the treasury signed: an `approve` of the
/// workspace's spender on the token, or ether for that spender, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelayTransaction {
    /// The signed EIP-2718 bytes, hex.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub raw_transaction: Bytes,
}

/// Answer to `POST /treasury/relay`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TransactionRelayed {
    /// The transaction.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub tx_hash: B256,
}

mod typed {
    use alloy_sol_types::sol;

    sol! {
        struct TreasuryAttachment {
            string workspaceId;
            address treasury;
        }
    }
}

/// The EIP-712 hash that a treasury signs to be attached to a workspace, in the domain of
/// [`Invoice::hash`](crate::invoice::Invoice::hash).
pub fn attachment_hash(
    workspace_id: &str,
    treasury: Address,
    network: Network,
    token: Address,
) -> B256 {
    let domain = eip712_domain! {
        name: "x402",
        version: "1",
        chain_id: network.chain_id(),
        verifying_contract: token,
    };
    typed::TreasuryAttachment {
        workspaceId: workspace_id.to_owned(),
        treasury,
    }
    .eip712_signing_hash(&domain)
}
