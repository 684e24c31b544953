//! Texts of one value: amounts, addresses, networks, resources, invoice ids.

use reqwest::Url;
use serde_json::{Value, json};
use x402_schemas::{
    address::{self, AddressError},
    amount::{Amount, AmountError},
    invoice::{InvoiceId, Resource},
    network::Network,
};

use super::{PAYEE, TOKEN};

pub(super) fn amounts() -> Vec<Value> {
    let past = "115792089237316195423570985008687907853269984665640564039457.584007913129639936";
    let most = "115792089237316195423570985008687907853269984665640564039457.584007913129639935";
    let endless = "9".repeat(81);
    let texts = [
        "0",
        "1",
        "0.05",
        "12.340",
        "0.10",
        "0.000000000000000001",
        "0.0",
        "1000000",
        most,
        past,
        &endless,
        "",
        "_",
        "1_000",
        "1e18",
        "0x10",
        "-1",
        "+5",
        " 5",
        "5 ",
        ".5",
        "5.",
        "1.2.3",
        "00",
        "01.5",
        "٣",
        "1.-1",
        "1,5",
        "0.0000000000000000010",
        "0.0000000000000000001",
    ];
    let read = |text: &str| match text.parse::<Amount>() {
        Ok(amount) => {
            json!({ "text": text, "baseUnits": amount.to_base_text(), "canonical": amount.to_string() })
        }
        Err(AmountError::NotDecimal) => json!({ "text": text, "problem": "NOT_DECIMAL" }),
        Err(AmountError::TooPrecise) => json!({ "text": text, "problem": "TOO_PRECISE" }),
        Err(AmountError::TooLarge) => json!({ "text": text, "problem": "TOO_LARGE" }),
    };
    texts.into_iter().map(read).collect()
}

pub(super) fn addresses() -> Vec<Value> {
    let (lower, upper) = (
        TOKEN.to_lowercase(),
        format!("0x{}", TOKEN[2..].to_uppercase()),
    );
    let mistyped = TOKEN.replace("dbAe", "dbae");
    let texts = [
        TOKEN,
        PAYEE,
        &lower,
        &upper,
        &mistyped,
        "",
        "0x",
        "0x8cced",
        &TOKEN[2..],
        "0xzccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF",
        "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF00",
        "0x0000000000000000000000000000000000000000",
        "0X8ccedbae4916b79da7f3f612efb2eb93a2bfd6cf",
    ];
    let read = |text: &str| match address::parse(text) {
        Ok(address) => json!({ "text": text, "address": address.to_checksum(None) }),
        Err(AddressError::NotAddress) => json!({ "text": text, "problem": "NOT_ADDRESS" }),
        Err(AddressError::WrongChecksum) => json!({ "text": text, "problem": "WRONG_CHECKSUM" }),
    };
    texts.into_iter().map(read).collect()
}

pub(super) fn networks() -> Vec<Value> {
    let texts = [
        "mainnet",
        "sepolia",
        "devnet",
        "eip155:1",
        "eip155:31337",
        "eip155:8453",
        "eip155:18446744073709551615",
        "eip155:18446744073709551616",
        "",
        "Mainnet",
        "1",
        "eip155:",
        "eip155:01",
        "eip155:0",
        "eip155:+1",
        "eip155:99999999999999999999",
        "solana:1",
    ];
    let read = |text: &str| match text.parse::<Network>() {
        Ok(network) => {
            json!({ "text": text, "name": network.to_string(), "caip2": network.caip2() })
        }
        Err(_) => json!({ "text": text, "problem": true }),
    };
    texts.into_iter().map(read).collect()
}

pub(super) fn resources() -> Vec<Value> {
    let long = format!("https://api.example.com/{}", "a".repeat(2_100));
    let requests = [
        (
            "GET",
            "https://user:secret@API.example.com:443/a/../report?token=1#x",
        ),
        ("POST", "http://127.0.0.1:8080"),
        ("GET", "http://[::1]:80/a%2Fb/"),
        ("DELETE", "https://example.com//y.io/a;b=c@d"),
        ("GET", "https://bücher.example/straße"),
        ("GET", "https://example.com/a b\"<>`{}|^"),
        ("get", "https://example.com/"),
        ("", "https://example.com/"),
        ("ABCDEFGHIJKLMNOPQ", "https://example.com/"),
        ("GET", "ftp://example.com/"),
        ("GET", "data:text/plain,x"),
        ("GET", long.as_str()),
    ];
    let name = |(method, url): (&str, &str)| {
        let parsed: Url = url.parse().unwrap();
        match Resource::of(method, &parsed) {
            Ok(resource) => json!({ "method": method, "url": url, "resource": resource }),
            Err(_) => json!({ "method": method, "url": url, "problem": true }),
        }
    };
    requests.into_iter().map(name).collect()
}

pub(super) fn resource_texts() -> Vec<Value> {
    let texts = [
        "GET https://api.example.com/report",
        "GET http://127.0.0.1:8080/",
        "GET http://[::1]/x:y",
        "",
        "GET",
        "GET ",
        "GET ftp://x/y",
        "get http://x/y",
        "GET http://x/y?z",
        "GET http://X/y",
        "GET http://x",
        "GET file:///etc",
        "GET http://x/a/../b",
        "GET http://x:80/",
        "GET  http://x/",
        "GET http://x/\n",
    ];
    let read = |text: &str| json!({ "text": text, "good": text.parse::<Resource>().is_ok() });
    texts.into_iter().map(read).collect()
}

pub(super) fn invoice_ids() -> Vec<Value> {
    let (longest, longer) = ("a".repeat(128), "a".repeat(129));
    let texts = [
        "inv_abc123xyz",
        "A.z_0~:-",
        &longest,
        &longer,
        "",
        "a b",
        "a/b",
        "é",
        "a\n",
        "a, a",
    ];
    let read = |text: &str| json!({ "text": text, "good": text.parse::<InvoiceId>().is_ok() });
    texts.into_iter().map(read).collect()
}
