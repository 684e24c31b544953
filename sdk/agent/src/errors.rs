//! Why a request was not answered, or a payment not made.
//!
//! The order of the variants of [`FetchError`] is the order of the purchase. Each says whether money
//! may have moved; [`FetchError::paid`] gives the proof back whenever there is one.

use alloy_primitives::B256;
use reqwest::StatusCode;
use thiserror::Error;
use x402_schemas::{
    amount::Amount,
    codes::{Denial, PaymentError, PaymentFailure},
};

use crate::{
    payment_required::{HeaderError, PaymentRequired},
    proof::{PaidWith, ProofProblem},
};

/// Why the gateway could not be asked.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// No connection, or it failed before the answer was whole.
    #[error("the gateway cannot be reached; check its URL and try again")]
    Unreachable(#[source] reqwest::Error),
    /// It has trouble of its own.
    #[error("the gateway has a problem (status {0}); try again later")]
    Trouble(StatusCode),
    /// The key is not valid there.
    #[error("the gateway does not accept the API key; check or rotate it")]
    Unauthorized,
    /// It refused the request.
    #[error("the gateway refused the request: {code}: {message}")]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// Its stable code.
        code: String,
        /// The same in words.
        message: String,
    },
    /// The answer is not one that a gateway gives.
    #[error("the gateway's answer (status {0}) is not understood; is the URL a gateway's?")]
    Unreadable(StatusCode),
    /// The answer is larger than any of a gateway's.
    #[error("the gateway's answer is too large to be one; is the URL a gateway's?")]
    TooLarge,
}

impl GatewayError {
    /// Whether asking again may help, as nothing was decided.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Trouble(_))
    }
}

/// Why there is no quote.
#[derive(Debug, Error)]
pub enum QuoteError {
    /// Policy does not allow the payment.
    #[error("the workspace's policy denies the payment: {code}: {message}")]
    Denied {
        /// Which rule.
        code: Denial,
        /// The same in words, with the limit that was met.
        message: String,
    },
    /// The gateway could not be asked.
    #[error("no quote was made and nothing was paid")]
    Gateway(#[source] GatewayError),
}

/// Why a quoted payment was not made. Nothing was or will be paid for that quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayFailure {
    /// The money could not move.
    Payment(PaymentFailure),
    /// Policy changed since the quote.
    Denied(Denial),
    /// A code that this version does not know.
    Other(String),
}

