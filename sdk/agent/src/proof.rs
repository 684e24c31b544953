//! Proofs as the gateway hands them out, and the payments that they stand for.
//!
//! A proof is read without checking its signature: the gateway gave it to us over its own
//! connection, and the provider has it verified. It is compared with the invoice, so that a mix-up
//! is found here and not at the provider.

use std::{fmt, str::FromStr};

use alloy_primitives::B256;
use reqwest::header::HeaderValue;
use thiserror::Error;
use x402_schemas::{
    invoice::Invoice,
    network::Network,
    proof::{ProofClaims, ProofError, read::read_unchecked},
};

/// What redeems a paid invoice. Whoever holds it can use it once, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    text: String,
    claims: Box<ProofClaims>,
}

/// A payment that was made, with what redeems it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidWith {
    /// What was paid.
    pub invoice: Invoice,
    /// On which network.
    pub network: Network,
    /// The gateway's name for the payment.
    pub payment_id: String,
    /// The transaction.
    pub tx_hash: B256,
    /// What redeems it.
    pub proof: Proof,
}

/// Why a proof cannot be used.
#[derive(Debug, Error)]
pub enum ProofProblem {
    /// No proof at all.
    #[error("it is not a proof")]
    Unreadable(#[source] ProofError),
    /// Another invoice's.
    #[error("it is the proof of another invoice, amount, payee, network or resource")]
    OtherInvoice,
}

impl Proof {
    /// What goes into `X-402-Proof`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it states.
    pub const fn claims(&self) -> &ProofClaims {
        &self.claims
    }

    /// Whether it states that this invoice was paid.
    pub fn fits(&self, invoice: &Invoice, network: Network) -> bool {
        let claims = &self.claims;
        claims.invoice_id == invoice.id
            && claims.amount == invoice.amount
            && claims.pay_to == invoice.pay_to
            && claims.resource == invoice.resource
            && claims.network == network
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&self.text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl FromStr for Proof {
    type Err = ProofProblem;

    fn from_str(text: &str) -> Result<Self, ProofProblem> {
        let claims = read_unchecked(text).map_err(ProofProblem::Unreadable)?;
        Ok(Self {
            text: text.to_owned(),
            claims: Box::new(claims),
        })
    }
}

/// A proof that was kept says by itself which payment it is of.
impl From<Proof> for PaidWith {
    fn from(proof: Proof) -> Self {
        let claims = proof.claims();
        Self {
            invoice: Invoice {
                id: claims.invoice_id.clone(),
                pay_to: claims.pay_to,
                amount: claims.amount,
                resource: claims.resource.clone(),
            },
            network: claims.network,
            payment_id: claims.sub.clone(),
            tx_hash: claims.tx_hash,
            proof,
        }
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof")
            .field("payment_id", &self.claims.sub)
            .finish_non_exhaustive()
    }
}
