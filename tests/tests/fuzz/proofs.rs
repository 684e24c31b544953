//! The reader of proofs: never a panic, and nothing is a proof but the very texts that were signed.

use std::sync::LazyLock;

use alloy::primitives::{Address, B256};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use x402_schemas::{
    network::Network,
    proof::{ProofClaims, ProofKeys, ProofSigner, read::read_unchecked},
};

use crate::mutation::{FieldMutation, Mutation, field_mutation, fields, mutation};

/// A gateway with two published keys, and a stranger with one.
struct Gateway {
    signers: [ProofSigner; 2],
    stranger: ProofSigner,
    keys: ProofKeys,
    issued: Vec<String>,
}

static GATEWAY: LazyLock<Gateway> = LazyLock::new(|| {
    let signer = |seed: u8| ProofSigner::from_seed(&[seed; 32]).unwrap();
    let signers = [signer(1), signer(2)];
    let jwks = json!({ "keys": [signers[0].public_key(), signers[1].public_key()] });
    let issued = (0..8).map(|number| {
        signers[usize::from(number) % 2]
            .sign(&claims(number))
            .unwrap()
    });
    Gateway {
        issued: issued.collect(),
        keys: ProofKeys::from_jwks(&serde_json::from_value(jwks).unwrap()),
        signers,
        stranger: signer(3),
    }
});

fn claims(number: u8) -> ProofClaims {
    ProofClaims {
        iss: "https://gateway.example.com".into(),
        sub: format!("pay_{number}"),
        iat: 1_700_000_000,
        exp: 1_700_086_400,
        invoice_id: format!("inv_{number}").parse().unwrap(),
        amount: "0.05".parse().unwrap(),
        asset: Address::repeat_byte(9),
        pay_to: Address::repeat_byte(1),
        payer: Address::repeat_byte(2),
        network: Network::DEVNET,
        tx_hash: B256::repeat_byte(number),
        log_index: 3,
        block_number: 9,
        resource: "GET https://api.example.com/report".parse().unwrap(),
    }
}

impl Gateway {
    /// What has to hold of every text there is.
    fn holds(&self, text: &str) {
        // Whatever it states without a signature, it is read or refused.
        drop(read_unchecked(text));
        drop(self.keys.read_issued(text));
        if let Ok(read) = self.keys.read(text) {
            let signed = self.issued.iter().position(|issued| issued == text);
            let signed = signed.unwrap_or_else(|| panic!("taken for a proof: {text}"));
            assert_eq!(read, claims(u8::try_from(signed).unwrap()));
        }
    }

    fn parts(&self, number: usize) -> [&str; 3] {
        let parts: Vec<&str> = self.issued[number % self.issued.len()].split('.').collect();
        parts.try_into().unwrap()
    }
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Headers that try to choose how the proof is checked.
fn header() -> impl Strategy<Value = String> {
    let word = |words: &'static [&'static str]| prop::sample::select(words);
    let alg = word(&[
        "\"none\"",
        "\"None\"",
        "\"HS256\"",
        "\"ES256\"",
        "\"RS256\"",
        "\"EdDSA\"",
        "\"eddsa\"",
        "\"Ed25519\"",
        "null",
        "[\"EdDSA\"]",
    ]);
    let typ = word(&[
        "\"x402-proof+jwt\"",
        "\"JWT\"",
        "\"X402-PROOF+JWT\"",
        "null",
    ]);
    let more = word(&[
        "",
        ",\"alg\":\"EdDSA\"",
        ",\"alg\":\"none\"",
        ",\"crit\":[\"b64\"],\"b64\":false",
        ",\"jwk\":{\"kty\":\"OKP\"}",
        ",\"jku\":\"https://x.io\"",
        ",\"x5c\":[]",
        ",\"zip\":\"DEF\"",
        ",\"cty\":\"JWT\"",
    ]);
    (alg, typ, 0..4_usize, more).prop_map(|(alg, typ, key, more)| {
        let kid = |signer: &ProofSigner| json!(signer.public_key().common.key_id).to_string();
        let kid = match key {
            0 | 1 => kid(&GATEWAY.signers[key]),
            2 => kid(&GATEWAY.stranger),
            _ => "\"../../etc/passwd\"".to_owned(),
        };
        format!("{{\"alg\":{alg},\"typ\":{typ},\"kid\":{kid}{more}}}")
    })
}