/// Why a payment was not made.
#[derive(Debug, Error)]
pub enum PayError {
    /// Nothing was or will be paid.
    #[error("nothing was paid: {code}: {message}")]
    Failed {
        /// Why.
        code: PayFailure,
        /// The same in words.
        message: String,
    },
    /// The gateway could not be asked.
    #[error("the gateway could not be asked to pay")]
    Gateway(#[source] GatewayError),
}

/// Why a paid request was not served.
#[derive(Debug, Error)]
pub enum NotServed {
    /// The connection failed before an answer.
    #[error("the connection to the provider failed")]
    Connection(#[source] reqwest::Error),
    /// The provider has trouble of its own, or cannot verify the proof yet.
    #[error("the provider answered {status}: {body}")]
    Status {
        /// The answer's status.
        status: StatusCode,
        /// What it says, up to 16 KiB.
        body: String,
    },
}

/// Why a request was not answered.
#[derive(Debug, Error)]
pub enum FetchError {
    /// Nothing was sent.
    #[error("the request's body is a stream and cannot be sent again with a proof; use bytes")]
    NotReplayable,
    /// Nothing was sent.
    #[error("the request carries a proof already; use retry_with_proof, which never pays")]
    CarriesProof,
    /// Nothing was sent.
    #[error("the request is for another method or URL than was paid for")]
    OtherResource,
    /// The request failed before any answer; nothing was paid.
    #[error("the request could not be sent or was not answered; nothing was paid")]
    Request(#[source] reqwest::Error),
    /// The 402 is not one of this protocol; nothing was paid.
    #[error("the provider's 402 answer cannot be paid; tell the provider")]
    NotAnInvoice {
        /// What is wrong.
        source: HeaderError,
        /// What the answer says, up to 16 KiB.
        body: String,
    },
    /// Dearer than the caller allows; nobody was asked and nothing was paid.
    #[error("the provider asks for {} MNEE, more than the limit of {max_amount}; raise max_amount to allow it", required.invoice.amount)]
    TooExpensive {
        /// What the provider asks for.
        required: Box<PaymentRequired>,
        /// The caller's limit.
        max_amount: Amount,
    },
    /// Policy or gateway said no; nothing was paid.
    #[error("there is no quote for the payment")]
    Quote(#[source] QuoteError),
    /// The payment failed; nothing was paid.
    #[error("the payment was not made")]
    Pay(#[source] PayError),
    /// The gateway was asked to pay and its answer was lost. Fetching again would ask for another
    /// invoice and could pay twice; `pay(quote_id)` never does.
    #[error(
        "whether it was paid is unknown; ask pay({quote_id:?}), which never pays twice, then resume"
    )]
    Unknown {
        /// The quote to ask about.
        quote_id: String,
        /// Why there was no answer.
        source: GatewayError,
    },
    /// Under way when the deadline came. `resume(payment_id, request)` goes on.
    #[error("payment {payment_id} has not settled yet; call resume with its id and the request")]
    Pending {
        /// The payment.
        payment_id: String,
        /// Its transaction, once signed.
        tx_hash: Option<B256>,
    },
    /// The payment could not be looked up; it goes on by itself.
    #[error("payment {payment_id} could not be looked up; call resume with its id and the request")]
    Lookup {
        /// The payment.
        payment_id: String,
        /// Why there was no answer.
        source: GatewayError,
    },
    /// Paid, but the gateway's proof is of no use.
    #[error("payment {payment_id} was made but its proof cannot be used; tell the gateway's owner")]
    WrongProof {
        /// The payment.
        payment_id: String,
        /// What is wrong.
        source: ProofProblem,
    },
    /// Paid, and the provider asks to be paid again. That is never done.
    #[error("payment {} was made and the provider refuses its proof; show it the answer: {body}", paid.payment_id)]
    ProofRefused {
        /// The payment with its proof.
        paid: Box<PaidWith>,
        /// What the provider says, up to 16 KiB.
        body: String,
    },
    /// Paid, and the provider gave no answer. `retry_with_proof(paid, request)` tries again.
    #[error("payment {} was made and not served; call retry_with_proof with it", paid.payment_id)]
    NotServed {
        /// The payment with its proof.
        paid: Box<PaidWith>,
        /// What happened.
        source: NotServed,
    },
}

impl FetchError {
    /// The payment that was made, with its proof, if the error comes after it.
    pub const fn paid(&self) -> Option<&PaidWith> {
        match self {
            Self::ProofRefused { paid, .. } | Self::NotServed { paid, .. } => Some(paid),
            Self::NotReplayable
            | Self::CarriesProof
            | Self::OtherResource
            | Self::Request(_)
            | Self::NotAnInvoice { .. }
            | Self::TooExpensive { .. }
            | Self::Quote(_)
            | Self::Pay(_)
            | Self::Unknown { .. }
            | Self::Pending { .. }
            | Self::Lookup { .. }
            | Self::WrongProof { .. } => None,
        }
    }
}

impl From<PaymentError> for PayFailure {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::Denied(denial) => Self::Denied(denial),
            PaymentError::Failed(failure) => Self::Payment(failure),
        }
    }
}

impl From<String> for PayFailure {
    fn from(code: String) -> Self {
        match (code.parse(), code.parse()) {
            (Ok(failure), _) => Self::Payment(failure),
            (_, Ok(denial)) => Self::Denied(denial),
            _ => Self::Other(code),
        }
    }
}

impl std::fmt::Display for PayFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Payment(failure) => failure.fmt(f),
            Self::Denied(denial) => denial.fmt(f),
            Self::Other(code) => f.pad(code),
        }
    }
}
