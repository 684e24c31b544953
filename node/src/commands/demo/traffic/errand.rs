//! One errand of an agent, and of the shop that it goes to: over the gateway's and the verifier's routes, as anybody's.

use std::time::Duration;

use alloy::primitives::Address;
use anyhow::ensure;
use reqwest::Url;
use x402_agent::{AgentClient, PayOutcome, QuoteRequest};
use x402_schemas::{
    amount::Amount,
    api::{
        agent::{PayPending, QuoteAllowed},
        policy::Rejection,
        provider::VerifyRequest,
    },
    codes::Denial,
    invoice::InvoiceId,
    network::Network,
};

use crate::owner::Owner;

/// How long an owner thinks about an approval.
const THINKING: Duration = Duration::from_secs(4);
/// How often a payment that is under way is asked for.
const ASKED: usize = 20;
/// The longest that the verifier waits for a payment of ours.
const WAIT_MS: u64 = 8_000;

/// What is odd about an errand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// Nothing: bought and served.
    None,
    /// The proof is sent a second time.
    Replay,
    /// The proof is sent with a letter changed as well.
    Forgery,
    /// It costs more than the agent may spend at once.
    TooDear,
    /// It costs so much that an owner is asked, if the agent's policy says so.
    Dear,
    /// The same, and the owner never answers.
    Forgotten,
    /// Somebody has put another payee into the invoice.
    Misdirected,
}

impl Oddity {
    /// Each of them, so that all are seen early.
    pub(super) const EACH: [Self; 7] = [
        Self::None,
        Self::Replay,
        Self::Forgery,
        Self::TooDear,
        Self::Dear,
        Self::Forgotten,
        Self::Misdirected,
    ];
}

/// All that an errand needs.
pub(super) struct Errand {
    pub(super) agent: AgentClient,
    pub(super) owner: Owner,
    pub(super) verifier: Url,
    pub(super) http: reqwest::Client,
    pub(super) provider_key: String,
    pub(super) oddity: Oddity,
    /// Whether its owner approves, if asked.
    pub(super) is_approved: bool,
    pub(super) invoice_id: InvoiceId,
    pub(super) method: &'static str,
    pub(super) url: Url,
    pub(super) pay_to: Address,
    pub(super) amount: Amount,
    pub(super) network: Network,
}

impl Errand {
    /// Runs it. A refusal ends it as it may.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let request = QuoteRequest {
            invoice_id: self.invoice_id.clone(),
            amount: self.amount,
            pay_to: self.pay_to,
            network: self.network,
            description: None,
            provider_url: self.url.clone(),
            method: Some(self.method.to_owned()),
            signature: None,
        };
        let quote = self.agent.quote(&request).await?;
        let proof = self.paid(&quote).await?;
        self.redeem(&proof, "first").await?;
        match self.oddity {
            Oddity::Replay => self.redeem(&proof, "second").await,
            Oddity::Forgery => self.redeem(&forged(&proof), "third").await,
            Oddity::None
            | Oddity::TooDear
            | Oddity::Dear
            | Oddity::Forgotten
            | Oddity::Misdirected => Ok(()),
        }
    }

    /// Pays, with an owner's approval where one is needed; the proof.
    async fn paid(&self, quote: &QuoteAllowed) -> anyhow::Result<String> {
        for _ in 0..ASKED {
            match self.agent.pay(&quote.quote_id).await? {
                PayOutcome::Settled(paid) => return Ok(paid.proof),
                PayOutcome::Pending(pending) => self.wait(&pending).await?,
            }
        }
        anyhow::bail!("the payment is still under way");
    }

    async fn wait(&self, pending: &PayPending) -> anyhow::Result<()> {
        if pending.reason != Some(Denial::ApprovalRequired) {
            tokio::time::sleep(Duration::from_millis(pending.retry_after_ms)).await;
            return Ok(());
        }
        ensure!(self.oddity != Oddity::Forgotten, "nobody answers");
        tokio::time::sleep(THINKING).await;
        if self.is_approved {
            self.owner.approve(&pending.payment_id).await?;
            return Ok(());
        }
        let rejection = Rejection {
            reason: "not in this quarter".to_owned(),
        };
        self.owner.reject(&pending.payment_id, &rejection).await?;
        Ok(())
    }

    /// Has the verifier judge the proof, as the shop that is to serve.
    async fn redeem(&self, proof: &str, attempt: &str) -> anyhow::Result<()> {
        let request = VerifyRequest {
            proof: proof.to_owned(),
            invoice_id: self.invoice_id.clone(),
            amount: Some(self.amount),
            pay_to: Some(self.pay_to),
            network: Some(self.network),
            resource: None,
            min_confirmations: None,
            finalized: None,
            wait_ms: Some(WAIT_MS),
            claim: None,
            attempt: Some(attempt.to_owned()),
        };
        let answer = self
            .http
            .post(self.verifier.join("verify")?)
            .bearer_auth(&self.provider_key)
            .json(&request)
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        Ok(())
    }
}

/// A proof with another signature.
fn forged(proof: &str) -> String {
    let kept = proof.get(..proof.len().saturating_sub(4));
    format!("{}AAAA", kept.unwrap_or_default())
}
