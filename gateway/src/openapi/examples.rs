//! A request and every refusal of each operation, as they look. Requests are written here, refusals made from the codes
//! that an operation's description names.

use serde_json::{Value, json};
use utoipa::{
    Modify,
    openapi::{Content, OpenApi, RefOr, Response, example::ExampleBuilder, path::Operation},
};
use x402_schemas::codes::{Denial, PaymentFailure};

use super::codes::ERROR_CODES;

const JSON: &str = "application/json";

/// Adds them.
pub(super) struct Examples;

impl Modify for Examples {
    fn modify(&self, openapi: &mut OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let operations = [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                show_request(path, operation);
                operation
                    .responses
                    .responses
                    .values_mut()
                    .for_each(show_refusals);
            }
        }
    }
}

fn show_request(path: &str, operation: &mut Operation) {
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(RefOr::T(content)) = body.content.get_mut(JSON)
    {
        content.example = request(path);
    }
}

fn show_refusals(response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    if let Some(RefOr::T(content)) = response.content.get_mut(JSON)
        && let Some(form) = Form::of(content)
    {
        for (code, meaning) in codes_in(&response.description) {
            let refusal = form.refusal(code, meaning);
            let example = ExampleBuilder::new().value(Some(refusal)).build();
            content.examples.insert(code.to_owned(), example.into());
        }
    }
}

/// The forms that refusals have.
#[derive(Clone, Copy, Debug)]
enum Form {
    Error,
    Quote,
    Pay,
}

impl Form {
    fn of(content: &Content) -> Option<Self> {
        let Some(RefOr::Ref(schema)) = content.schema.as_ref() else {
            return None;
        };
        match schema.ref_location.rsplit('/').next() {
            Some("ErrorBody") => Some(Self::Error),
            Some("QuoteDenied") => Some(Self::Quote),
            Some("PayFailed") => Some(Self::Pay),
            Some(_) | None => None,
        }
    }

    fn refusal(self, code: &str, message: &str) -> Value {
        match self {
            Self::Error => json!({ "error": code, "message": message }),
            Self::Quote => json!({ "allowed": false, "reason": code, "message": message }),
            Self::Pay => json!({ "success": false, "error": code, "message": message }),
        }
    }
}

/// The codes that a description names, with what they mean.
fn codes_in(description: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let words: Vec<&str> = description
        .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
        .collect();
    let refusals = Denial::ALL.iter().map(|denial| denial.as_str());
    let failures = PaymentFailure::ALL.iter().map(|failure| failure.as_str());
    let of_payments = refusals
        .chain(failures)
        .map(|code| (code, "the reason in words, with what to do about it"));
    let known: Vec<_> = ERROR_CODES
        .into_iter()
        .chain(of_payments)
        .filter(|(code, _)| words.contains(code))
        .collect();
    known.into_iter()
}

/// What may be sent to this path. Addresses and signatures are a local chain's.
fn request(path: &str) -> Option<Value> {
    let policy = || {
        json!({
            "perRequest": "0.25", "daily": "5", "monthly": "50",
            "allowedProviders": ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"],
        })
    };
    Some(match path {
        "/quote" => json!({
            "invoiceId": "inv_abc123xyz", "amount": "0.05", "payTo": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
            "network": "mainnet", "providerUrl": "https://api.example.com/report",
        }),
        "/pay" => json!({ "quoteId": "quote_5f0c2a1b9d8e7f6a5b4c3d2e", "waitMs": 15_000 }),
        "/payments/{id}/reject" => json!({ "reason": "not this month" }),
        "/policy/dry-run" => {
            json!({ "agentId": "ag_5f0c2a1b9d8e7f6a5b4c3d2e", "days": 30, "policy": policy() })
        }
        "/workspaces" => json!({ "name": "acme", "monthlyBudget": "500" }),
        "/workspace/budget" => json!({ "monthlyBudget": "750" }),
        "/workspace/policy" => json!({ "policy": policy() }),
        "/members" => json!({ "name": "ann", "role": "viewer" }),
        "/members/{id}/role" => json!({ "role": "admin" }),
        "/members/{id}/rotate"
        | "/members/me/rotate"
        | "/agents/{id}/rotate"
        | "/providers/{id}/rotate" => {
            json!({ "graceSeconds": 3_600 })
        }
        "/agents" => json!({ "name": "buyer", "policy": policy() }),
        "/agents/{id}/policy" => policy(),
        "/providers" => json!({
            "name": "weather", "payees": ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"], "hosts": ["api.example.com"],
        }),
        "/providers/{id}/registration" => json!({
            "payees": ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8"], "hosts": ["api.example.com", "*.example.com"],
        }),
        "/providers/{id}/confirmations" => json!({ "minConfirmations": 3, "finalized": false }),
        "/webhooks" => {
            json!({ "url": "https://example.com/x402", "types": ["payment.settled", "payment.failed"] })
        }
        "/treasury" => json!({
            "address": "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
            "signature": format!("0x{}1b", "5f".repeat(64)),
        }),
        "/treasury/relay" => json!({ "rawTransaction": format!("0x02f8{}", "6b".repeat(96)) }),
        _ => return None,
    })
}
