//! What a caller may watch while a request is fetched.

use std::{fmt, sync::Arc, time::Duration};

use alloy_primitives::B256;
use reqwest::{Method, StatusCode};
use url::Url;
use x402_schemas::api::agent::QuoteAllowed;

use crate::{payment_required::PaymentRequired, proof::PaidWith};

/// One step of a purchase. `took` is the step's own time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// The request was answered.
    Requested {
        /// Its method.
        method: Method,
        /// Its URL, query included: it stays with the caller.
        url: Url,
        /// The answer's status.
        status: StatusCode,
        /// From sending to the answer's head.
        took: Duration,
    },
    /// The answer asks to be paid, within the price limit.
    PaymentRequired {
        /// What it asks for.
        required: Box<PaymentRequired>,
        /// Reading it.
        took: Duration,
    },
    /// Policy allows the payment.
    Quoted {
        /// The gateway's quote.
        quote: Box<QuoteAllowed>,
        /// Asking for it.
        took: Duration,
    },
    /// The payment is under way and will be asked for again.
    Paying {
        /// The payment.
        payment_id: String,
        /// Its transaction, once signed.
        tx_hash: Option<B256>,
        /// Asking for it.
        took: Duration,
    },
    /// The payment has settled and its proof is here.
    Paid {
        /// The payment with its proof.
        payment: Box<PaidWith>,
        /// From asking the gateway to pay until the proof arrived.
        took: Duration,
    },
    /// The provider cannot verify the proof yet; the same proof will be sent again.
    NotVerifiedYet {
        /// The provider's code.
        code: String,
        /// When the proof is sent again.
        retry_after: Duration,
        /// From sending to the answer.
        took: Duration,
    },
    /// The provider answered the request with the proof.
    Served {
        /// The answer's status.
        status: StatusCode,
        /// From sending to the answer's head.
        took: Duration,
    },
}

/// The caller's closure, if any.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<dyn Fn(Step) + Send + Sync>>);

impl Observer {
    pub(crate) fn new(observer: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    /// The step is made only when somebody looks.
    pub(crate) fn see(&self, step: impl FnOnce() -> Step) {
        if let Some(observer) = &self.0 {
            observer(step());
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}
