//! The names within an invoice: its id and what it buys. Each has one text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

const MAX_ID_LEN: usize = 128;
const MAX_RESOURCE_LEN: usize = 2_048;
const MAX_METHOD_LEN: usize = 16;

/// Of a DNS name (RFC 1035 section 2.3.4).
const MAX_LABEL_LEN: usize = 63;
const MAX_HOST_LEN: usize = 253;

/// A provider's name for one payment request: 1 to 128 of `A-Z a-z 0-9 . _ ~ : -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InvoiceId(String);

/// What is bought: a method and a URL without query, fragment or credentials, as
/// `GET https://api.example.com/report`. Queries stay out because they carry private data.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resource(String);

/// Why a text is no invoice id or resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvoiceError {
    /// Empty, too long, or with a character outside the set.
    #[error("an invoice id is 1 to 128 letters, digits or . _ ~ : -")]
    Id,
    /// Not a method and an http(s) URL.
    #[error("a resource is an HTTP method and an http or https URL of at most 2048 characters")]
    Resource,
}

impl InvoiceId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(text: &str) -> Result<(), InvoiceError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:-".contains(&byte);
        let fits = (1..=MAX_ID_LEN).contains(&text.len());
        if fits && text.bytes().all(allowed) {
            Ok(())
        } else {
            Err(InvoiceError::Id)
        }
    }
}

impl Resource {
    /// The resource that a request to `url` with `method` names.
    pub fn of(method: &str, url: &Url) -> Result<Self, InvoiceError> {
        let scheme_ok = matches!(url.scheme(), "http" | "https") && url.has_host();
        if !is_method(method) || !scheme_ok {
            return Err(InvoiceError::Resource);
        }
        let text = format!(
            "{method} {}{}",
            url.origin().ascii_serialization(),
            url.path()
        );
        if text.len() > MAX_RESOURCE_LEN {
            Err(InvoiceError::Resource)
        } else {
            Ok(Self(text))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL's host, as the URL standard writes it, without the port.
    pub fn host(&self) -> &str {
        let after_scheme = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = after_scheme
            .split_once('/')
            .map_or(after_scheme, |(authority, _)| authority);
        let port = authority
            .rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'));
        port.map_or(authority, |(host, _)| host)
    }

    /// The URL's port, that of its scheme where it names none.
    pub fn port(&self) -> u16 {
        let after_method = self.0.split_once(' ').map_or("", |(_, url)| url);
        let default = if after_method.starts_with("https://") {
            443
        } else {
            80
        };
        let after_scheme = after_method.split_once("://").map_or("", |(_, rest)| rest);
        let authority = after_scheme
            .split_once('/')
            .map_or(after_scheme, |(authority, _)| authority);
        authority
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(default)
    }

    /// Accepts only the canonical text, so that equal resources are equal strings.
    fn check(text: &str) -> Result<(), InvoiceError> {
        let (method, url) = text.split_once(' ').ok_or(InvoiceError::Resource)?;
        if is_method(method) && is_plain_url(url) && text.len() <= MAX_RESOURCE_LEN {
            return Ok(());
        }
        let url = Url::parse(url).map_err(|_| InvoiceError::Resource)?;
        if Self::of(method, &url)?.0 == text {
            Ok(())
        } else {
            Err(InvoiceError::Resource)
        }
    }
}

fn is_method(text: &str) -> bool {
    (1..=MAX_METHOD_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Whether a URL is of the usual kind that parsing and writing would leave as it is: verifiers read
/// many, and parsing takes longest. What is not usual may be canonical nevertheless.
fn is_plain_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
    let Some((host, path)) = rest.and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let letter_digit_hyphen =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // A first letter tells a name from an address; `xn--` names have rules of their own.
    let is_label = |label: &str| {
        (1..=MAX_LABEL_LEN).contains(&label.len())
            && label.starts_with(|first: char| first.is_ascii_lowercase())
            && !label.starts_with("xn--")
            && label.bytes().all(letter_digit_hyphen)
    };
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_~.".contains(&byte);
    host.len() <= MAX_HOST_LEN
        && host.split('.').all(is_label)
        && path.bytes().all(in_path)
        && !path.split('/').any(|segment| segment.starts_with('.'))
}

macro_rules! text_type {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = InvoiceError;

            fn try_from(text: String) -> Result<Self, InvoiceError> {
                Self::check(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = InvoiceError;

            fn from_str(text: &str) -> Result<Self, InvoiceError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_type!(InvoiceId);
text_type!(Resource);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_resource_has_a_host_and_a_port() {
        for (resource, host, port) in [
            ("GET https://api.example.com/a/b", "api.example.com", 443),
            ("POST http://127.0.0.1:8080/", "127.0.0.1", 8_080),
            ("GET http://[::1]:8080/x:y", "[::1]", 8_080),
            ("GET http://[::1]/", "[::1]", 80),
            ("GET http://a.io/x:443", "a.io", 80),
        ] {
            let resource: Resource = resource.parse().unwrap();
            assert_eq!((resource.host(), resource.port()), (host, port));
        }
    }

    #[test]
    fn a_resource_carries_no_query_and_no_credentials() {
        let url =
            Url::parse("https://user:secret@API.example.com:443/a/../report?token=1#x").unwrap();
        assert_eq!(
            Resource::of("GET", &url).unwrap().as_str(),
            "GET https://api.example.com/report"
        );
    }

    #[test]
    fn only_the_canonical_resource_text_is_read() {
        for text in [
            "",
            "GET",
            "GET ",
            "GET ftp://x/y",
            "get http://x/y",
            "GET http://x/y?z",
            "GET http://X/y",
            "GET http://x",
            "GET file:///etc",
        ] {
            assert_eq!(
                text.parse::<Resource>(),
                Err(InvoiceError::Resource),
                "{text:?}"
            );
        }
    }

    #[test]
    fn ids_outside_the_set_are_refused() {
        for text in ["", "a b", "a/b", "é", &"a".repeat(129)] {
            assert_eq!(text.parse::<InvoiceId>(), Err(InvoiceError::Id), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_url_is_canonical(url in "https?://[a-z0-9x.-]{1,12}(/[a-zA-Z0-9._~%2eE-]{0,4}){0,4}") {
            if is_plain_url(&url) {
                let parsed = Url::parse(&url).unwrap();
                prop_assert_eq!(parsed.as_str(), &url);
                let resource = Resource::of("GET", &parsed).unwrap();
                prop_assert_eq!(resource.as_str(), format!("GET {url}"));
            }
        }
    }

    #[test]
    fn the_usual_url_is_plain() {
        assert!(is_plain_url("https://api.example.com/v1/reports/7"));
        assert!(is_plain_url("http://localhost/"));
        for other in [
            "http://10.0.0.1/",
            "http://a/../b",
            "http://a:80/",
            "http://a",
            "http://xn--a/",
            "http://a/é",
        ] {
            assert!(!is_plain_url(other), "{other}");
        }
    }
}
