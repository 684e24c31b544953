//! What series tell apart.

use x402_schemas::{
    codes::{Denial, PaymentFailure},
    payment::PaymentStatus,
};

/// A quote that allows.
pub(super) const ALLOWED: &str = "allowed";
/// A step back from settled.
pub(super) const REORGED: &str = "reorged";
/// Payments that are neither settled nor void.
pub(super) const OPEN: [PaymentStatus; 5] = [
    PaymentStatus::AwaitingApproval,
    PaymentStatus::Reserved,
    PaymentStatus::Signed,
    PaymentStatus::Broadcast,
    PaymentStatus::Included,
];

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitOf {
    /// A key's.
    Key,
    /// An address's that sends no valid key.
    Address,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Requests a minute.
    Rate,
    /// Open requests.
    Concurrency,
}

/// Why a hand-over to the chain did not say yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BroadcastError {
    /// The node would not take it.
    Refused,
    /// No answer.
    Unknown,
}

impl LimitOf {
    pub(super) const ALL: [Self; 2] = [Self::Key, Self::Address];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Address => "address",
        }
    }
}

impl Limit {
    pub(super) const ALL: [Self; 2] = [Self::Rate, Self::Concurrency];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
        }
    }
}

impl BroadcastError {
    pub(super) const ALL: [Self; 2] = [Self::Refused, Self::Unknown];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// Outcomes of quotes.
pub(super) fn quotes() -> impl Iterator<Item = &'static str> {
    std::iter::once(ALLOWED).chain(denials())
}

/// Steps of payments. Being quoted is none: quotes are counted by themselves.
pub(super) fn steps() -> impl Iterator<Item = &'static str> {
    let steps = PaymentStatus::ALL
        .into_iter()
        .filter(|status| *status != PaymentStatus::Quoted);
    steps
        .map(PaymentStatus::as_str)
        .chain(std::iter::once(REORGED))
}

/// Why payments are void, or were refused.
pub(super) fn failures() -> impl Iterator<Item = &'static str> {
    let failures = PaymentFailure::ALL.iter().map(|code| code.as_str());
    denials().chain(failures)
}

fn denials() -> impl Iterator<Item = &'static str> {
    Denial::ALL.iter().map(|code| code.as_str())
}
