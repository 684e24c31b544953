//! A provider's signature over its invoice: `X-402-Signature: <key id>.<base64url>`.
//!
//! Ed25519 over the invoice's EIP-712 hash, with a key derived from the provider's API key by HKDF-SHA256, so that a
//! provider configures nothing. Whoever makes API keys can compute and keep the public key; whoever sees only the
//! public key learns nothing of the API key.

use std::{fmt, str::FromStr};

use alloy_primitives::B256;
use aws_lc_rs::{
    hkdf::{HKDF_SHA256, Salt},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;

const SALT: &[u8] = b"x402 invoice signing v1";
const LABEL: &[u8] = b"ed25519";
const SEED_LEN: usize = 32;
const SIGNATURE_LEN: usize = 64;
const MAX_KEY_ID_LEN: usize = 64;

/// Signs one provider's invoices.
pub struct InvoiceSigner {
    key_id: String,
    pair: Ed25519KeyPair,
}

/// A signature and the id of the API key that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceSignature {
    key_id: String,
    bytes: [u8; SIGNATURE_LEN],
}

/// The text is no provider's API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a provider's API key is x402_provider_… as it was shown when it was made")]
pub struct NotAProviderKey;

/// The text is no signature of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a signature is a key id, a dot and 64 bytes in base64url")]
pub struct SignatureError;

impl InvoiceSigner {
    /// The signer that belongs to an API key, `x402_provider_<key id>_<secret>`.
    pub fn of_api_key(api_key: &str) -> Result<Self, NotAProviderKey> {
        let (key_id, secret) = api_key
            .strip_prefix("x402_provider_")
            .and_then(|rest| rest.split_once('_'))
            .ok_or(NotAProviderKey)?;
        if !is_key_id(key_id) || secret.is_empty() {
            return Err(NotAProviderKey);
        }
        let mut seed = [0; SEED_LEN];
        Salt::new(HKDF_SHA256, SALT)
            .extract(api_key.as_bytes())
            .expand(&[LABEL], HKDF_SHA256)
            .and_then(|derived| derived.fill(&mut seed))
            .map_err(|_| NotAProviderKey)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| NotAProviderKey)?;
        Ok(Self {
            key_id: key_id.to_owned(),
            pair,
        })
    }

    /// What its signatures are checked with.
    pub fn public_key(&self) -> B256 {
        let mut key = B256::ZERO;
        for (byte, own) in key.iter_mut().zip(self.pair.public_key().as_ref()) {
            *byte = *own;
        }
        key
    }

    /// Signs an invoice by its hash.
    pub fn sign(&self, invoice_hash: B256) -> InvoiceSignature {
        let signature = self.pair.sign(invoice_hash.as_slice());
        let mut bytes = [0; SIGNATURE_LEN];
        for (byte, signed) in bytes.iter_mut().zip(signature.as_ref()) {
            *byte = *signed;
        }
        InvoiceSignature {
            key_id: self.key_id.clone(),
            bytes,
        }
    }
}

impl InvoiceSignature {
    /// The id of the API key that it says it belongs to.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether this key signed the invoice of this hash.
    pub fn is_of(&self, public_key: B256, invoice_hash: B256) -> bool {
        UnparsedPublicKey::new(&ED25519, public_key.as_slice())
            .verify(invoice_hash.as_slice(), &self.bytes)
            .is_ok()
    }
}

fn is_key_id(text: &str) -> bool {
    (1..=MAX_KEY_ID_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl FromStr for InvoiceSignature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let (key_id, signature) = text.split_once('.').ok_or(SignatureError)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(signature)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .filter(|_| is_key_id(key_id))
            .ok_or(SignatureError)?;
        Ok(Self {
            key_id: key_id.to_owned(),
            bytes,
        })
    }
}

impl fmt::Display for InvoiceSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.key_id, URL_SAFE_NO_PAD.encode(self.bytes))
    }
}

impl fmt::Debug for InvoiceSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvoiceSigner")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "x402_provider_0011223344556677_0123456789abcdef";

    fn signer(api_key: &str) -> InvoiceSigner {
        InvoiceSigner::of_api_key(api_key).unwrap()
    }

    #[test]
    fn a_signature_is_of_its_key_and_its_invoice_only() {
        let signature = signer(KEY).sign(B256::repeat_byte(1));
        let sent: InvoiceSignature = signature.to_string().parse().unwrap();
        assert_eq!(sent.key_id(), "0011223344556677");
        let own = signer(KEY).public_key();
        assert!(sent.is_of(own, B256::repeat_byte(1)));
        assert!(!sent.is_of(own, B256::repeat_byte(2)));
        let other = signer("x402_provider_0011223344556677_0123456789abcdee").public_key();
        assert!(!sent.is_of(other, B256::repeat_byte(1)));
        assert!(!sent.is_of(B256::ZERO, B256::repeat_byte(1)));
    }

    /// Other implementations derive the same key from the same API key.
    #[test]
    fn the_derivation_stays_as_it_is() {
        assert_eq!(
            signer(KEY).public_key().to_string(),
            "0xdebee0bab0fd269df6fa4459d852c19bceb23675a5dfc9b5f23602810aa06e15"
        );
    }

    #[test]
    fn other_texts_are_no_signatures_and_no_keys() {
        let good = signer(KEY).sign(B256::ZERO).to_string();
        let short = good.get(..good.len().saturating_sub(2)).unwrap();
        for text in [
            "",
            ".",
            "00",
            "00.",
            "zz.AAAA",
            short,
            &format!("{good}A"),
            &format!("{good}="),
            &format!(" {good}"),
        ] {
            assert_eq!(
                text.parse::<InvoiceSignature>(),
                Err(SignatureError),
                "{text}"
            );
        }
        for key in [
            "",
            "x402_provider_",
            "x402_provider_00_",
            "x402_agent_00_00",
            "x402_provider_zz_00",
        ] {
            assert!(InvoiceSigner::of_api_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn a_signer_shows_nothing_of_its_key() {
        assert!(!format!("{:?}", signer(KEY)).contains("0123456789abcdef"));
    }
}
