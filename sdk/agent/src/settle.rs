//! In: a quote. Out: a settled payment with its proof.
//!
//! Asking twice to pay one quote never pays twice, so a lost answer is asked for again. What stays
//! unknown is reported as unknown: after one lost answer only the gateway's word about this very
//! quote ends the doubt.

use std::time::Duration;

use alloy_primitives::B256;
use tokio::time::{Instant, sleep};
use x402_schemas::{
    api::agent::PaymentView, codes::PaymentFailure, invoice::Invoice, network::Network,
    payment::PaymentStatus,
};

use crate::{
    errors::{FetchError, GatewayError, PayError, PayFailure},
    gateway::{Gateway, PayOutcome},
    proof::{PaidWith, Proof, ProofProblem},
    step::{Observer, Step},
};

/// How long the gateway is asked to wait for settlement within one `POST /pay`.
const GATEWAY_WAIT: Duration = Duration::from_secs(15);

/// How often `POST /pay` is sent for one quote when its answer is lost.
const MAX_TRIES: u32 = 4;

/// The pause before the second try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Whatever the gateway advises, payments are asked for neither faster nor slower than this.
const POLL_BOUNDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The pause between two looks when the gateway advises none.
const POLL_PAUSE: Duration = Duration::from_millis(500);

/// A payment that has been asked for.
pub(crate) struct Settling<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) observer: &'a Observer,
    pub(crate) invoice: Invoice,
    pub(crate) network: Network,
    pub(crate) deadline: Instant,
}

impl Settling<'_> {
    /// Pays the quote and waits for the proof.
    pub(crate) async fn pay(&self, quote_id: &str) -> Result<PaidWith, FetchError> {
        let asked = Instant::now();
        let paid = match self.ask_to_pay(quote_id).await? {
            PayOutcome::Settled(settled) => {
                self.paid(settled.payment_id, settled.tx_hash, &settled.proof)?
            }
            PayOutcome::Pending(pending) => {
                self.see_paying(&pending.payment_id, pending.tx_hash, asked);
                let advised = Duration::from_millis(pending.retry_after_ms);
                self.wait(pending.payment_id, pending.tx_hash, advised)
                    .await?
            }
        };
        self.see_paid(&paid, asked);
        Ok(paid)
    }

    /// Goes on with a payment from where `view` shows it.
    pub(crate) async fn resume(&self, view: PaymentView) -> Result<PaidWith, FetchError> {
        let asked = Instant::now();
        let payment_id = view.payment_id.clone();
        let paid = match standing(view) {
            Standing::Settled { tx_hash, proof } => self.paid(payment_id, tx_hash, &proof)?,
            Standing::UnderWay { tx_hash } => self.wait(payment_id, tx_hash, POLL_PAUSE).await?,
            Standing::Failed(error) => return Err(FetchError::Pay(error)),
        };
        self.see_paid(&paid, asked);
        Ok(paid)
    }

    /// Looks at the payment until it has settled, failed, or the deadline has come.
    async fn wait(
        &self,
        payment_id: String,
        mut tx_hash: Option<B256>,
        first_pause: Duration,
    ) -> Result<PaidWith, FetchError> {
        let mut pause = first_pause.clamp(POLL_BOUNDS.0, POLL_BOUNDS.1);
        while pause <= self.left() {
            sleep(pause).await;
            let asked = Instant::now();
            match self.gateway.payment(&payment_id).await.map(standing) {
                Ok(Standing::Settled { tx_hash, proof }) => {
                    return self.paid(payment_id, tx_hash, &proof);
                }
                Ok(Standing::Failed(error)) => return Err(FetchError::Pay(error)),
                Ok(Standing::UnderWay { tx_hash: seen }) => {
                    tx_hash = seen.or(tx_hash);
                    pause = POLL_PAUSE;
                    self.see_paying(&payment_id, tx_hash, asked);
                }
                // Not knowing is not failing: the payment goes on without us.
                Err(error) if error.is_transient() => pause = POLL_BOUNDS.1,
                Err(error) => {
                    return Err(FetchError::Lookup {
                        payment_id,
                        source: error,
                    });
                }
            }
        }
        Err(FetchError::Pending {
            payment_id,
            tx_hash,
        })
    }

    async fn ask_to_pay(&self, quote_id: &str) -> Result<PayOutcome, FetchError> {
        let mut in_doubt = false;
        let mut tries_left = MAX_TRIES;
        let mut pause = FIRST_PAUSE;
        loop {
            let wait = self.left().min(GATEWAY_WAIT);
            let error = match self.gateway.pay(quote_id, wait).await {
                Ok(outcome) => return Ok(outcome),
                Err(PayError::Gateway(error)) => error,
                Err(failed @ PayError::Failed { .. }) => return Err(FetchError::Pay(failed)),
            };
            let lost = may_have_paid(&error);
            in_doubt |= lost;
            if !in_doubt {
                return Err(FetchError::Pay(PayError::Gateway(error)));
            }
            tries_left = tries_left.saturating_sub(1);
            if !lost || tries_left == 0 || self.left() < pause {
                return Err(FetchError::Unknown {
                    quote_id: quote_id.to_owned(),
                    source: error,
                });
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
    }

    fn paid(&self, payment_id: String, tx_hash: B256, proof: &str) -> Result<PaidWith, FetchError> {
        let fits = |proof: Proof| {
            let fits = proof.fits(&self.invoice, self.network) && proof.header().is_some();
            fits.then_some(proof).ok_or(ProofProblem::OtherInvoice)
        };
        match proof.parse().and_then(fits) {
            Ok(proof) => Ok(PaidWith {
                invoice: self.invoice.clone(),
                network: self.network,
                payment_id,
                tx_hash,
                proof,
            }),
            Err(source) => Err(FetchError::WrongProof { payment_id, source }),
        }
    }

    fn see_paying(&self, payment_id: &str, tx_hash: Option<B256>, asked: Instant) {
        self.observer.see(|| Step::Paying {
            payment_id: payment_id.to_owned(),
            tx_hash,
            took: asked.elapsed(),
        });
    }

    fn see_paid(&self, payment: &PaidWith, asked: Instant) {
        self.observer.see(|| Step::Paid {
            payment: Box::new(payment.clone()),
            took: asked.elapsed(),
        });
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Where a payment stands, as far as a buyer cares.
enum Standing {
    UnderWay { tx_hash: Option<B256> },
    Settled { tx_hash: B256, proof: String },
    Failed(PayError),
}

fn standing(view: PaymentView) -> Standing {
    match (view.status, view.tx_hash, view.proof) {
        (PaymentStatus::Settled, Some(tx_hash), Some(proof)) => {
            Standing::Settled { tx_hash, proof }
        }
        (status, ..) if status.is_void() => {
            let code = view.error.map_or(
                PayFailure::Payment(PaymentFailure::TransactionFailed),
                PayFailure::from,
            );
            let message = view
                .message
                .unwrap_or_else(|| format!("payment {} is {}", view.payment_id, status.as_str()));
            Standing::Failed(PayError::Failed { code, message })
        }
        (_, tx_hash, _) => Standing::UnderWay { tx_hash },
    }
}

/// Whether the gateway may have taken the order although its answer says nothing. A success that
/// cannot be read is one of these.
fn may_have_paid(error: &GatewayError) -> bool {
    match error {
        GatewayError::Unreachable(_) | GatewayError::Trouble(_) | GatewayError::TooLarge => true,
        GatewayError::Unreadable(status) => status.is_success(),
        GatewayError::Unauthorized | GatewayError::Refused { .. } => false,
    }
}
