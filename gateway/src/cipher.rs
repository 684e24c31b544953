//! Encrypts what the ledger keeps and nobody may read there, under keys derived from the master seed.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
};
use thiserror::Error;
use x402_service::api_key::{NoRandomness, random_bytes};

use crate::seed::{Seed, SeedError};

/// A key for one purpose.
#[derive(Debug)]
pub(crate) struct Cipher(LessSafeKey);

/// Why something does not encrypt or decrypt.
#[derive(Debug, Error)]
pub(crate) enum CipherError {
    /// It was written under another seed, for another row, or changed since.
    #[error("what was stored does not decrypt")]
    Foreign,
    #[error("nothing can be encrypted")]
    NoRandomness(#[from] NoRandomness),
}

impl Cipher {
    /// The one of this gateway's seed for a purpose.
    pub(crate) fn of(seed: &Seed, purpose: &str) -> Result<Self, SeedError> {
        let key = seed.derive(purpose)?;
        UnboundKey::new(&AES_256_GCM, key.as_slice())
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|Unspecified| SeedError::Derivation)
    }

    /// Encrypts a text. `context` ties it to its row, so that none can be put in another's place.
    pub(crate) fn seal(&self, context: &[u8], mut text: Vec<u8>) -> Result<Vec<u8>, CipherError> {
        let nonce: [u8; NONCE_LEN] = random_bytes()?;
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut text,
            )
            .map_err(|Unspecified| CipherError::Foreign)?;
        Ok([nonce.as_slice(), &text].concat())
    }

    /// Decrypts what was sealed with the same context.
    pub(crate) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CipherError> {
        let (nonce, text) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(CipherError::Foreign)?;
        let mut text = text.to_vec();
        let plain = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(context),
                &mut text,
            )
            .map_err(|Unspecified| CipherError::Foreign)?;
        Ok(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;

    #[test]
    fn a_text_opens_under_its_own_seed_purpose_and_context_only() {
        let seed = Seed::from_bytes(&B256::repeat_byte(7));
        let other = Seed::from_bytes(&B256::repeat_byte(8));
        let cipher = Cipher::of(&seed, "one").unwrap();
        let sealed = cipher.seal(b"row 1", b"secret".to_vec()).unwrap();
        assert_eq!(cipher.open(b"row 1", &sealed).unwrap(), b"secret");
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        assert!(cipher.open(b"row 2", &sealed).is_err());
        assert!(cipher.open(b"row 1", &sealed[..5]).is_err());
        for foreign in [Cipher::of(&seed, "two"), Cipher::of(&other, "one")] {
            assert!(foreign.unwrap().open(b"row 1", &sealed).is_err());
        }
    }
}
