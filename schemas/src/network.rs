//! Networks.
//!
//! A network is a CAIP-2 id of the `eip155` namespace. Those that the protocol names have a short
//! name, which is what headers and messages show; proofs always carry the CAIP-2 id.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

const NAMED: [(u64, &str); 3] = [(1, "mainnet"), (11_155_111, "sepolia"), (31_337, "devnet")];

/// An EVM chain, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    chain_id: u64,
}

/// The text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a network is mainnet, sepolia, devnet or a CAIP-2 id such as eip155:1")]
pub struct NetworkError;

impl Network {
    /// Ethereum mainnet, where MNEE lives.
    pub const MAINNET: Self = Self { chain_id: 1 };

    /// The local chain of the demo and the tests.
    pub const DEVNET: Self = Self { chain_id: 31_337 };

    /// The network with this EIP-155 chain id.
    pub const fn from_chain_id(chain_id: u64) -> Self {
        Self { chain_id }
    }

    /// The EIP-155 chain id.
    pub const fn chain_id(self) -> u64 {
        self.chain_id
    }

    /// The CAIP-2 id, `eip155:<chain id>`.
    pub fn caip2(self) -> String {
        format!("eip155:{}", self.chain_id)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        if let Some((chain_id, _)) = NAMED.iter().find(|(_, name)| *name == text) {
            return Ok(Self {
                chain_id: *chain_id,
            });
        }
        let digits = text.strip_prefix("eip155:").ok_or(NetworkError)?;
        let canonical =
            !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !canonical {
            return Err(NetworkError);
        }
        digits
            .parse()
            .map(Self::from_chain_id)
            .map_err(|_| NetworkError)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMED
            .iter()
            .find(|(chain_id, _)| *chain_id == self.chain_id)
        {
            Some((_, name)) => f.pad(name),
            None => f.pad(&self.caip2()),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_and_its_caip2_id_are_the_same_network() {
        for (name, caip2) in [
            ("mainnet", "eip155:1"),
            ("sepolia", "eip155:11155111"),
            ("devnet", "eip155:31337"),
        ] {
            let network: Network = name.parse().unwrap();
            assert_eq!(caip2.parse(), Ok(network));
            assert_eq!(network.to_string(), name);
            assert_eq!(network.caip2(), caip2);
        }
        assert_eq!(
            "eip155:8453".parse::<Network>().unwrap().to_string(),
            "eip155:8453"
        );
    }

    #[test]
    fn other_texts_are_not_networks() {
        for text in [
            "",
            "eip155:",
            "eip155:01",
            "eip155:0",
            "eip155:+1",
            "eip155:99999999999999999999",
            "solana:1",
            "Mainnet",
            "1",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text:?}");
        }
    }
}
