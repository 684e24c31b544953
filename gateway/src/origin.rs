//! Where an invoice comes from: the ledger's registrations in, facts for the policy out.
//!
//! The host is the one that the agent says it asked. An agent that lies about it can only name a host whose provider
//! is paid at the invoice's payee, or one that nobody has registered.

use alloy::primitives::B256;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::invoice::{Invoice, InvoiceSignature};

use crate::{
    ledger::{LedgerError, hosts, providers, signing_keys},
    policy::{Origin, Registration, Signature},
};

/// Whose signature an invoice carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Signer {
    /// Nobody's.
    Nobody,
    /// This provider's, over this very invoice.
    Provider(String),
    /// Something that is nobody's signature over it.
    Unknown,
}

impl Signer {
    /// As a quote remembers it.
    pub(crate) fn remembered(provider_id: Option<String>) -> Self {
        provider_id.map_or(Self::Nobody, Self::Provider)
    }

    /// What a quote remembers of it.
    pub(crate) fn by(&self) -> Option<&str> {
        match self {
            Self::Provider(provider_id) => Some(provider_id),
            Self::Nobody | Self::Unknown => None,
        }
    }
}

/// Checks the signature that came with an invoice of this hash.
pub(crate) async fn check(
    conn: &mut SqliteConnection,
    signature: Option<&str>,
    invoice_hash: B256,
    now: Timestamp,
) -> Result<Signer, LedgerError> {
    let Some(text) = signature else {
        return Ok(Signer::Nobody);
    };
    let Ok(signature) = text.parse::<InvoiceSignature>() else {
        return Ok(Signer::Unknown);
    };
    let key = signing_keys::find_valid(conn, signature.key_id(), now).await?;
    Ok(match key {
        Some((provider_id, key)) if signature.is_of(key, invoice_hash) => {
            Signer::Provider(provider_id)
        }
        Some(_) | None => Signer::Unknown,
    })
}

/// Asks the registrations of now about an invoice.
pub(crate) async fn of(
    conn: &mut SqliteConnection,
    invoice: &Invoice,
    signer: &Signer,
) -> Result<Origin, LedgerError> {
    let resource = &invoice.resource;
    let Some(provider_id) = hosts::provider_of(conn, resource.host(), resource.port()).await?
    else {
        // There is nobody whose signature it could be.
        return Ok(Origin {
            registration: Registration::None,
            signature: Signature::Absent,
        });
    };
    let is_payee = providers::is_payee(conn, &provider_id, invoice.pay_to).await?;
    Ok(Origin {
        registration: if is_payee {
            Registration::Payee
        } else {
            Registration::AnotherPayee
        },
        signature: match signer {
            Signer::Nobody => Signature::Absent,
            Signer::Provider(id) if *id == provider_id => Signature::Valid,
            Signer::Provider(_) | Signer::Unknown => Signature::Invalid,
        },
    })
}
