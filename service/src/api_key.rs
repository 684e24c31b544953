//! API keys: `x402_<kind>_<key id>_<secret>`.
//!
//! The secret is 32 bytes of the operating system's generator. Only its keyed hash is ever stored,
//! so neither a copy of the database nor a log can be used as a key.

use std::{fmt, str::FromStr};

use alloy_primitives::{B256, hex};
use aws_lc_rs::{hmac, rand};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use thiserror::Error;

const SECRET_LEN: usize = 32;
const KEY_ID_LEN: usize = 8;

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// An owner of a workspace.
    Owner,
    /// Any other member of a workspace.
    Member,
    /// An agent.
    Agent,
    /// A provider.
    Provider,
}

/// A key as its holder presents it.
#[derive(Clone)]
pub struct ApiKey {
    kind: KeyKind,
    key_id: String,
    secret: SecretString,
}

/// The key under which secrets are hashed.
#[derive(Clone)]
pub struct Pepper {
    bytes: B256,
    key: hmac::Key,
}

/// The text is not an API key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an API key")]
pub struct NotAnApiKey;

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

impl KeyKind {
    const ALL: [Self; 4] = [Self::Owner, Self::Member, Self::Agent, Self::Provider];

    /// The word within the key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Agent => "agent",
            Self::Provider => "provider",
        }
    }
}

impl ApiKey {
    /// A new key.
    pub fn generate(kind: KeyKind) -> Result<Self, NoRandomness> {
        let key_id = hex::encode(random_bytes::<KEY_ID_LEN>()?);
        let secret = SecretString::from(hex::encode(random_bytes::<SECRET_LEN>()?));
        Ok(Self {
            kind,
            key_id,
            secret,
        })
    }

    /// Whose key it says it is.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public part, by which the stored hash is found.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// What is stored instead of the secret.
    pub fn hash(&self, pepper: &Pepper) -> B256 {
        let mut hash = hmac::Context::with_key(&pepper.key);
        hash.update(self.kind.as_str().as_bytes());
        hash.update(b"_");
        hash.update(self.key_id.as_bytes());
        hash.update(b"_");
        hash.update(self.secret.expose_secret().as_bytes());
        B256::from_slice(hash.sign().as_ref())
    }

    /// Whether this is the key that was stored as `hash`, in constant time.
    pub fn matches(&self, pepper: &Pepper, hash: B256) -> bool {
        self.hash(pepper).as_slice().ct_eq(hash.as_slice()).into()
    }

    /// The whole key, to be shown to its holder once.
    pub fn expose(&self) -> String {
        format!(
            "x402_{}_{}_{}",
            self.kind.as_str(),
            self.key_id,
            self.secret.expose_secret()
        )
    }
}

impl FromStr for ApiKey {
    type Err = NotAnApiKey;

    fn from_str(text: &str) -> Result<Self, NotAnApiKey> {
        let mut parts = text.strip_prefix("x402_").ok_or(NotAnApiKey)?.split('_');
        let (Some(kind), Some(key_id), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotAnApiKey);
        };
        let kind = KeyKind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or(NotAnApiKey)?;
        let is_hex = |text: &str, bytes: usize| {
            text.len() == bytes.saturating_mul(2)
                && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if !is_hex(key_id, KEY_ID_LEN) || !is_hex(secret, SECRET_LEN) {
            return Err(NotAnApiKey);
        }
        Ok(Self {
            kind,
            key_id: key_id.to_owned(),
            secret: SecretString::from(secret.to_owned()),
        })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("kind", &self.kind)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl Pepper {
    /// Wraps 32 secret bytes.
    pub fn new(bytes: B256) -> Self {
        Self {
            bytes,
            key: hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice()),
        }
    }

    /// The bytes, for handing to a verifier.
    pub const fn expose(&self) -> B256 {
        self.bytes
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper([redacted])")
    }
}

/// Bytes of the operating system's generator.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0_u8; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A new identifier such as `pay_3f…`: 96 random bits, so that nobody guesses another's.
pub fn random_id(prefix: &str) -> Result<String, NoRandomness> {
    Ok(format!("{prefix}_{}", hex::encode(random_bytes::<12>()?)))
}

/// Whether two secrets are the same, in constant time for equal lengths.
pub fn same_secret(given: &str, expected: &SecretString) -> bool {
    given
        .as_bytes()
        .ct_eq(expected.expose_secret().as_bytes())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper(byte: u8) -> Pepper {
        Pepper::new(B256::repeat_byte(byte))
    }

    #[test]
    fn a_key_matches_its_own_hash_only() {
        let key = ApiKey::generate(KeyKind::Agent).unwrap();
        let other = ApiKey::generate(KeyKind::Agent).unwrap();
        let hash = key.hash(&pepper(1));
        assert!(
            key.expose()
                .parse::<ApiKey>()
                .unwrap()
                .matches(&pepper(1), hash)
        );
        assert!(!other.matches(&pepper(1), hash));
        assert!(!key.matches(&pepper(2), hash));
    }

    #[test]
    fn an_agents_secret_is_no_owners_key() {
        let key = ApiKey::generate(KeyKind::Agent).unwrap();
        let raised: ApiKey = key.expose().replace("_agent_", "_owner_").parse().unwrap();
        assert!(!raised.matches(&pepper(1), key.hash(&pepper(1))));
    }

    #[test]
    fn a_key_never_shows_in_debug_output() {
        let key = ApiKey::generate(KeyKind::Owner).unwrap();
        let secret = key.expose().rsplit('_').next().unwrap().to_owned();
        assert!(!format!("{key:?}").contains(&secret));
    }

    #[test]
    fn other_texts_are_not_keys() {
        let good = ApiKey::generate(KeyKind::Owner).unwrap().expose();
        for text in [
            "",
            "x402_",
            "x402_owner__",
            "Bearer x",
            &good[1..],
            &format!("{good}_x"),
            &good.replace("owner", "admin"),
        ] {
            assert!(text.parse::<ApiKey>().is_err(), "{text:?}");
        }
    }
}
