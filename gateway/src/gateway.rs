//! What a request shares with all others. Built once at start; handlers hold an `Arc` of it.

use std::sync::Arc;

use jiff::SignedDuration;
use secrecy::SecretString;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use x402_schemas::network::Network;
use x402_service::{api_key::Pepper, problem::Problem};

use crate::{
    chain::Chain,
    cipher::Cipher,
    directory::Followers,
    events::{news::News, stream::Streams},
    funds::Funds,
    key_uses::KeyUses,
    ledger::Ledger,
    limits::Limits,
    metrics::GatewayMetrics,
    pay::{lane::Lanes, wait::Waiters},
    proofs::Proofs,
    seed::Seed,
    sessions::Sessions,
    traces::Traces,
    verify::Verifier,
    webhooks::send::Sender,
};

/// The most payments that are being sent at once; more wait for their turn.
pub(crate) const MAX_SENDING: usize = 256;

/// The running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) ledger: Ledger,
    pub(crate) chain: Chain,
    pub(crate) network: Network,
    /// The ledger's own name, by which its events are told from another's.
    pub(crate) ledger_id: String,
    pub(crate) seed: Seed,
    /// Hashes owners' and agents' keys.
    pub(crate) key_pepper: Pepper,
    /// Hashes providers' keys; verifiers have it too.
    pub(crate) provider_key_pepper: Pepper,
    /// What each key and each address may ask.
    pub(crate) limits: Limits,
    /// Signs and reads members' sessions.
    pub(crate) sessions: Sessions,
    /// When each key was last used.
    pub(crate) key_uses: KeyUses,
    /// Encrypts answers that may be asked for again.
    pub(crate) answers: Cipher,
    /// Encrypts webhooks' secrets.
    pub(crate) webhook_secrets: Cipher,
    pub(crate) operator_token: SecretString,
    pub(crate) service_token: SecretString,
    pub(crate) issuer: String,
    pub(crate) quote_ttl: SignedDuration,
    /// How long a payment waits for an owner's approval.
    pub(crate) approval_ttl: SignedDuration,
    /// How long a payment waits for a block before more is bid for it.
    pub(crate) stuck_after: SignedDuration,
    pub(crate) proofs: Proofs,
    pub(crate) followers: Followers,
    pub(crate) funds: Funds,
    pub(crate) lanes: Lanes,
    pub(crate) waiters: Waiters,
    /// Of payments that have not settled yet.
    pub(crate) traces: Traces,
    /// Rung by new events.
    pub(crate) news: News,
    /// Those who follow events.
    pub(crate) streams: Streams,
    pub(crate) webhooks: Sender,
    /// Payments on their way, which outlive the request that asked for them.
    pub(crate) sending: TaskTracker,
    pub(crate) sending_slots: Arc<tokio::sync::Semaphore>,
    pub(crate) verifier: Option<Verifier>,
    pub(crate) metrics: GatewayMetrics,
    /// Cancelled when the process is to stop: whoever waits answers what is known.
    pub(crate) stop: CancellationToken,
    /// Keeps the data folder ours for as long as anything of the gateway runs.
    #[expect(dead_code, reason = "held, never read")]
    pub(crate) lock: Option<std::fs::File>,
}

/// Characters of a name.
const NAME_LEN: std::ops::RangeInclusive<usize> = 1..=100;

/// A name as it is stored: 1 to 100 characters, none of them a control character.
pub(crate) fn checked_name(name: &str) -> Result<&str, Problem> {
    let name = name.trim();
    let fits = NAME_LEN.contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) {
        Ok(name)
    } else {
        Err(Problem::invalid(
            "a name has 1 to 100 characters, none of them a control character",
        ))
    }
}
