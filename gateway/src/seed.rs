//! The master seed: 32 bytes in an encrypted Web3 keystore file, made on first start.
//!
//! Every other secret is derived from it (HKDF-SHA256, one label each), so one file and one
//! passphrase are the whole backup. A seed that is missing where a ledger exists is never made anew:
//! that would orphan every spender.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use alloy::{
    primitives::B256,
    signers::{
        k256::elliptic_curve::rand_core::OsRng,
        local::{LocalSignerError, PrivateKeySigner},
    },
};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use x402_service::api_key::Pepper;

const FILE: &str = "master-seed.json";
const SALT: &[u8] = b"x402 gateway master seed v1";

/// Where all secrets come from.
pub(crate) struct Seed {
    root: Prk,
}

/// Why there is no seed.
#[derive(Debug, Error)]
pub enum SeedError {
    /// The folder or file cannot be used.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Most often a wrong passphrase.
    #[error("{} does not open; is X402_GATEWAY_PASSPHRASE the one it was made with?", path.display())]
    Keystore {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: LocalSignerError,
    },
    /// A ledger without its seed.
    #[error("{} is missing although the ledger has workspaces; restore it from the backup", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// The derivation refused its input.
    #[error("a secret could not be derived")]
    Derivation,
}

impl Seed {
    /// Opens the seed in `folder`, or makes it if `may_create`.
    pub(crate) fn open(
        folder: &Path,
        passphrase: &SecretString,
        may_create: bool,
    ) -> Result<Self, SeedError> {
        let path = folder.join(FILE);
        let exists = path
            .try_exists()
            .map_err(|source| file_error(&path, source))?;
        if !exists {
            if !may_create {
                return Err(SeedError::Missing { path });
            }
            create(folder, &path, passphrase)?;
        }
        let signer = PrivateKeySigner::decrypt_keystore(&path, passphrase.expose_secret())
            .map_err(|source| SeedError::Keystore { path, source })?;
        Ok(Self::from_bytes(&signer.to_bytes()))
    }

    /// The seed of these bytes.
    pub(crate) fn from_bytes(bytes: &B256) -> Self {
        Self {
            root: Salt::new(HKDF_SHA256, SALT).extract(bytes.as_slice()),
        }
    }

    /// 32 bytes for one purpose. Different labels give unrelated bytes.
    pub(crate) fn derive(&self, label: &str) -> Result<B256, SeedError> {
        let mut bytes = B256::ZERO;
        self.root
            .expand(&[label.as_bytes()], HKDF_SHA256)
            .and_then(|okm| okm.fill(bytes.as_mut_slice()))
            .map_err(|_| SeedError::Derivation)?;
        Ok(bytes)
    }

    /// Under which owners' and agents' keys are hashed. Never leaves the gateway.
    pub(crate) fn key_pepper(&self) -> Result<Pepper, SeedError> {
        self.derive("pepper/owners-and-agents").map(Pepper::new)
    }

    /// Under which providers' keys are hashed. Verifiers are told it.
    pub(crate) fn provider_key_pepper(&self) -> Result<Pepper, SeedError> {
        self.derive("pepper/providers").map(Pepper::new)
    }

    /// Tells one seed from another without telling anything else; the ledger remembers it.
    pub(crate) fn fingerprint(&self) -> Result<B256, SeedError> {
        self.derive("fingerprint")
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed([redacted])")
    }
}

/// Writes a new seed beside its place, makes it durable, then moves it in: half a file is never seen.
fn create(folder: &Path, path: &Path, passphrase: &SecretString) -> Result<(), SeedError> {
    let draft_name = format!("{FILE}.new");
    let draft = folder.join(&draft_name);
    let seed = PrivateKeySigner::random();
    PrivateKeySigner::encrypt_keystore(
        folder,
        &mut OsRng,
        seed.to_bytes(),
        passphrase.expose_secret(),
        Some(&draft_name),
    )
    .map_err(|source| SeedError::Keystore {
        path: draft.clone(),
        source,
    })?;
    make_durable(folder, &draft, path).map_err(|source| file_error(path, source))
}

fn make_durable(folder: &Path, draft: &Path, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(draft, fs::Permissions::from_mode(0o600))?;
    fs::File::open(draft)?.sync_all()?;
    fs::rename(draft, path)?;
    fs::File::open(folder)?.sync_all()
}

fn file_error(path: &Path, source: io::Error) -> SeedError {
    SeedError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_opens_with_its_passphrase_only_and_is_not_in_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let passphrase = SecretString::from("correct horse battery");
        let first = Seed::open(folder.path(), &passphrase, true).unwrap();
        let again = Seed::open(folder.path(), &passphrase, false).unwrap();
        assert_eq!(first.fingerprint().unwrap(), again.fingerprint().unwrap());
        let wrong = SecretString::from("wrong horse battery");
        assert!(matches!(
            Seed::open(folder.path(), &wrong, true),
            Err(SeedError::Keystore { .. })
        ));
    }

    #[test]
    fn a_missing_seed_is_not_made_anew_beside_a_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let passphrase = SecretString::from("correct horse battery");
        assert!(matches!(
            Seed::open(folder.path(), &passphrase, false),
            Err(SeedError::Missing { .. })
        ));
    }

    #[test]
    fn labels_give_unrelated_secrets() {
        let seed = Seed::from_bytes(&B256::repeat_byte(7));
        assert_ne!(seed.derive("a").unwrap(), seed.derive("b").unwrap());
        assert_eq!(seed.derive("a").unwrap(), seed.derive("a").unwrap());
        assert!(!format!("{seed:?}").contains("07"));
    }
}
