//! `tests/vectors.json`: what the protocol's texts mean, for every implementation of it.
//!
//! The Rust code writes the file and is compared with it; the TypeScript packages read it in their own tests. Invoice ids are
//! spelled out by hand here, since three implementations have to agree on them: this one, `x402-server` and `@x402/server`.

use std::{fs, path::Path};

use alloy::primitives::{Address, B256, U256, hex};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use x402_agent::{HeaderError, PaymentRequired};
use x402_schemas::{
    address::{self, AddressError},
    amount::{Amount, AmountError},
    codes::{Denial, PaymentFailure, Refusal},
    invoice::{Invoice, InvoiceId, Resource, header},
    network::Network,
    proof::{LIFETIME_SECONDS, ProofClaims, ProofSigner, TYPE, read::read_unchecked},
};

/// Set to anything, it has the file written anew.
const REGENERATE: &str = "X402_REGENERATE_VECTORS";

const TOKEN: &str = "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF";
const PAYEE: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

#[test]
fn the_vectors_are_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors.json");
    let current = json!({
        "about": format!("Written by the Rust code ({REGENERATE}=1 cargo test -p x402-tests --test e2e vectors); read by every implementation's tests"),
        "amounts": amounts(),
        "addresses": addresses(),
        "networks": networks(),
        "resources": resources(),
        "resourceTexts": resource_texts(),
        "invoiceIds": invoice_ids(),
        "invoiceHashes": invoice_hashes(),
        "paymentRequired": payment_required(),
        "proofs": proofs(),
        "issuedInvoices": issued_invoices(),
        "denials": Denial::ALL,
        "paymentFailures": PaymentFailure::ALL,
        "refusals": Refusal::ALL,
    });
    if std::env::var_os(REGENERATE).is_some() {
        let text = serde_json::to_string_pretty(&current).unwrap();
        fs::write(&path, format!("{text}\n")).unwrap();
    }
    let kept: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (section, values) in current.as_object().unwrap() {
        assert_eq!(
            &kept[section], values,
            "{section} of tests/vectors.json is not current: run this test with {REGENERATE}=1 and look at what changes"
        );
    }
}

