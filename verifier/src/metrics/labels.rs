//! What counters tell apart.

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// It is new.
    Granted,
    /// The caller had it already.
    Repeated,
    /// Somebody else has it, or another attempt of the same caller.
    Refused,
}

/// How a proof was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProofSource {
    /// It was read before.
    Memory,
    /// The gateway published its digest.
    Digest,
    /// By checking its signature.
    Signature,
}

/// Why a request was not taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its provider asks faster than its rate.
    Rate,
    /// Its provider has too many requests open.
    Concurrency,
    /// Too much is in hand.
    Overload,
}

impl ClaimOutcome {
    /// All of them, in the order of their counters.
    pub(super) const ALL: [Self; 3] = [Self::Granted, Self::Repeated, Self::Refused];

    /// The label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
        }
    }
}

impl ProofSource {
    /// All of them, in the order of their counters.
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::Digest, Self::Signature];

    /// The label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Digest => "digest",
            Self::Signature => "signature",
        }
    }
}

impl Refused {
    /// All of them, in the order of their counters.
    pub(super) const ALL: [Self; 3] = [Self::Rate, Self::Concurrency, Self::Overload];

    /// The label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Overload => "overload",
        }
    }
}
