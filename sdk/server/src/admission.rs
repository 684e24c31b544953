//! In: what a request presents. Out: a verified payment, or why it is turned away.
//!
//! Fails closed: whatever is not a clear yes turns the request away, with a new invoice when the
//! proof is refused, and without one when paying again would be wrong.

use aws_lc_rs::rand;
use http::{HeaderMap, HeaderValue, Method};
use opentelemetry::context::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use url::Url;
use x402_schemas::{
    amount::Amount,
    api::provider::{VerifyRequest, VerifyResponse},
    codes::Refusal,
    invoice::{InvoiceId, Resource, header},
    proof::read::read_unchecked,
};

use crate::{
    answer::{Demand, TurnedAway},
    attempts::Attempt,
    confirm::Unconfirmed,
    invoice::{NONCE_LEN, Standing, Terms},
    judge::judge,
    offline::{Offhand, Offline},
    paid_api::Inner,
    payment::VerifiedPayment,
};

const ATTEMPT_LEN: usize = 16;

/// What one priced route sells.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) price: Amount,
    pub(crate) description: HeaderValue,
}

/// A request, as far as its admission depends on it.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) proof: Presented,
}

/// What is in `X-402-Proof`.
#[derive(Debug)]
pub(crate) enum Presented {
    Nothing,
    Proof(String),
    Garbage,
}

impl Presented {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::PROOF).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Nothing,
            (Some(value), None) => value
                .to_str()
                .map_or(Self::Garbage, |text| Self::Proof(text.to_owned())),
            (Some(_), Some(_)) => Self::Garbage,
        }
    }
}

impl Inner {
    /// Judges a request. The attempt has to be told how serving went.
    pub(crate) async fn admit(
        &self,
        offer: &Offer,
        ask: Ask,
        now: u64,
    ) -> Result<(VerifiedPayment, Attempt), TurnedAway> {
        let terms = self.terms(offer, &ask).ok_or(TurnedAway::NotCanonical)?;
        let refuse = |refusal| self.demand(offer, &terms, refusal, now);
        let proof = match ask.proof {
            Presented::Nothing => return Err(refuse(None)),
            Presented::Garbage => return Err(refuse(Some(Refusal::InvalidProof))),
            Presented::Proof(proof) => proof,
        };
        // Unchecked, to learn which invoice it is meant for; the verifier says whether it is true.
        let Ok(claims) = read_unchecked(&proof) else {
            return Err(refuse(Some(Refusal::InvalidProof)));
        };
        match self.keys.standing(&claims.invoice_id, &terms, now) {
            Standing::Redeemable => (),
            Standing::Ended => return Err(refuse(Some(Refusal::ProofExpired))),
            Standing::NotOurs => return Err(refuse(Some(Refusal::InvoiceMismatch))),
        }
        let fresh_name = random::<ATTEMPT_LEN>().ok_or(TurnedAway::Unavailable)?;
        let fresh_name = alloy_primitives::hex::encode(fresh_name);
        let attempt = self.attempts.begin(claims.invoice_id.clone(), fresh_name);
        let question = self.question(proof, claims.invoice_id, &terms, &attempt);
        if let Some(offline) = &self.offline {
            let repeats = attempt.is_taken_over();
            match offline
                .consider(&self.verifier, &question, &terms, repeats, now)
                .await
            {
                Offhand::Serve(payment, slot) => {
                    self.confirm_later(offline, question, terms, &payment, slot);
                    return Ok((*payment, attempt));
                }
                Offhand::Used => {
                    attempt.refused();
                    return Err(refuse(Some(Refusal::AlreadyClaimed)));
                }
                Offhand::Ask => (),
            }
        }
        match self.verifier.verify(&question).await {
            Ok(VerifyResponse::Verified(answer)) => {
                match judge(
                    &question.invoice_id,
                    &terms,
                    self.min_confirmations,
                    *answer,
                ) {
                    Ok(payment) => Ok((payment, attempt)),
                    Err(contradiction) => Err(not_believed(&contradiction)),
                }
            }
            Ok(VerifyResponse::Refused(refused)) => {
                attempt.refused();
                if refused.error_code == Refusal::PaymentPending {
                    let retry_after_ms = refused.retry_after_ms;
                    return Err(TurnedAway::NotYet { retry_after_ms });
                }
                Err(refuse(Some(refused.error_code)))
            }
            Err(error) => Err(not_believed(&error)),
        }
    }

    /// Has the verifier confirm, and claim, what is served meanwhile.
    fn confirm_later(
        &self,
        offline: &Offline,
        question: VerifyRequest,
        terms: Terms,
        payment: &VerifiedPayment,
        slot: OwnedSemaphorePermit,
    ) {
        let unconfirmed = Unconfirmed {
            question,
            terms,
            min_confirmations: self.min_confirmations,
            payment: payment.clone(),
            slot,
        };
        let hook = offline.config().hook.clone();
        let settling = unconfirmed.settle(self.verifier.clone(), hook);
        tokio::spawn(settling.with_current_context());
    }

