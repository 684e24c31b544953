//! `x402 verify PROOF`: ask the verifier as a provider would.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use x402_schemas::{
    api::{
        ErrorBody,
        provider::{VerifyRequest, VerifyResponse},
    },
    invoice::InvoiceId,
    proof::read::read_unchecked,
};

use crate::terminal::say_json;

/// Flags of `x402 verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The proof, as in the X-402-Proof header.
    proof: String,
    /// The invoice that it has to pay; the one that it names when absent.
    #[arg(long)]
    invoice_id: Option<InvoiceId>,
    /// Blocks that must stand on the payment, its own included.
    #[arg(long)]
    min_confirmations: Option<u64>,
    /// Use the proof up, as serving the request would.
    #[arg(long)]
    claim: bool,
    /// The verifier's URL.
    #[arg(
        long,
        env = "X402_VERIFIER_URL",
        default_value = "http://127.0.0.1:4030/"
    )]
    verifier_url: Url,
    /// The provider's key, `x402_provider_…`.
    #[arg(long, env = "X402_PROVIDER_KEY", hide_env_values = true)]
    provider_key: SecretString,
}

/// Exits 0 for a proof that holds and 1 for one that does not.
pub(crate) async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let invoice_id = match args.invoice_id {
        Some(invoice_id) => invoice_id,
        None => {
            read_unchecked(&args.proof)
                .context("this is no proof; give --invoice-id to ask the verifier anyway")?
                .invoice_id
        }
    };
    let request = VerifyRequest {
        proof: args.proof,
        invoice_id,
        amount: None,
        pay_to: None,
        network: None,
        resource: None,
        min_confirmations: args.min_confirmations,
        finalized: None,
        wait_ms: None,
        claim: Some(args.claim),
        attempt: None,
    };
    let url = args.verifier_url.join("verify")?;
    let response = reqwest::Client::new()
        .post(url)
        .bearer_auth(args.provider_key.expose_secret())
        .json(&request)
        .send()
        .await
        .with_context(|| format!("the verifier at {} does not answer", args.verifier_url))?;
    if !response.status().is_success() {
        let problem: ErrorBody = response
            .json()
            .await
            .context("the verifier's answer is not understood")?;
        bail!("{}: {}", problem.error, problem.message);
    }
    let answer: VerifyResponse = response
        .json()
        .await
        .context("the verifier's answer is not understood")?;
    say_json(&answer)?;
    Ok(match answer {
        VerifyResponse::Verified(_) => ExitCode::SUCCESS,
        VerifyResponse::Refused(_) => ExitCode::FAILURE,
    })
}
