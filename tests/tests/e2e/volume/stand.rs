//! A verifier that is a process of its own, its index and those who ask it.

use std::sync::Arc;

use serde_json::{Value, json};
use x402::local::clickhouse::ClickHouse;
use x402_tests::{
    market::{
        gateway::Gateway,
        index::Index,
        payments::{Payments, Seller, invoice_id, payment_id},
        verifier::Verifier,
    },
    raw,
};

use crate::EXE;

/// What a caller was told: a status, a verdict, and when to come back.
pub(super) struct Told {
    pub(super) status: u16,
    retry_after: Option<String>,
    pub(super) body: Value,
}

/// A verifier, its index and those who ask it.
pub(super) struct Stand {
    pub(super) payments: Arc<Payments>,
    pub(super) proofs: Vec<String>,
    pub(super) gateway: Gateway,
    pub(super) index: Arc<Index>,
    pub(super) verifier: Verifier,
    client: reqwest::Client,
}

impl Stand {
    pub(super) async fn start(
        clickhouse: &ClickHouse,
        name: &str,
        payments: Arc<Payments>,
        count: u64,
        flags: &[&str],
    ) -> Self {
        let proofs = payments.proofs(0..count);
        let gateway = Gateway::start(&payments, &proofs);
        let index = Index::create(clickhouse, name).await;
        let transfers = payments.transfers(0..count);
        index.add(&transfers).await;
        let folder = std::env::temp_dir();
        let folder = folder.to_str().unwrap();
        let verifier = Verifier::start(EXE, folder, &clickhouse.url, &gateway, &index, flags).await;
        Self {
            payments,
            proofs,
            gateway,
            index,
            verifier,
            client: reqwest::Client::new(),
        }
    }

    /// Asks about a payment as a provider; `None` when there was no answer at all.
    pub(super) async fn ask(&self, number: u64, seller: &Seller, changes: Value) -> Option<Told> {
        let proof = &self.proofs[usize::try_from(number).unwrap()];
        let mut body = json!({ "proof": proof, "invoiceId": invoice_id(number) });
        body.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        let url = format!("http://{}/verify", self.verifier.address);
        let request = self.client.post(url).bearer_auth(seller.key.expose());
        let response = request.json(&body).send().await.ok()?;
        let retry_after = response.headers().get("retry-after");
        Some(Told {
            status: response.status().as_u16(),
            retry_after: retry_after.map(|value| value.to_str().unwrap().to_owned()),
            body: response.json().await.ok()?,
        })
    }

    /// What the payment's provider is told of its revoked claims.
    pub(super) async fn revocations(&self, number: u64) -> Vec<Value> {
        let url = format!("http://{}/revocations", self.verifier.address);
        let key = self.payments.seller(number).key.expose();
        let (status, body) = raw::get(&url, Some(&key)).await;
        assert_eq!(status, 200, "{body}");
        body["revocations"].as_array().unwrap().clone()
    }

    /// The same as its own provider, without using it up.
    pub(super) async fn look(&self, number: u64) -> Told {
        let seller = self.payments.seller(number);
        let told = self.ask(number, seller, json!({ "claim": false })).await;
        told.unwrap()
    }
}

impl Told {
    pub(super) fn is_verified(&self, number: u64) -> bool {
        self.status == 200
            && self.body["verified"] == true
            && self.body["paymentId"] == payment_id(number)
    }

    /// No verdict, and when to ask again.
    pub(super) fn is_away(&self) -> bool {
        self.status == 503 && self.retry_after.is_some() && self.body["error"].is_string()
    }
}
