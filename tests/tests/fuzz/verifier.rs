//! The whole verifier, a process of its own, over HTTP: an answer to every body, never a 5xx, a verdict for each line, and
//! a yes only to a proof that is in the body as it was signed.

use std::sync::Arc;

use proptest::prelude::*;
use reqwest::Client;
use serde_json::{Value, json};
use x402_tests::{
    market::{
        gateway::Gateway,
        index::Index,
        payments::{Paid, Payments, invoice_id, payment_id},
        verifier::Verifier,
    },
    shared::{run, shared},
};

use crate::mutation::{field_mutation, fields, mutation};

const EXE: &str = env!("CARGO_BIN_EXE_x402-under-test");

/// Payments that are verified when nobody changes the request.
const PAYMENTS: u64 = 8;

/// Lines and items of one body.
const MANY: usize = 5;

struct Stand {
    payments: Arc<Payments>,
    proofs: Vec<String>,
    verifier: Verifier,
    client: Client,
}

async fn start(name: &str) -> Stand {
    let shared = shared(EXE).await;
    let payments = Payments::to(1, Paid::EachSeller);
    let proofs = payments.proofs(0..PAYMENTS);
    // Half of the digests are told: the others' signatures have to be checked.
    let gateway = Gateway::start(&payments, &proofs[..proofs.len() / 2]);
    let index = Index::create(&shared.clickhouse, name).await;
    index.add(&payments.transfers(0..PAYMENTS)).await;
    let folder = std::env::temp_dir();
    let url = &shared.clickhouse.url;
    let verifier = Verifier::start(EXE, folder.to_str().unwrap(), url, &gateway, &index, &[]);
    Stand {
        verifier: verifier.await,
        payments,
        proofs,
        client: Client::new(),
    }
}

impl Stand {
    fn request(&self, number: usize) -> Value {
        let id = u64::try_from(number).unwrap();
        json!({
            "proof": self.proofs[number], "invoiceId": invoice_id(id), "amount": "0.05", "claim": false,
            "payTo": self.payments.pay_to(id).to_checksum(None), "network": "devnet", "minConfirmations": 1,
        })
    }

    async fn send(&self, path: &str, media: &str, body: Vec<u8>) -> (u16, String) {
        let url = format!("http://{}{path}", self.verifier.address);
        let request = self.client.post(url).header("content-type", media);
        let key = self.payments.sellers[0].key.expose();
        let response = request.bearer_auth(key).body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// What has to hold of every answer there is.
    fn holds(&self, body: &[u8], status: u16, answer: &str) {
        let text = String::from_utf8_lossy(body);
        assert!(
            matches!(status, 200 | 400 | 413 | 415 | 429),
            "{status} {answer} to {text}"
        );
        for verified in answer.split("\"verified\":true").skip(1) {
            let paid = |number: &usize| {
                let id = payment_id(u64::try_from(*number).unwrap());
                verified.starts_with(&format!(",\"paymentId\":\"{id}\""))
            };
            let number = (0..self.proofs.len()).find(paid).unwrap();
            assert!(text.contains(&self.proofs[number]), "{answer} to {text}");
        }
    }

    fn ask(&self, path: &str, media: &str, body: &[u8]) -> (u16, String) {
        let (status, answer) = run(self.send(path, media, body.to_vec()));
        self.holds(body, status, &answer);
        (status, answer)
    }
}

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

#[test]
fn a_hostile_body_gets_an_answer_and_never_a_wrong_yes() {
    let stand = run(start("hostile_bodies"));
    let mutations = || prop::collection::vec(mutation(), 1..4);
    proptest!(|(which in 0..8_usize, other in 0..8_usize, mutations in mutations(), batch: bool)| {
        let (mut body, other) = (stand.request(which).to_string(), stand.request(other).to_string());
        if batch {
            body = format!(r#"{{"items":[{body},{other}]}}"#);
        }
        let changed = mutations.iter().fold(body.into_bytes(), |text, mutation| {
            mutation.apply(text, other.as_bytes())
        });
        stand.ask(if batch { "/verify/batch" } else { "/verify" }, JSON, &changed);
    });
}

#[test]
fn a_hostile_field_gets_an_answer_and_never_a_wrong_yes() {
    let stand = run(start("hostile_fields"));
    proptest!(|(which in 0..8_usize, mutation in field_mutation())| {
        let changed = mutation.apply(&fields(&stand.request(which)));
        stand.ask("/verify", JSON, changed.as_bytes());
    });
}

#[test]
fn each_line_gets_one_answer_whatever_is_in_it() {
    let stand = run(start("hostile_lines"));
    let line = || (0..8_usize, prop::collection::vec(mutation(), 0..3));
    proptest!(|(lines in prop::collection::vec(line(), 1..MANY), ends: bool)| {
        let mut body = Vec::new();
        for (which, mutations) in &lines {
            let line = stand.request(*which).to_string().into_bytes();
            let line = mutations.iter().fold(line, |line, mutation| mutation.apply(line, b"\n{}\n"));
            body.extend(line);
            body.push(b'\n');
        }
        if !ends {
            body.pop();
        }
        let (status, answer) = stand.ask("/verify/batch", LINES, &body);
        let filled = body.split(|byte| *byte == b'\n');
        let filled = filled.filter(|line| !line.trim_ascii().is_empty()).count();
        prop_assert_eq!(status, 200);
        prop_assert_eq!(answer.lines().count(), filled, "{} to {}", answer, String::from_utf8_lossy(&body));
    });
}

#[test]
fn requests_that_nobody_touched_are_verified() {
    let stand = run(start("untouched"));
    let requests = (0..stand.proofs.len()).map(|number| stand.request(number).to_string());
    let requests: Vec<String> = requests.collect();
    for media in [JSON, LINES] {
        let body = match media {
            JSON => format!(r#"{{"items":[{}]}}"#, requests.join(",")),
            _ => requests.join("\n"),
        };
        let (status, answer) = stand.ask("/verify/batch", media, body.as_bytes());
        let verified = answer.matches("\"verified\":true").count();
        assert_eq!((status, verified), (200, stand.proofs.len()), "{answer}");
    }
}