proptest! {
    #[test]
    fn a_proof_that_was_changed_anywhere_is_none(
        which in 0..8_usize, other in 0..8_usize, mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut text = GATEWAY.issued[which].clone().into_bytes();
        for mutation in &mutations {
            text = mutation.apply(text, GATEWAY.issued[other].as_bytes());
        }
        if let Ok(text) = String::from_utf8(text) {
            GATEWAY.holds(&text);
        }
    }

    #[test]
    fn a_proof_never_chooses_how_it_is_checked(which in 0..8_usize, header in header(), signed in 0..3_u8) {
        let [_, payload, signature] = GATEWAY.parts(which);
        let signature = match signed {
            0 => signature,
            1 => "",
            _ => "AAAA",
        };
        let text = format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(header));
        GATEWAY.holds(&text);
    }

    #[test]
    fn claims_that_were_changed_are_not_believed(which in 0..8_usize, mutation in field_mutation()) {
        let [header, payload, signature] = GATEWAY.parts(which);
        let changed = mutation.apply(&fields(&decoded(payload)));
        GATEWAY.holds(&format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(changed)));
    }

    #[test]
    fn claims_that_a_stranger_signed_are_not_believed(which in 0..8_u8, pretends in 0..2_usize) {
        let foreign = GATEWAY.stranger.sign(&claims(which)).unwrap();
        GATEWAY.holds(&foreign);
        // The same under the header of a key that is published.
        let [header, ..] = GATEWAY.parts(pretends);
        let (_, rest) = foreign.split_once('.').unwrap();
        GATEWAY.holds(&format!("{header}.{rest}"));
    }

    #[test]
    fn parts_of_several_proofs_make_none(parts: [u8; 3], dots in 1..5_usize) {
        let [a, b, c] = parts.map(usize::from);
        let [header, ..] = GATEWAY.parts(a);
        let [_, payload, _] = GATEWAY.parts(b);
        let [.., signature] = GATEWAY.parts(c);
        let dots = ".".repeat(dots);
        GATEWAY.holds(&format!("{header}{dots}{payload}{dots}{signature}"));
        GATEWAY.holds(&format!("{payload}.{header}.{signature}"));
    }

    #[test]
    fn the_same_proof_in_another_encoding_is_none(which in 0..8_usize, part in 0..3_usize, how in 0..5_usize) {
        let parts = GATEWAY.parts(which);
        let bytes = URL_SAFE_NO_PAD.decode(parts[part]).unwrap();
        let encoded = match how {
            0 => URL_SAFE.encode(&bytes),
            1 => STANDARD.encode(&bytes),
            2 => STANDARD_NO_PAD.encode(&bytes),
            3 => trailing_bits(parts[part]),
            _ => format!("{}\n", parts[part]),
        };
        let mut parts = parts.map(str::to_owned);
        parts[part] = encoded;
        GATEWAY.holds(&parts.join("."));
    }

    #[test]
    fn no_text_is_a_proof(text in "\\PC{0,200}") {
        GATEWAY.holds(&text);
    }
}

/// The last letter with the bits set that decoding throws away.
fn trailing_bits(part: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = part.split_at(part.len() - 1);
    let value = LETTERS
        .iter()
        .position(|letter| *letter == last.as_bytes()[0]);
    let changed = LETTERS[(value.unwrap() | 1) % LETTERS.len()];
    format!("{rest}{}", char::from(changed))
}

#[test]
fn a_proof_that_nobody_touched_is_one() {
    for (number, issued) in (0..).zip(&GATEWAY.issued) {
        assert_eq!(GATEWAY.keys.read(issued).unwrap(), claims(number));
        GATEWAY.holds(issued);
    }
    let untouched = Mutation::Cut(1.0, 1).apply(b"abc".to_vec(), b"");
    assert_eq!(untouched, b"abc");
    let missing = FieldMutation::Missing(0.0).apply(&[("a".into(), "1".into())]);
    assert_eq!(missing, "{}");
}
