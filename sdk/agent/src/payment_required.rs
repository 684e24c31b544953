//! In: the headers of a 402 answer. Out: the invoice, or what is wrong with it.
//!
//! Strict, because money follows: one value per header, canonical types, MNEE only. A header sent
//! twice is refused, since two readers could pick different ones.

use alloy_primitives::Address;
use reqwest::{Method, header::HeaderMap};
use thiserror::Error;
use url::Url;
use x402_schemas::{
    address::{self, AddressError},
    amount::{Amount, AmountError},
    api::agent::QuoteRequest,
    invoice::{CURRENCY, Invoice, InvoiceError, Resource, header},
    network::{Network, NetworkError},
};

/// The longest description that is read, in bytes; it is shown to people and stored by the gateway.
pub const MAX_DESCRIPTION_LEN: usize = 512;

/// A provider's request to be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRequired {
    /// What to pay, to whom, for what.
    pub invoice: Invoice,
    /// On which network.
    pub network: Network,
    /// What is bought, in the provider's words.
    pub description: Option<String>,
    /// The provider's signature over the invoice, for the gateway to check.
    pub signature: Option<String>,
    /// The URL that asked, without query, fragment and credentials.
    pub provider_url: Url,
    /// The method of the request that asked.
    pub method: Method,
}

/// What is wrong with the headers of a 402 answer. The provider has to mend it; nothing was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Not there.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// There more than once.
    #[error("the header {0} is there more than once")]
    Repeated(&'static str),
    /// Not text, or too long.
    #[error("the header {0} is not text of a sensible length")]
    NotText(&'static str),
    /// No invoice id.
    #[error("the header {id} is wrong", id = header::INVOICE_ID)]
    InvoiceId(#[source] InvoiceError),
    /// No amount.
    #[error("the header {amount} is wrong", amount = header::AMOUNT)]
    Amount(#[source] AmountError),
    /// Nothing to pay.
    #[error("the header {amount} is zero, which cannot be paid", amount = header::AMOUNT)]
    ZeroAmount,
    /// No address.
    #[error("the header {pay_to} is wrong", pay_to = header::PAY_TO)]
    PayTo(#[source] AddressError),
    /// Paying it would destroy the money.
    #[error("the header {pay_to} is the zero address", pay_to = header::PAY_TO)]
    ZeroPayTo,
    /// No network.
    #[error("the header {network} is wrong", network = header::NETWORK)]
    Network(#[source] NetworkError),
    /// Another currency.
    #[error("the header {currency} is not {CURRENCY}, the only currency that is paid", currency = header::CURRENCY)]
    Currency,
    /// The request's method or URL cannot be named as what is bought.
    #[error("the request cannot be named as what is bought")]
    Resource(#[source] InvoiceError),
}

impl PaymentRequired {
    /// Reads the headers of the 402 answer to a request.
    pub fn read(method: &Method, url: &Url, headers: &HeaderMap) -> Result<Self, HeaderError> {
        let id = required(headers, header::INVOICE_ID)?
            .parse()
            .map_err(HeaderError::InvoiceId)?;
        let amount = required(headers, header::AMOUNT)?
            .parse()
            .map_err(HeaderError::Amount)
            .and_then(payable)?;
        let pay_to = address::parse(required(headers, header::PAY_TO)?)
            .map_err(HeaderError::PayTo)
            .and_then(payee)?;
        let network = required(headers, header::NETWORK)?
            .parse()
            .map_err(HeaderError::Network)?;
        if optional(headers, header::CURRENCY)?.is_some_and(|currency| currency != CURRENCY) {
            return Err(HeaderError::Currency);
        }
        let description = optional(headers, header::DESCRIPTION)?.map(str::to_owned);
        let signature = optional(headers, header::SIGNATURE)?.map(str::to_owned);
        let resource = Resource::of(method.as_str(), url).map_err(HeaderError::Resource)?;
        Ok(Self {
            invoice: Invoice {
                id,
                pay_to,
                amount,
                resource,
            },
            network,
            description,
            signature,
            provider_url: public_part(url),
            method: method.clone(),
        })
    }

    /// What the gateway is asked about it.
    pub fn quote_request(&self) -> QuoteRequest {
        QuoteRequest {
            invoice_id: self.invoice.id.clone(),
            amount: self.invoice.amount,
            pay_to: self.invoice.pay_to,
            network: self.network,
            description: self.description.clone(),
            provider_url: self.provider_url.clone(),
            method: Some(self.method.to_string()),
            signature: self.signature.clone(),
        }
    }
}

fn required<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, HeaderError> {
    optional(headers, name)?.ok_or(HeaderError::Missing(name))
}

fn optional<'h>(
    headers: &'h HeaderMap,
    name: &'static str,
) -> Result<Option<&'h str>, HeaderError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(HeaderError::Repeated(name));
    }
    std::str::from_utf8(value.as_bytes())
        .ok()
        .filter(|text| text.len() <= MAX_DESCRIPTION_LEN)
        .map(Some)
        .ok_or(HeaderError::NotText(name))
}

fn payable(amount: Amount) -> Result<Amount, HeaderError> {
    if amount.is_zero() {
        Err(HeaderError::ZeroAmount)
    } else {
        Ok(amount)
    }
}

fn payee(address: Address) -> Result<Address, HeaderError> {
    if address.is_zero() {
        Err(HeaderError::ZeroPayTo)
    } else {
        Ok(address)
    }
}

/// Queries carry private data, and the gateway needs none of it.
fn public_part(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Both fail only on URLs without a host, which no resource has.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const GOOD: [(&str, &str); 7] = [
        (header::INVOICE_ID, "inv_abc123xyz"),
        (header::AMOUNT, "0.05"),
        (header::PAY_TO, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        (header::NETWORK, "mainnet"),
        (header::DESCRIPTION, "AI Completion API"),
        (header::CURRENCY, "MNEE"),
        (header::SIGNATURE, "0011223344556677.AAAA"),
    ];

    fn good() -> HeaderMap {
        GOOD.into_iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn read(headers: &HeaderMap) -> Result<PaymentRequired, HeaderError> {
        let url = Url::parse("https://me:secret@api.example.com/report?private=1#x").unwrap();
        PaymentRequired::read(&Method::POST, &url, headers)
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = good();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn the_headers_are_read_as_sent() {
        let required = read(&good()).unwrap();
        assert_eq!(required.invoice.id.as_str(), "inv_abc123xyz");
        assert_eq!(required.invoice.amount, "0.05".parse().unwrap());
        assert_eq!(required.invoice.pay_to.to_checksum(None), GOOD[2].1);
        assert_eq!(
            required.invoice.resource.as_str(),
            "POST https://api.example.com/report"
        );
        assert_eq!(required.network, Network::MAINNET);
        assert_eq!(required.description.as_deref(), Some("AI Completion API"));
        assert_eq!(required.signature.as_deref(), Some(GOOD[6].1));
    }

    #[test]
    fn the_gateway_is_not_told_the_query() {
        let request = read(&good()).unwrap().quote_request();
        assert_eq!(
            request.provider_url.as_str(),
            "https://api.example.com/report"
        );
        assert_eq!(request.method.as_deref(), Some("POST"));
        assert_eq!(request.signature.as_deref(), Some(GOOD[6].1));
    }

    #[test]
    fn each_missing_header_is_named() {
        for (name, _) in &GOOD[..4] {
            let mut headers = good();
            headers.remove(*name);
            assert_eq!(read(&headers), Err(HeaderError::Missing(name)));
        }
        for (name, _) in &GOOD[4..] {
            let mut headers = good();
            headers.remove(*name);
            assert!(read(&headers).is_ok(), "{name} may be absent");
        }
    }

    #[test]
    fn a_header_sent_twice_is_refused() {
        for (name, value) in GOOD {
            let mut headers = good();
            headers.append(name, HeaderValue::from_static(value));
            assert_eq!(read(&headers), Err(HeaderError::Repeated(name)));
        }
    }

    #[test]
    fn each_malformed_header_is_named() {
        use HeaderError as E;
        let table: [(&'static str, &[&str], HeaderError); 7] = [
            (
                header::INVOICE_ID,
                &["", "a b", "a/b", &"a".repeat(129)],
                E::InvoiceId(InvoiceError::Id),
            ),
            (
                header::AMOUNT,
                &["", "_", "1e18", "0x10", "-1", "1,5", " 1", "$1"],
                E::Amount(AmountError::NotDecimal),
            ),
            (
                header::AMOUNT,
                &["0.0000000000000000001"],
                E::Amount(AmountError::TooPrecise),
            ),
            (header::AMOUNT, &["0", "0.00"], E::ZeroAmount),
            (
                header::PAY_TO,
                &["", "0x12", "70997970C51812dc3A010C7d01b50e0d17dc79C8"],
                E::PayTo(AddressError::NotAddress),
            ),
            (
                header::NETWORK,
                &["", "Mainnet", "1", "solana:1"],
                E::Network(NetworkError),
            ),
            (header::CURRENCY, &["", "USDC", "mnee"], E::Currency),
        ];
        for (name, values, expected) in table {
            for value in values {
                assert_eq!(read(&with(name, value)), Err(expected), "{name}: {value:?}");
            }
        }
    }

    #[test]
    fn a_payee_that_is_mistyped_or_nobody_is_refused() {
        let mistyped = with(header::PAY_TO, "0x70997970C51812Dc3A010C7d01b50e0d17dc79C8");
        assert_eq!(
            read(&mistyped),
            Err(HeaderError::PayTo(AddressError::WrongChecksum))
        );
        let nobody = with(header::PAY_TO, "0x0000000000000000000000000000000000000000");
        assert_eq!(read(&nobody), Err(HeaderError::ZeroPayTo));
    }

    #[test]
    fn text_that_is_no_text_or_endless_is_refused() {
        let mut headers = good();
        headers.insert(
            header::DESCRIPTION,
            HeaderValue::from_bytes(b"caf\xe9").unwrap(),
        );
        let not_text = Err(HeaderError::NotText(header::DESCRIPTION));
        assert_eq!(read(&headers), not_text);
        let endless = "a".repeat(MAX_DESCRIPTION_LEN.saturating_add(1));
        assert_eq!(read(&with(header::DESCRIPTION, &endless)), not_text);
    }

    #[test]
    fn a_request_that_cannot_be_named_is_not_paid_for() {
        let url = Url::parse("data:text/plain,x").unwrap();
        assert_eq!(
            PaymentRequired::read(&Method::GET, &url, &good()),
            Err(HeaderError::Resource(InvoiceError::Resource))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_header_panics_the_reader(name in 0..7_usize, value in proptest::collection::vec(0_u8.., 0..200)) {
            let mut headers = good();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.insert(GOOD[name].0, value);
                let _ = read(&headers);
            }
        }
    }
}
