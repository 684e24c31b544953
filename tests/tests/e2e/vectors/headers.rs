//! The headers of 402 answers.

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use x402_agent::{HeaderError, PaymentRequired};
use x402_schemas::invoice::header;

use super::PAYEE;

pub(super) fn payment_required() -> Vec<Value> {
    let long = "a".repeat(513);
    let changes: [(&'static str, &str); 23] = [
        (header::DESCRIPTION, "AI Completion API"),
        (header::DESCRIPTION, &long),
        (header::NETWORK, "eip155:1"),
        (header::INVOICE_ID, ""),
        (header::INVOICE_ID, "a b"),
        (header::AMOUNT, ""),
        (header::AMOUNT, "1e18"),
        (header::AMOUNT, "-1"),
        (header::AMOUNT, "0.0000000000000000001"),
        (header::AMOUNT, "0"),
        (header::AMOUNT, "0.00"),
        (header::AMOUNT, "0.05, 0.05"),
        (header::PAY_TO, "0x12"),
        (header::PAY_TO, "0x70997970C51812Dc3A010C7d01b50e0d17dc79C8"),
        (header::PAY_TO, "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"),
        (header::PAY_TO, "0x0000000000000000000000000000000000000000"),
        (header::NETWORK, ""),
        (header::NETWORK, "Mainnet"),
        (header::NETWORK, "solana:1"),
        (header::CURRENCY, "MNEE"),
        (header::CURRENCY, "USDC"),
        (header::CURRENCY, "mnee"),
        (header::SIGNATURE, "0011223344556677.c2lnbmVk"),
    ];
    let absent = [
        header::INVOICE_ID,
        header::AMOUNT,
        header::PAY_TO,
        header::NETWORK,
        header::CURRENCY,
    ];
    let good = [
        (header::INVOICE_ID, "inv_abc123xyz"),
        (header::AMOUNT, "0.05"),
        (header::PAY_TO, PAYEE),
        (header::NETWORK, "mainnet"),
        (header::CURRENCY, "MNEE"),
    ];
    let with_other = changes.into_iter().map(|(name, value)| {
        let rest = good.into_iter().filter(|(kept, _)| *kept != name);
        read_headers(&rest.chain([(name, value)]).collect::<Vec<_>>())
    });
    let lacking = absent.into_iter().map(|name| {
        let rest = good.into_iter().filter(|(kept, _)| *kept != name);
        read_headers(&rest.collect::<Vec<_>>())
    });
    with_other.chain(lacking).collect()
}

fn read_headers(pairs: &[(&'static str, &str)]) -> Value {
    let (method, url) = (
        Method::POST,
        "https://me:secret@api.example.com/report?private=1#x",
    );
    let headers: HeaderMap = pairs
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    let sent: serde_json::Map<String, Value> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let mut vector = json!({ "method": method.as_str(), "url": url, "headers": sent });
    match PaymentRequired::read(&method, &url.parse().unwrap(), &headers) {
        Ok(required) => {
            vector["invoice"] = json!({
                "invoiceId": required.invoice.id,
                "amount": required.invoice.amount.to_base_text(),
                "payTo": required.invoice.pay_to.to_checksum(None),
                "network": required.network,
                "resource": required.invoice.resource,
                "description": required.description,
                "signature": required.signature,
            });
        }
        Err(error) => {
            let (header, problem) = wrong(error);
            vector["problem"] = json!({ "header": header, "problem": problem });
        }
    }
    vector
}

fn wrong(error: HeaderError) -> (Option<&'static str>, &'static str) {
    match error {
        HeaderError::Missing(name) => (Some(name), "MISSING"),
        HeaderError::NotText(name) => (Some(name), "NOT_TEXT"),
        HeaderError::Repeated(name) => (Some(name), "MALFORMED"),
        HeaderError::InvoiceId(_) => (Some(header::INVOICE_ID), "MALFORMED"),
        HeaderError::Amount(_) => (Some(header::AMOUNT), "MALFORMED"),
        HeaderError::PayTo(_) => (Some(header::PAY_TO), "MALFORMED"),
        HeaderError::Network(_) => (Some(header::NETWORK), "MALFORMED"),
        HeaderError::ZeroAmount => (Some(header::AMOUNT), "ZERO"),
        HeaderError::ZeroPayTo => (Some(header::PAY_TO), "ZERO"),
        HeaderError::Currency => (Some(header::CURRENCY), "OTHER_CURRENCY"),
        HeaderError::Resource(_) => (None, "MALFORMED"),
    }
}
