//! Invoices: what a provider asks for in a 402 answer, and the hash that binds a payment to it.
//!
//! The hash is EIP-712 typed data with domain {name "x402", version "1", chainId, verifyingContract
//! = the token}, so that it can be shown and signed by any wallet and never collides across chains.

use alloy_primitives::{Address, B256, Keccak256, keccak256};
use alloy_sol_types::{SolStruct, eip712_domain};

use crate::{amount::Amount, network::Network};

/// Its id and what it buys.
mod names;

/// The provider's word that it is its own.
mod signature;

pub use names::{InvoiceError, InvoiceId, Resource};
pub use signature::{InvoiceSignature, InvoiceSigner, NotAProviderKey, SignatureError};

/// Headers of the 402 answer and of the retry, lower case as HTTP libraries want them.
pub mod header {
    /// The invoice's id, chosen by the provider.
    pub const INVOICE_ID: &str = "x-402-invoice-id";
    /// The price in MNEE, decimal.
    pub const AMOUNT: &str = "x-402-amount";
    /// The provider's address.
    pub const PAY_TO: &str = "x-402-pay-to";
    /// The network: a short name or a CAIP-2 id.
    pub const NETWORK: &str = "x-402-network";
    /// What is bought, in words.
    pub const DESCRIPTION: &str = "x-402-description";
    /// Always `MNEE`.
    pub const CURRENCY: &str = "x-402-currency";
    /// The provider's signature over the invoice, optional.
    pub const SIGNATURE: &str = "x-402-signature";
    /// The proof, on the retry.
    pub const PROOF: &str = "x-402-proof";
}

/// The only currency there is.
pub const CURRENCY: &str = "MNEE";

/// What a provider asks for, for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// The provider's name for it.
    pub id: InvoiceId,
    /// Who is paid.
    pub pay_to: Address,
    /// How much.
    pub amount: Amount,
    /// What it buys.
    pub resource: Resource,
}

/// Network and token of many invoices, hashed once for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvoiceDomain {
    separator: B256,
    type_hash: B256,
}

impl InvoiceDomain {
    /// The domain of invoices that are paid in this token on this network.
    pub fn new(network: Network, token: Address) -> Self {
        let domain = eip712_domain! {
            name: "x402",
            version: "1",
            chain_id: network.chain_id(),
            verifying_contract: token,
        };
        Self {
            separator: domain.separator(),
            type_hash: keccak256(typed::Invoice::eip712_root_type().as_bytes()),
        }
    }

    /// The EIP-712 hash of an invoice of these parts.
    pub fn hash(
        &self,
        id: &InvoiceId,
        pay_to: Address,
        amount: Amount,
        resource: &Resource,
    ) -> B256 {
        let fields = [
            self.type_hash,
            keccak256(id.as_str()),
            pay_to.into_word(),
            B256::from(amount.base_units()),
            keccak256(resource.as_str()),
        ];
        keccak256_of(&[
            b"\x19\x01",
            self.separator.as_slice(),
            keccak256_of(&fields).as_slice(),
        ])
    }
}

impl Invoice {
    /// The EIP-712 hash that the payment's calldata carries as its memo.
    pub fn hash(&self, network: Network, token: Address) -> B256 {
        InvoiceDomain::new(network, token).hash(&self.id, self.pay_to, self.amount, &self.resource)
    }
}

fn keccak256_of(parts: &[impl AsRef<[u8]>]) -> B256 {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// `sol!` names the typed data after the struct, which must read `Invoice` there.
mod typed {
    use alloy_sol_types::sol;

    sol! {
        struct Invoice {
            string invoiceId;
            address payTo;
            uint256 amount;
            string resource;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{U256, address};

    use super::*;

    const TOKEN: Address = address!("8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF");

    fn invoice() -> Invoice {
        Invoice {
            id: "inv_abc123xyz".parse().unwrap(),
            pay_to: address!("00000000000000000000000000000000000000aa"),
            amount: "0.05".parse().unwrap(),
            resource: "GET https://api.example.com/report".parse().unwrap(),
        }
    }

    /// EIP-712 spelled out by hand, so that the macro's encoding is checked and not assumed.
    #[test]
    fn the_hash_is_eip712_over_domain_and_invoice() {
        let invoice = invoice();
        let word = |number: u64| B256::from(U256::from(number));
        let domain_type = keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
        );
        let domain = keccak256(
            [
                domain_type,
                keccak256("x402"),
                keccak256("1"),
                word(1),
                TOKEN.into_word(),
            ]
            .concat(),
        );
        let invoice_type =
            keccak256("Invoice(string invoiceId,address payTo,uint256 amount,string resource)");
        let fields = [
            invoice_type,
            keccak256(invoice.id.as_str()),
            invoice.pay_to.into_word(),
            B256::from(invoice.amount.base_units()),
            keccak256(invoice.resource.as_str()),
        ];
        let expected = keccak256(
            [
                b"\x19\x01".as_slice(),
                domain.as_slice(),
                keccak256(fields.concat()).as_slice(),
            ]
            .concat(),
        );
        assert_eq!(invoice.hash(Network::MAINNET, TOKEN), expected);
    }

    #[test]
    fn a_change_anywhere_changes_the_hash() {
        let original = invoice().hash(Network::MAINNET, TOKEN);
        let changes: [fn(&mut Invoice); 4] = [
            |invoice| invoice.id = "inv_abc123xyy".parse().unwrap(),
            |invoice| invoice.pay_to = TOKEN,
            |invoice| invoice.amount = "0.050000000000000001".parse().unwrap(),
            |invoice| invoice.resource = "POST https://api.example.com/report".parse().unwrap(),
        ];
        for change in changes {
            let mut altered = invoice();
            change(&mut altered);
            assert_ne!(altered.hash(Network::MAINNET, TOKEN), original);
        }
        assert_ne!(invoice().hash(Network::DEVNET, TOKEN), original);
        assert_ne!(invoice().hash(Network::MAINNET, Address::ZERO), original);
    }
}
