//! Where a webhook may lead: to public addresses over https, and nowhere within.
//!
//! A name is resolved by us, and the connection goes to the addresses that were looked at: between the
//! two there is no second look-up that could say something else.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

/// Bytes of a URL.
const MAX_URL: usize = 2_048;

/// Networks that are not the public Internet's: address and length of the prefix.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 14] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Of global unicast, what leads elsewhere: protocol assignments with Teredo, documentation, 6to4.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// How far webhooks reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses over https.
    Public,
    /// This machine besides, over http too: for a local chain.
    LoopbackToo,
}

/// Why a webhook may not lead there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum AddressError {
    #[error("a webhook's URL is an https:// URL of at most {MAX_URL} bytes")]
    NotHttps,
    #[error("a webhook's URL has no user or password in it; what is sent is signed")]
    Credentials,
    #[error("a webhook leads to public addresses only")]
    NotPublic,
}

impl Reach {
    /// Reads where a webhook leads. A name is looked up when something is sent.
    pub(crate) fn read(self, text: &str) -> Result<Url, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::NotHttps)?;
        if text.len() > MAX_URL || !self.scheme_fits(&url) {
            return Err(AddressError::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) => return Ok(url),
            None => return Err(AddressError::NotHttps),
        };
        if self.includes(address) {
            Ok(url)
        } else {
            Err(AddressError::NotPublic)
        }
    }

    fn scheme_fits(self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self == Self::LoopbackToo && is_loopback(url),
            _ => false,
        }
    }

    /// Whether something may be sent to an address.
    fn includes(self, address: IpAddr) -> bool {
        match address {
            _ if self == Self::LoopbackToo && address.is_loopback() => true,
            IpAddr::V4(address) => !NOT_PUBLIC_V4
                .iter()
                .any(|(network, length)| within_v4(address, *network, *length)),
            IpAddr::V6(address) => {
                let (network, length) = GLOBAL_UNICAST;
                within_v6(address, network, length)
                    && !NOT_PUBLIC_V6
                        .iter()
                        .any(|(network, length)| within_v6(address, *network, *length))
            }
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn within_v4(address: Ipv4Addr, network: Ipv4Addr, length: u32) -> bool {
    let different = address.to_bits() ^ network.to_bits();
    different.leading_zeros() >= length
}

fn within_v6(address: Ipv6Addr, network: Ipv6Addr, length: u32) -> bool {
    let different = address.to_bits() ^ network.to_bits();
    different.leading_zeros() >= length
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = *self;
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // A name that leads within, be it by one address of several, is up to no good.
            if !found.iter().all(|address| reach.includes(address.ip())) {
                let refused: Box<dyn Error + Send + Sync> = AddressError::NotPublic.into();
                return Err(refused);
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_within_are_refused_however_they_are_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[ff02::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
        ] {
            let url = format!("https://{host}/hook");
            assert_eq!(
                Reach::Public.read(&url),
                Err(AddressError::NotPublic),
                "{host}"
            );
        }
    }

    #[test]
    fn only_https_leads_out_and_http_only_to_this_machine_where_that_is_allowed() {
        for url in [
            "https://example.com/x",
            "https://8.8.8.8/",
            "https://[2606:4700::1]:8443/x",
        ] {
            assert!(Reach::Public.read(url).is_ok(), "{url}");
        }
        for url in [
            "http://example.com/",
            "ftp://example.com/",
            "https://",
            "not a url",
            "http://127.0.0.1/",
            "http://localhost/",
        ] {
            assert_eq!(
                Reach::Public.read(url),
                Err(AddressError::NotHttps),
                "{url}"
            );
        }
        let secret = "https://me:secret@example.com/";
        assert_eq!(Reach::Public.read(secret), Err(AddressError::Credentials));
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL));
        assert_eq!(Reach::Public.read(&long), Err(AddressError::NotHttps));
        for url in [
            "http://127.0.0.1:4/",
            "http://localhost:4/",
            "http://[::1]/",
        ] {
            assert!(Reach::LoopbackToo.read(url).is_ok(), "{url}");
        }
        for url in ["http://10.0.0.1/", "http://example.com/"] {
            assert!(Reach::LoopbackToo.read(url).is_err(), "{url}");
        }
        let within = Reach::LoopbackToo.read("https://10.0.0.1/");
        assert_eq!(within, Err(AddressError::NotPublic));
    }

    #[tokio::test]
    async fn a_name_that_leads_within_is_refused_when_it_is_looked_up() {
        let client = reqwest::Client::builder()
            .no_proxy()
            .dns_resolver(Reach::Public)
            .build()
            .unwrap();
        let error = client.get("https://localhost:9/").send().await.unwrap_err();
        let text = x402_service::logs::with_causes(&error);
        assert!(text.contains("public addresses only"), "{text}");
    }
}
