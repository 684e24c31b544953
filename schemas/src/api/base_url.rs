//! Where a service is reached with a key.
//!
//! Keys travel with every request, so a service is reached by https, or by plain http on this
//! machine only.

use thiserror::Error;
use url::{Host, Url};

/// The URL under which a service's routes begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a URL is none to send a key to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BaseUrlError {
    /// Neither https nor this machine.
    #[error("use an https:// URL; plain http:// is for this machine only, as it shows the key")]
    Insecure,
    /// More than scheme, host, port and path.
    #[error("a service's URL has no user, password, query or fragment; remove them")]
    Extra,
}

impl BaseUrl {
    /// Whether what is sent there is encrypted; if not, it never leaves this machine.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of a route below it. Each segment is encoded, so none can lead elsewhere.
    pub fn endpoint(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl TryFrom<Url> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(url: Url) -> Result<Self, BaseUrlError> {
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let secure = match url.scheme() {
            "https" => url.has_host(),
            "http" => local,
            _ => false,
        };
        let extra = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if !secure {
            Err(BaseUrlError::Insecure)
        } else if extra {
            Err(BaseUrlError::Extra)
        } else {
            Ok(Self(url))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<BaseUrl, BaseUrlError> {
        Url::parse(text).unwrap().try_into()
    }

    #[test]
    fn keys_travel_encrypted_or_not_at_all() {
        for text in [
            "https://gateway.example.com",
            "https://example.com/x402/",
            "http://127.0.0.1:4020",
            "http://127.9.9.9",
            "http://[::1]:4020",
            "http://localhost:4020",
        ] {
            assert!(base(text).is_ok(), "{text}");
        }
        for text in [
            "http://gateway.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://0.0.0.0",
            "ftp://localhost",
            "file:///etc/passwd",
        ] {
            assert_eq!(base(text), Err(BaseUrlError::Insecure), "{text}");
        }
        for text in [
            "https://user@example.com",
            "https://:secret@example.com",
            "https://example.com?key=1",
            "https://example.com/#x",
        ] {
            assert_eq!(base(text), Err(BaseUrlError::Extra), "{text}");
        }
    }

    #[test]
    fn routes_lie_below_the_base_whatever_the_segment() {
        for (start, expected) in [
            ("https://x.io", "https://x.io/payments/a"),
            ("https://x.io/", "https://x.io/payments/a"),
            ("https://x.io/v1/", "https://x.io/v1/payments/a"),
            ("https://x.io/v1", "https://x.io/v1/payments/a"),
        ] {
            let base = base(start).unwrap();
            assert_eq!(base.endpoint(&["payments", "a"]).as_str(), expected);
        }
        let endpoint = base("https://x.io")
            .unwrap()
            .endpoint(&["payments", "../quote?a#b"]);
        assert_eq!(endpoint.path(), "/payments/..%2Fquote%3Fa%23b");
        assert_eq!(endpoint.query(), None);
    }
}