    /// What this request costs, or nothing when it cannot be named.
    fn terms(&self, offer: &Offer, ask: &Ask) -> Option<Terms> {
        Some(Terms {
            resource: resource(&self.public_url, ask)?,
            price: offer.price,
            pay_to: self.pay_to,
            network: self.network,
        })
    }

    fn question(
        &self,
        proof: String,
        invoice_id: InvoiceId,
        terms: &Terms,
        attempt: &Attempt,
    ) -> VerifyRequest {
        VerifyRequest {
            proof,
            invoice_id,
            amount: Some(terms.price),
            pay_to: Some(terms.pay_to),
            network: Some(terms.network),
            resource: Some(terms.resource.clone()),
            min_confirmations: Some(self.min_confirmations),
            finalized: None,
            wait_ms: None,
            claim: Some(true),
            attempt: Some(attempt.name().to_owned()),
        }
    }

    /// A new invoice for these terms.
    fn demand(
        &self,
        offer: &Offer,
        terms: &Terms,
        refusal: Option<Refusal>,
        now: u64,
    ) -> TurnedAway {
        let expires_at = now.saturating_add(self.invoice_ttl.as_secs());
        let issued =
            random::<NONCE_LEN>().and_then(|nonce| self.keys.issue(terms, expires_at, nonce).ok());
        let Some(invoice_id) = issued else {
            tracing::error!("no invoice can be issued: the system gives no random bytes");
            return TurnedAway::Unavailable;
        };
        let hash = self
            .domain
            .hash(&invoice_id, terms.pay_to, terms.price, &terms.resource);
        TurnedAway::Pay(Box::new(Demand {
            refusal,
            signature: self.signer.sign(hash),
            invoice_id,
            expires_at,
            terms: terms.clone(),
            description: offer.description.clone(),
        }))
    }
}

/// The request as its buyer names it. A path that the URL standard spells otherwise is nobody's:
/// the buyer would pay for one spelling and be served for another.
fn resource(public_url: &Url, ask: &Ask) -> Option<Resource> {
    let path = format!("{}{}", public_url.path().trim_end_matches('/'), ask.path);
    let mut url = public_url.clone();
    url.set_path(&path);
    if url.path() == path {
        Resource::of(ask.method.as_str(), &url).ok()
    } else {
        None
    }
}

/// No answer, or one that contradicts the question: the operator reads why, the buyer waits.
fn not_believed(error: &(dyn std::error::Error + 'static)) -> TurnedAway {
    tracing::error!(error, "a proof could not be verified");
    TurnedAway::Unavailable
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(public_url: &str, path: &str) -> Option<String> {
        let ask = Ask {
            method: Method::GET,
            path: path.to_owned(),
            proof: Presented::Nothing,
        };
        resource(&public_url.parse().unwrap(), &ask).map(String::from)
    }

    #[test]
    fn a_request_is_named_as_its_buyer_sees_it() {
        for (public_url, path, expected) in [
            ("https://x.io", "/report", "GET https://x.io/report"),
            ("https://x.io/", "/", "GET https://x.io/"),
            ("https://x.io/v1", "/report", "GET https://x.io/v1/report"),
            (
                "https://x.io/v1/",
                "/report/",
                "GET https://x.io/v1/report/",
            ),
            (
                "http://127.0.0.1:80",
                "/a%2Fb",
                "GET http://127.0.0.1/a%2Fb",
            ),
            ("https://x.io", "//y.io/a", "GET https://x.io//y.io/a"),
        ] {
            assert_eq!(named(public_url, path).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_path_in_another_spelling_is_not_sold() {
        for path in [
            "/a/../b",
            "/./a",
            "/a/%2e%2e/b",
            "/a\"b",
            "*",
            "/a\\b",
            "/é",
        ] {
            assert_eq!(named("https://x.io", path), None, "{path}");
        }
    }

    #[test]
    fn one_proof_is_read_and_two_are_garbage() {
        let mut headers = HeaderMap::new();
        assert!(matches!(Presented::read(&headers), Presented::Nothing));
        headers.insert(header::PROOF, HeaderValue::from_static("a.b.c"));
        assert!(matches!(Presented::read(&headers), Presented::Proof(text) if text == "a.b.c"));
        headers.append(header::PROOF, HeaderValue::from_static("a.b.c"));
        assert!(matches!(Presented::read(&headers), Presented::Garbage));
        headers.insert(header::PROOF, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(matches!(Presented::read(&headers), Presented::Garbage));
    }
}
