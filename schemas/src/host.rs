//! Where a provider sells: hosts that its registration pins, with or without a port.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::HostPattern;

/// A host, or every host below one, at one port or at any: `api.example.com`, `*.example.com`, `api.example.com:8443`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderHost {
    /// Its name.
    pub pattern: HostPattern,
    /// Its port; any when none.
    pub port: Option<u16>,
}

/// The text is no host that a provider can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a provider's host is lower-case ASCII such as api.example.com, api.example.com:8443, or *.example.com for every host \
     below it, which has at least two labels after the *; no scheme or path"
)]
pub struct ProviderHostError;

impl ProviderHost {
    /// Whether a URL's host, as the URL standard writes it, and port are meant.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        self.port.is_none_or(|own| own == port) && self.pattern.matches(host)
    }

    /// Whether some host and port are meant by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let ports_meet = match (self.port, other.port) {
            (Some(own), Some(its)) => own == its,
            (None, _) | (_, None) => true,
        };
        ports_meet && self.pattern.overlaps(&other.pattern)
    }
}

impl FromStr for ProviderHost {
    type Err = ProviderHostError;

    fn from_str(text: &str) -> Result<Self, ProviderHostError> {
        let split = text
            .rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'));
        let (host, port) = match split {
            None => (text, None),
            Some((host, port)) => {
                let canonical =
                    port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
                let port = port.parse().ok().filter(|_| canonical);
                (host, Some(port.ok_or(ProviderHostError)?))
            }
        };
        let pattern: HostPattern = host.parse().map_err(|_| ProviderHostError)?;
        // Nobody is the provider of a whole top-level domain.
        if pattern.is_below() && !pattern.host().contains('.') {
            return Err(ProviderHostError);
        }
        Ok(Self { pattern, port })
    }
}

impl TryFrom<String> for ProviderHost {
    type Error = ProviderHostError;

    fn try_from(text: String) -> Result<Self, ProviderHostError> {
        text.parse()
    }
}

impl From<ProviderHost> for String {
    fn from(host: ProviderHost) -> Self {
        host.to_string()
    }
}

impl fmt::Display for ProviderHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => self.pattern.fmt(f),
            Some(port) => write!(f, "{}:{port}", self.pattern),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> ProviderHost {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_without_a_port_is_meant_at_every_port() {
        for (text, name, port, means) in [
            ("api.example.com", "api.example.com", 443, true),
            ("api.example.com", "api.example.com", 8_443, true),
            ("api.example.com:8443", "api.example.com", 8_443, true),
            ("api.example.com:8443", "api.example.com", 443, false),
            ("*.example.com:8443", "a.b.example.com", 8_443, true),
            ("*.example.com", "example.com", 443, false),
            ("[::1]:80", "[::1]", 80, true),
            ("[::1]", "[::1]", 80, true),
        ] {
            assert_eq!(
                host(text).matches(name, port),
                means,
                "{text} {name}:{port}"
            );
            assert_eq!(host(text).to_string(), text);
        }
    }

    #[test]
    fn hosts_overlap_when_one_url_is_meant_by_both() {
        for (one, other, overlap) in [
            ("a.example.com", "a.example.com", true),
            ("a.example.com", "b.example.com", false),
            ("a.example.com", "*.example.com", true),
            ("example.com", "*.example.com", false),
            ("*.a.example.com", "*.example.com", true),
            ("*.a.example.com", "*.b.example.com", false),
            ("*.example.com", "*.le.com", false),
            ("a.example.com:1", "a.example.com:2", false),
            ("a.example.com:1", "a.example.com", true),
            ("a.example.com:1", "*.example.com:1", true),
        ] {
            assert_eq!(host(one).overlaps(&host(other)), overlap, "{one} {other}");
            assert_eq!(host(other).overlaps(&host(one)), overlap, "{other} {one}");
        }
    }

    #[test]
    fn other_texts_are_no_hosts_of_providers() {
        for text in [
            "",
            "*",
            "*.com",
            "a.com:",
            "a.com:080",
            "a.com:65536",
            "a.com:+1",
            "https://a.com",
            "a.com/x",
            "A.com",
            "[::1]:",
        ] {
            assert_eq!(
                text.parse::<ProviderHost>(),
                Err(ProviderHostError),
                "{text}"
            );
        }
    }
}
