//! A purchase's steps in words, for `x402 pay --verbose` and the demo.

use std::time::Duration;

use x402_agent::Step;

/// One line: how long the step took, what happened, what it proves.
pub(crate) fn describe(step: &Step) -> String {
    match step {
        Step::Requested {
            method,
            url,
            status,
            took,
        } => line(
            *took,
            &format!("{method} {url}"),
            &format!("answered {status}"),
        ),
        Step::PaymentRequired { required, took } => {
            let invoice = &required.invoice;
            let terms = format!(
                "{} MNEE to {} on {}, invoice {}",
                invoice.amount, invoice.pay_to, required.network, invoice.id
            );
            line(*took, "402 read", &terms)
        }
        Step::Quoted { quote, took } => line(
            *took,
            "quote allowed",
            &format!("policy holds; {} MNEE left today", quote.remaining.daily),
        ),
        Step::Paying {
            payment_id, took, ..
        } => line(*took, "payment under way", payment_id),
        Step::Paid { payment, took } => line(
            *took,
            "payment settled",
            &format!("seen in the index: transaction {}", payment.tx_hash),
        ),
        Step::NotVerifiedYet {
            code,
            retry_after,
            took,
        } => line(
            *took,
            "not verified yet",
            &format!("{code}; again in {} ms", retry_after.as_millis()),
        ),
        Step::Served { status, took } => line(
            *took,
            "proof verified",
            &format!("claimed once, resource served: {status}"),
        ),
        _ => "another step".to_owned(),
    }
}

fn line(took: Duration, what: &str, proves: &str) -> String {
    format!("{took:>8.1?}  {what:<18} {proves}")
}
