//! `x402 pay URL`: like curl, paying when the answer is 402.

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use clap::Args;
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::SecretString;
use x402_agent::{AgentClient, AgentConfig, FetchError};
use x402_schemas::amount::Amount;

use crate::{commands::steps, terminal::note};

/// Flags of `x402 pay`.
#[derive(Debug, Args)]
pub(crate) struct PayArgs {
    /// What to fetch.
    url: Url,
    /// The most that it may cost, in MNEE.
    #[arg(long, short = 'm', default_value = "0.10")]
    max_amount: Amount,
    /// The request's method; POST when there is data, else GET.
    #[arg(long, short = 'X')]
    request: Option<Method>,
    /// The request's body.
    #[arg(long, short = 'd')]
    data: Option<String>,
    /// A header, `Name: value`. Repeat for more.
    #[arg(long = "header", short = 'H', value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The gateway's URL.
    #[arg(
        long,
        env = "X402_GATEWAY_URL",
        default_value = "http://127.0.0.1:4020/"
    )]
    gateway_url: Url,
    /// The agent's key, `x402_agent_…`.
    #[arg(long, env = "X402_AGENT_KEY", hide_env_values = true)]
    agent_key: SecretString,
    /// Goes on with a payment that was pending when an earlier call gave up.
    #[arg(long, value_name = "PAYMENT_ID")]
    resume: Option<String>,
    /// Say each step on standard error.
    #[arg(long, short = 'v')]
    verbose: bool,
}

pub(crate) async fn run(args: PayArgs) -> anyhow::Result<ExitCode> {
    let mut client = AgentClient::new(AgentConfig::new(
        args.gateway_url,
        args.agent_key,
        args.max_amount,
    ))?;
    if args.verbose {
        client = client.on_step(|step| note(steps::describe(&step)));
    }
    let default_method = if args.data.is_some() {
        Method::POST
    } else {
        Method::GET
    };
    let mut request =
        reqwest::Client::new().request(args.request.unwrap_or(default_method), args.url);
    if let Some(data) = args.data {
        request = request.body(data);
    }
    let request = request
        .headers(args.headers.into_iter().collect::<HeaderMap>())
        .build()?;
    let fetched = match &args.resume {
        Some(payment_id) => client.resume(payment_id, request).await,
        None => client.fetch(request).await,
    };
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(error) => {
            note_what_was_paid(&error);
            return Err(error.into());
        }
    };
    let status = fetched.response.status();
    if let Some(payment) = &fetched.payment {
        note(format!(
            "paid {} MNEE for invoice {}: payment {}, transaction {}",
            payment.invoice.amount, payment.invoice.id, payment.payment_id, payment.tx_hash
        ));
    }
    let body = fetched
        .response
        .bytes()
        .await
        .context("the answer broke off")?;
    std::io::stdout().lock().write_all(&body)?;
    Ok(if status.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A purchase that failed after the payment has not lost it: the proof is shown so that it can be used.
fn note_what_was_paid(error: &FetchError) {
    if let Some(paid) = error.paid() {
        note(format!(
            "paid {} MNEE already (payment {}); go on with --resume {}",
            paid.invoice.amount, paid.payment_id, paid.payment_id
        ));
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is `Name: value`")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| "the header's name has characters that are not allowed")?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the header's value has characters that are not allowed")?;
    Ok((name, value))
}
