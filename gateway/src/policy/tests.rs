/// Every rule, one at a time and in order.
mod rules;

/// Whatever is asked, against a model that is written down another way.
mod races;

/// Drafts against the past.
mod replays;

use alloy::primitives::address;
use x402_schemas::policy::AllowedProvider;

use super::*;

const PAYEE: Address = address!("00000000000000000000000000000000000000aa");

/// An invoice of a registered host, unsigned.
const ORIGIN: Origin = Origin {
    registration: Registration::Payee,
    signature: Signature::Absent,
};

fn mnee(text: &str) -> Amount {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn report() -> Resource {
    "GET https://api.example.com/report".parse().unwrap()
}

fn policy() -> Policy {
    Policy::new(
        mnee("0.10"),
        mnee("5"),
        mnee("50"),
        vec![AllowedProvider::Payee(PAYEE)],
    )
}
