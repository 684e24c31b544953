use alloy_primitives::{B256, address};
use jsonwebtoken::jwk::JwkSet;

use super::*;
use crate::network::Network;

fn claims() -> ProofClaims {
    ProofClaims {
        iss: "http://127.0.0.1:4020".into(),
        sub: "pay_1".into(),
        iat: 1_700_000_000,
        exp: 1_700_086_400,
        invoice_id: "inv_1".parse().unwrap(),
        amount: "0.05".parse().unwrap(),
        asset: address!("8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF"),
        pay_to: address!("00000000000000000000000000000000000000aa"),
        payer: address!("00000000000000000000000000000000000000bb"),
        network: Network::DEVNET,
        tx_hash: B256::repeat_byte(7),
        log_index: 3,
        block_number: 9,
        resource: "GET http://127.0.0.1/report".parse().unwrap(),
    }
}

fn signer(seed: u8) -> ProofSigner {
    ProofSigner::from_seed(&[seed; 32]).unwrap()
}

fn keys(signers: &[&ProofSigner]) -> ProofKeys {
    ProofKeys::from_jwks(&JwkSet {
        keys: signers
            .iter()
            .map(|signer| signer.public_key().clone())
            .collect(),
    })
}

#[test]
fn a_signed_proof_reads_back_as_it_was() {
    let signer = signer(1);
    let proof = signer.sign(&claims()).unwrap();
    assert_eq!(keys(&[&signer]).read(&proof).unwrap(), claims());
}

#[test]
fn the_jwks_round_trips_as_json_and_shows_no_private_key() {
    let signer = signer(1);
    let json = serde_json::to_value(JwkSet {
        keys: vec![signer.public_key().clone()],
    })
    .unwrap();
    assert_eq!(json["keys"][0]["crv"], "Ed25519");
    assert!(json["keys"][0].get("d").is_none());
    let jwks: JwkSet = serde_json::from_value(json).unwrap();
    let proof = signer.sign(&claims()).unwrap();
    assert!(ProofKeys::from_jwks(&jwks).read(&proof).is_ok());
}

#[test]
fn a_proof_of_another_key_is_refused() {
    let proof = signer(2).sign(&claims()).unwrap();
    assert!(matches!(
        keys(&[&signer(1)]).read(&proof),
        Err(ProofError::UnknownKey)
    ));
}

#[test]
fn the_key_that_a_proof_names_is_read_the_usual_way_and_the_long_way() {
    let signer = signer(1);
    let keys = keys(&[&signer]);
    let proof = signer.sign(&claims()).unwrap();
    let kid = signer.public_key().common.key_id.clone().unwrap();
    assert_eq!(keys.named_key(&proof).unwrap(), kid);
    // The same header with its fields in another order.
    let header = format!(r#"{{"kid":"{kid}","alg":"EdDSA","typ":"{TYPE}"}}"#);
    let header = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header);
    let (_, rest) = proof.split_once('.').unwrap();
    assert_eq!(keys.named_key(&format!("{header}.{rest}")).unwrap(), kid);
}

#[test]
fn an_issued_proof_needs_its_key_published_and_its_form_right() {
    let (old, new) = (signer(1), signer(2));
    let proof = old.sign(&claims()).unwrap();
    assert_eq!(keys(&[&old]).read_issued(&proof).unwrap(), claims());
    assert!(matches!(
        keys(&[&new]).read_issued(&proof),
        Err(ProofError::UnknownKey)
    ));
    assert!(keys(&[&old]).read_issued("not a proof").is_err());
}

#[test]
fn a_changed_character_is_refused() {
    let signer = signer(1);
    let keys = keys(&[&signer]);
    let proof = signer.sign(&claims()).unwrap();
    for position in (0..proof.len()).step_by(7) {
        let mut changed = proof.clone().into_bytes();
        changed[position] = if changed[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        let changed = String::from_utf8(changed).unwrap();
        if let Ok(read) = keys.read(&changed) {
            panic!("accepted a proof changed at {position}: {read:?}");
        }
    }
}

#[test]
fn a_proof_cannot_choose_how_it_is_checked() {
    let signer = signer(1);
    let keys = keys(&[&signer]);
    let body = signer.sign(&claims()).unwrap();
    let payload = body.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"x402-proof+jwt","kid":"x"} and {"alg":"HS256",…}
    for header in [
        "eyJhbGciOiJub25lIiwidHlwIjoieDQwMi1wcm9vZitqd3QiLCJraWQiOiJ4In0",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6Ing0MDItcHJvb2Yrand0Iiwia2lkIjoieCJ9",
    ] {
        assert!(keys.read(&format!("{header}.{payload}.")).is_err());
    }
    for text in ["", ".", "..", "a.b.c", &"a".repeat(MAX_LEN + 1)] {
        assert!(keys.read(text).is_err(), "{text:.20}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics_the_reader(text in ".{0,300}") {
        let _ = keys(&[&signer(1)]).read(&text);
        let _ = read::read_unchecked(&text);
    }
}
