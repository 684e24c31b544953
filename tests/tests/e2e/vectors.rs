//! `tests/vectors.json`: what the protocol's texts mean, for every implementation of it.
//!
//! The Rust code writes the file and is compared with it; the TypeScript packages read it in their own tests. Invoice ids are
//! spelled out by hand here, since three implementations have to agree on them: this one, `x402-server` and `@x402/server`.

use std::{fs, path::Path};

use serde_json::{Value, json};
use x402_schemas::codes::{Denial, PaymentFailure, Refusal};

use self::{
    headers::payment_required,
    invoices::{invoice_hashes, issued_invoices},
    proofs::proofs,
    texts::{addresses, amounts, invoice_ids, networks, resource_texts, resources},
};

/// Amounts, addresses, networks, resources, invoice ids.
mod texts;

/// The headers of 402 answers.
mod headers;

/// Proofs, and what is none.
mod proofs;

/// Invoices: their hashes and the ids that servers issue.
mod invoices;

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
