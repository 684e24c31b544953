//! Patterns of host names: `api.example.com` is that host, `*.example.com` every host below it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

const MAX_HOST_LEN: usize = 253;

/// A host, or every host below one. Never the whole Internet: that is the absence of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    host: String,
    below: bool,
}

/// The text is no pattern of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a host is lower-case ASCII such as api.example.com, *.example.com for every host below it; no scheme, port or path"
)]
pub struct HostError;

impl HostPattern {
    /// Whether a URL's host, as the URL standard writes it, is meant.
    pub fn matches(&self, host: &str) -> bool {
        // One dot at the end names the same host.
        let host = host.strip_suffix('.').unwrap_or(host);
        if self.below {
            host.strip_suffix(self.host.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty())
        } else {
            host == self.host
        }
    }

    /// Whether some host is meant by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self.below, other.below) {
            (false, _) => other.matches(&self.host),
            (true, false) => self.matches(&other.host),
            (true, true) => {
                self.host == other.host || self.matches(&other.host) || other.matches(&self.host)
            }
        }
    }

    /// The host, or the one below which all are meant.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether every host below is meant, and not the host itself.
    pub const fn is_below(&self) -> bool {
        self.below
    }
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let (host, below) = text
            .strip_prefix("*.")
            .map_or((text, false), |host| (host, true));
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.[]:_".contains(&byte)
        };
        let is_address = host.starts_with('[') && host.ends_with(']');
        let labels_fit = is_address
            || (!host.contains(['[', ']', ':']) && host.split('.').all(|label| !label.is_empty()));
        if (1..=MAX_HOST_LEN).contains(&host.len()) && host.bytes().all(allowed) && labels_fit {
            Ok(Self {
                host: host.to_owned(),
                below,
            })
        } else {
            Err(HostError)
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        f.pad(&format!("{below}{}", self.host))
    }
}