fn amounts() -> Vec<Value> {
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

fn addresses() -> Vec<Value> {
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

fn networks() -> Vec<Value> {
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

fn resources() -> Vec<Value> {
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

fn resource_texts() -> Vec<Value> {
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

fn invoice_ids() -> Vec<Value> {
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

fn invoice_hashes() -> Vec<Value> {
    let table = [
        (
            "inv_abc123xyz",
            PAYEE,
            "0.05",
            "GET https://api.example.com/report",
            "mainnet",
            TOKEN,
        ),
        (
            "inv_abc123xyz",
            PAYEE,
            "0.050000000000000001",
            "GET https://api.example.com/report",
            "mainnet",
            TOKEN,
        ),
        (
            "inv_abc123xyz",
            PAYEE,
            "0.05",
            "POST https://api.example.com/report",
            "mainnet",
            TOKEN,
        ),
        (
            "inv_abc123xyz",
            PAYEE,
            "0.05",
            "GET https://api.example.com/report",
            "devnet",
            TOKEN,
        ),
        (
            "inv_abc123xyz",
            TOKEN,
            "0.05",
            "GET https://api.example.com/report",
            "mainnet",
            PAYEE,
        ),
        (
            "a",
            PAYEE,
            "1000000000",
            "GET http://[::1]:8080/",
            "eip155:18446744073709551615",
            TOKEN,
        ),
    ];
    let hash = |(id, pay_to, amount, resource, network, token): (
        &str,
        &str,
        &str,
        &str,
        &str,
        &str,
    )| {
        let invoice = Invoice {
            id: id.parse().unwrap(),
            pay_to: pay_to.parse().unwrap(),
            amount: amount.parse().unwrap(),
            resource: resource.parse().unwrap(),
        };
        json!({
            "invoiceId": id, "payTo": pay_to, "amount": amount, "resource": resource, "network": network, "token": token,
            "hash": invoice.hash(network.parse().unwrap(), token.parse().unwrap()),
        })
    };
    table.into_iter().map(hash).collect()
}

fn payment_required() -> Vec<Value> {
    let long = "a".repeat(513);
    let changes: [(&'static str, &str); 22] = [
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
    let changed = changes.into_iter().map(|(name, value)| {
        let rest = good.into_iter().filter(|(kept, _)| *kept != name);
        read_headers(rest.chain([(name, value)]).collect())
    });
    let lacking = absent
        .into_iter()
        .map(|name| read_headers(good.into_iter().filter(|(kept, _)| *kept != name).collect()));
    changed.chain(lacking).collect()
}

fn read_headers(pairs: Vec<(&'static str, &str)>) -> Value {
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

fn claims() -> ProofClaims {
    ProofClaims {
        iss: "https://gateway.example.com".into(),
        sub: "pay_1".into(),
        iat: 1_700_000_000,
        exp: 1_700_000_000 + LIFETIME_SECONDS,
        invoice_id: "inv_abc123xyz".parse().unwrap(),
        amount: "0.05".parse().unwrap(),
        asset: TOKEN.parse().unwrap(),
        pay_to: PAYEE.parse().unwrap(),
        payer: Address::repeat_byte(0xbb),
        network: Network::MAINNET,
        tx_hash: B256::repeat_byte(7),
        log_index: u32::MAX,
        block_number: 19_482_225,
        resource: "GET https://api.example.com/report".parse().unwrap(),
    }
}

/// Proofs, and what is none. `stated` is what reading without checking gives; `signed` whether the key vouches for it.
fn proofs() -> Value {
    let signer = ProofSigner::from_seed(&[1; 32]).unwrap();
    let jwks = json!({ "keys": [signer.public_key()] });
    let keys =
        x402_schemas::proof::ProofKeys::from_jwks(&serde_json::from_value(jwks.clone()).unwrap());
    let good = signer.sign(&claims()).unwrap();
    let stranger = ProofSigner::from_seed(&[2; 32])
        .unwrap()
        .sign(&claims())
        .unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let kid = signer.public_key().common.key_id.clone().unwrap();
    let with_header = |header: Value| {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        format!("{header}.{}.{}", parts[1], parts[2])
    };
    let with_claims = |change: &dyn Fn(&mut Value)| {
        let mut changed = serde_json::to_value(claims()).unwrap();
        change(&mut changed);
        let payload = URL_SAFE_NO_PAD.encode(changed.to_string());
        format!("{}.{payload}.{}", parts[0], parts[2])
    };
    let texts = [
        good.clone(),
        stranger,
        with_header(json!({ "alg": "none", "typ": TYPE, "kid": kid })),
        with_header(json!({ "alg": "HS256", "typ": TYPE, "kid": kid })),
        with_header(json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid })),
        with_header(json!({ "alg": "EdDSA", "typ": TYPE })),
        with_claims(&|claims| claims["amount"] = json!("50000000000000001")),
        with_claims(&|claims| claims["amount"] = json!("0.05")),
        with_claims(&|claims| claims["amount"] = json!(5)),
        with_claims(&|claims| claims["extra"] = json!(1)),
        with_claims(&|claims| claims["iat"] = json!(-1)),
        with_claims(&|claims| claims["iat"] = json!(1.5)),
        with_claims(&|claims| claims["logIndex"] = json!(4_294_967_296_u64)),
        with_claims(&|claims| claims["payTo"] = json!(PAYEE.replace("C8", "c8"))),
        with_claims(&|claims| claims["network"] = json!("polygon")),
        with_claims(&|claims| claims["txHash"] = json!("0x07")),
        with_claims(&|claims| claims["resource"] = json!("GET https://api.example.com/report?x")),
        with_claims(&|claims| drop(claims.as_object_mut().unwrap().remove("payer"))),
        good[..good.len() - 2].to_owned(),
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "not a proof".to_owned(),
        "a".repeat(8_193),
    ];
    let read = |text: String| {
        let stated = read_unchecked(&text).ok();
        let signed = keys.read(&text).is_ok();
        json!({ "proof": text, "stated": stated, "signed": signed })
    };
    json!({ "jwks": jwks, "texts": texts.map(read) })
}

/// Ids of the servers' scheme, spelled out: `inv_` and hex of expiry, nonce and a tag over both and the terms.
fn issued_invoices() -> Vec<Value> {
    let table = [
        (
            "x402_provider_a",
            "GET https://api.example.com/report",
            "0.05",
            PAYEE,
            "devnet",
            1_700_000_000_u64,
            7_u8,
        ),
        (
            "x402_provider_b",
            "GET https://api.example.com/report",
            "0.05",
            PAYEE,
            "devnet",
            1_700_000_000,
            7,
        ),
        (
            "x402_provider_a",
            "POST https://api.example.com/report",
            "0.05",
            PAYEE,
            "devnet",
            1_700_000_000,
            7,
        ),
        (
            "x402_provider_a",
            "GET https://api.example.com/report",
            "0.050000000000000001",
            PAYEE,
            "mainnet",
            1_700_000_001,
            8,
        ),
        (
            "x402_provider_a",
            "GET https://api.example.com/report",
            "1",
            TOKEN,
            "eip155:8453",
            0,
            255,
        ),
    ];
    let issue = |(key, resource, price, pay_to, network, expires_at, nonce): (
        &str,
        &str,
        &str,
        &str,
        &str,
        u64,
        u8,
    )| {
        let derived = sign(key.as_bytes(), b"x402-server invoice key v1");
        let amount: Amount = price.parse().unwrap();
        let units: U256 = amount.base_units();
        let payee: Address = pay_to.parse().unwrap();
        let chain: Network = network.parse().unwrap();
        let nonce = [nonce; 12];
        let signed = [expires_at.to_be_bytes().as_slice(), &nonce].concat();
        let terms = [
            &units.to_be_bytes::<32>(),
            payee.as_slice(),
            &chain.chain_id().to_be_bytes(),
            resource.as_bytes(),
        ];
        let tag = sign(&derived, &[signed.as_slice(), &terms.concat()].concat());
        json!({
            "apiKey": key, "resource": resource, "price": price, "payTo": pay_to, "network": network,
            "expiresAt": expires_at, "nonce": hex::encode(nonce),
            "invoiceId": format!("inv_{}{}", hex::encode(&signed), hex::encode(&tag[..16])),
        })
    };
    table.into_iter().map(issue).collect()
}

fn sign(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
        .as_ref()
        .to_vec()
}
