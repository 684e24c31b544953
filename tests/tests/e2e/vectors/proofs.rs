//! Proofs, and what is none.

use alloy::primitives::{Address, B256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use x402_schemas::{
    network::Network,
    proof::{LIFETIME_SECONDS, ProofClaims, ProofKeys, ProofSigner, TYPE, read::read_unchecked},
};

use super::{PAYEE, TOKEN};

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
pub(super) fn proofs() -> Value {
    let signer = ProofSigner::from_seed(&[1; 32]).unwrap();
    let jwks = json!({ "keys": [signer.public_key()] });
    let keys = ProofKeys::from_jwks(&serde_json::from_value(jwks.clone()).unwrap());
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
        good.split_at(good.len().saturating_sub(2)).0.to_owned(),
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "not a proof".to_owned(),
        "a".repeat(8_193),
    ];
    let read = |text: String| {
        let stated = read_unchecked(&text).ok();
        let vouched_for = keys.read(&text).is_ok();
        json!({ "proof": text, "stated": stated, "signed": vouched_for })
    };
    json!({ "jwks": jwks, "texts": texts.map(read) })
}
