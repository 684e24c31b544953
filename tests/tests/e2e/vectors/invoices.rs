//! Invoices: the hash that binds a payment to one, and the ids that servers issue.

use alloy::primitives::{Address, hex};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use x402_schemas::{amount::Amount, invoice::Invoice, network::Network};

use super::{PAYEE, TOKEN};

pub(super) fn invoice_hashes() -> Vec<Value> {
    let report = "GET https://api.example.com/report";
    let table = [
        ("inv_abc123xyz", PAYEE, "0.05", report, "mainnet", TOKEN),
        (
            "inv_abc123xyz",
            PAYEE,
            "0.050000000000000001",
            report,
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
        ("inv_abc123xyz", PAYEE, "0.05", report, "devnet", TOKEN),
        ("inv_abc123xyz", TOKEN, "0.05", report, "mainnet", PAYEE),
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

/// Ids of the servers' scheme, spelled out: `inv_` and hex of expiry, nonce and a tag over both and the terms.
pub(super) fn issued_invoices() -> Vec<Value> {
    let first = json!({
        "apiKey": "x402_provider_a", "resource": "GET https://api.example.com/report", "price": "0.05", "payTo": PAYEE,
        "network": "devnet", "expiresAt": 1_700_000_000_u64, "nonce": "07".repeat(12),
    });
    let changes = [
        json!({}),
        json!({ "apiKey": "x402_provider_b" }),
        json!({ "resource": "POST https://api.example.com/report" }),
        json!({ "price": "0.050000000000000001", "network": "mainnet", "expiresAt": 1_700_000_001_u64 }),
        json!({ "price": "1", "payTo": TOKEN, "network": "eip155:8453", "expiresAt": 0, "nonce": "ff".repeat(12) }),
    ];
    changes
        .into_iter()
        .map(|change| issued(&first, &change))
        .collect()
}

/// The terms with a change, and the id that they are issued under.
fn issued(first: &Value, change: &Value) -> Value {
    let mut vector = first.clone();
    for (name, value) in change.as_object().unwrap() {
        vector[name] = value.clone();
    }
    let text = |name: &str| vector[name].as_str().unwrap();
    let price: Amount = text("price").parse().unwrap();
    let pay_to: Address = text("payTo").parse().unwrap();
    let network: Network = text("network").parse().unwrap();
    let expires_at = vector["expiresAt"].as_u64().unwrap().to_be_bytes();
    let signed = [expires_at.as_slice(), &hex::decode(text("nonce")).unwrap()].concat();
    let price = price.base_units().to_be_bytes::<32>();
    let terms = [
        price.as_slice(),
        pay_to.as_slice(),
        &network.chain_id().to_be_bytes(),
        text("resource").as_bytes(),
    ];
    let key = sign(text("apiKey").as_bytes(), b"x402-server invoice key v1");
    let tag = sign(&key, &[signed.as_slice(), &terms.concat()].concat());
    let id = format!("inv_{}{}", hex::encode(&signed), hex::encode(&tag[..16]));
    vector["invoiceId"] = json!(id);
    vector
}

fn sign(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
        .as_ref()
        .to_vec()
}
