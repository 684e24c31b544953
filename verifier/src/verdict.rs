//! The verdict on a proof: pure, same facts, same answer.
//!
//! The refusals are checked in the order of [`Refusal`], which is API: the first that holds is the
//! one reported. Judged twice around a claim: before, to know whether one may be made, and after,
//! with the claim as it stands on disk and the transfer as it stands in the index.

use std::sync::OnceLock;

use alloy_primitives::{Address, B256};
use jiff::Timestamp;
use x402_schemas::{
    api::{
        confirmations::Confirmations,
        provider::{Verified, VerifyRequest},
    },
    codes::Refusal,
    index::Tip,
    invoice::InvoiceDomain,
    network::Network,
    proof::ProofClaims,
    transfer::{Transfer, TransferKind},
};
use x402_service::clock::unix_seconds;

use crate::claims::Claim;

/// How far ahead of ours the gateway's clock may be, seconds. Beyond it the proof is nonsense.
const MAX_CLOCK_SKEW_SECONDS: u64 = 300;

/// The shortest wait that is worth telling, milliseconds.
const MIN_RETRY_MS: u64 = 500;

/// What this verifier serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The chain of its index.
    pub(crate) network: Network,
    /// The token of its index.
    pub(crate) token: Address,
    /// How long that chain takes for a block, milliseconds.
    pub(crate) block_time_ms: u64,
    /// How old the index's last block may be, seconds; `None`: as old as it likes.
    pub(crate) max_age_seconds: Option<u64>,
}

/// What a proof with a good signature states.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// The key that signed it.
    pub(crate) kid: String,
    /// Its claims.
    pub(crate) claims: ProofClaims,
    /// Made when it is first compared.
    invoice_hash: OnceLock<B256>,
}

/// What the index says of one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// It is on the canonical chain.
    Standing(Transfer),
    /// It was, and a reorg has removed it.
    Retracted(Transfer),
    /// The index has never had it.
    Absent,
}

/// A sighting, and how far the index reached before it was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// What was seen.
    pub(crate) sighting: Sighting,
    /// Where the index ended, or `None` when it was empty.
    pub(crate) tip: Option<Tip>,
}

/// Everything that a verdict depends on besides the request and the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// What this verifier serves.
    pub(crate) served: Served,
    /// The domain of invoices on that chain and in that token.
    pub(crate) domain: &'a InvoiceDomain,
    /// The gateway that is believed.
    pub(crate) issuer: &'a str,
    /// Who asks.
    pub(crate) provider_id: &'a str,
    /// The addresses that the asker is paid at.
    pub(crate) payees: &'a [Address],
    /// How settled the asker wants payments to be.
    pub(crate) terms: Confirmations,
    /// What the proof states; `None` if its signature or form is not the gateway's.
    pub(crate) statement: Option<&'a Statement>,
    /// What the index says; `None` before it was asked.
    pub(crate) look: Option<Look>,
    /// The claim that stands on the transfer, as far as it was asked for.
    pub(crate) claim: Option<&'a Claim>,
}

/// A proof that does not verify, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotVerified {
    /// The first reason that holds.
    pub(crate) refusal: Refusal,
    /// When to ask again; with `PAYMENT_PENDING` only.
    pub(crate) retry_after_ms: Option<u64>,
}

impl NotVerified {
    /// Nothing is known of the proof yet: nothing may be served.
    pub(crate) const UNREAD: Self = Self {
        refusal: Refusal::InvalidProof,
        retry_after_ms: None,
    };
}

/// Judges a proof. The first refusal that holds, in the order of [`Refusal`], is the answer.
pub(crate) fn judge(
    facts: &Facts<'_>,
    request: &VerifyRequest,
    now: Timestamp,
) -> Result<Transfer, NotVerified> {
    let statement = believable(facts, now)?;
    let claims = &statement.claims;
    // Another chain's transfers are not in this index: nothing to find, only mismatches to name.
    let transfer = if facts.serves(claims) {
        Some(settled(facts, claims, request, now)?)
    } else {
        None
    };
    mismatch(facts, statement, transfer, request).map_or(Ok(()), refuse)?;
    let Some(transfer) = transfer else {
        return refuse(Refusal::NetworkMismatch);
    };
    if facts
        .claim
        .is_some_and(|claim| !repeats(facts, request, claim))
    {
        return refuse(Refusal::AlreadyClaimed);
    }
    if matches!(
        facts.look,
        Some(Look {
            sighting: Sighting::Retracted(_),
            ..
        })
    ) {
        return refuse(Refusal::PaymentReverted);
    }
    Ok(transfer)
}

/// Whether the index is too old for any verdict. An empty one is merely behind.
pub(crate) fn is_stale(served: Served, tip: Option<Tip>, now: Timestamp) -> bool {
    tip.zip(served.max_age_seconds)
        .is_some_and(|(tip, max_age)| unix_seconds(now) > tip.block_time.saturating_add(max_age))
}

/// Whether the index has to be asked before this proof can be judged.
pub(crate) fn needs_look_up(facts: &Facts<'_>, now: Timestamp) -> bool {
    believable(facts, now).is_ok_and(|statement| facts.serves(&statement.claims))
}

impl Statement {
    /// What these claims state.
    pub(crate) const fn of(kid: String, claims: ProofClaims) -> Self {
        Self {
            kid,
            claims,
            invoice_hash: OnceLock::new(),
        }
    }

    /// The memo that a transfer for exactly this invoice carries.
    /// `domain` is that of its own network and token.
    pub(crate) fn invoice_hash(&self, domain: &InvoiceDomain) -> B256 {
        *self.invoice_hash.get_or_init(|| {
            let claims = &self.claims;
            domain.hash(
                &claims.invoice_id,
                claims.pay_to,
                claims.amount,
                &claims.resource,
            )
        })
    }
}

impl Facts<'_> {
    fn serves(&self, claims: &ProofClaims) -> bool {
        claims.network == self.served.network && claims.asset == self.served.token
    }
}

/// `INVALID_PROOF` and `PROOF_EXPIRED`.
fn believable<'a>(facts: &Facts<'a>, now: Timestamp) -> Result<&'a Statement, NotVerified> {
    let now = unix_seconds(now);
    let Some(statement) = facts.statement else {
        return refuse(Refusal::InvalidProof);
    };
    let claims = &statement.claims;
    if claims.iss != facts.issuer || claims.iat > now.saturating_add(MAX_CLOCK_SKEW_SECONDS) {
        return refuse(Refusal::InvalidProof);
    }
    if claims.exp <= now {
        return refuse(Refusal::ProofExpired);
    }
    Ok(statement)
}

/// `PAYMENT_NOT_FOUND` and `PAYMENT_PENDING`. A retracted transfer passes: it is reported last.
fn settled(
    facts: &Facts<'_>,
    claims: &ProofClaims,
    request: &VerifyRequest,
    now: Timestamp,
) -> Result<Transfer, NotVerified> {
    let tip = facts.look.and_then(|look| look.tip);
    let sighting = facts.look.map_or(Sighting::Absent, |look| look.sighting);
    let (Sighting::Standing(transfer) | Sighting::Retracted(transfer)) = sighting else {
        return match tip {
            // Only an index that reaches the proof's block can say that nothing is there.
            Some(tip) if tip.block_number >= claims.block_number => {
                refuse(Refusal::PaymentNotFound)
            }
            Some(tip) => pending(
                facts.served,
                claims.block_number.saturating_sub(tip.block_number),
                Some(tip),
                now,
            ),
            None => pending(facts.served, 1, None, now),
        };
    };
    if transfer.kind != TransferKind::Payment || transfer.from != claims.payer {
        return refuse(Refusal::PaymentNotFound);
    }
    let missing = missing_blocks(wanted(facts, request), &transfer, tip);
    if missing > 0 && matches!(sighting, Sighting::Standing(_)) {
        return pending(facts.served, missing, tip, now);
    }
    Ok(transfer)
}

/// What both the provider and its request ask for.
fn wanted(facts: &Facts<'_>, request: &VerifyRequest) -> Confirmations {
    let asked = Confirmations {
        min_confirmations: request.min_confirmations.unwrap_or(1),
        finalized: request.finalized.unwrap_or(false),
    };
    facts.terms.stricter(asked)
}

/// How many blocks it takes until the transfer is as settled as is wanted; 0 when it is.
fn missing_blocks(wanted: Confirmations, transfer: &Transfer, tip: Option<Tip>) -> u64 {
    let unconfirmed = wanted
        .min_confirmations
        .saturating_sub(confirmations(transfer, tip));
    let finalized = tip.map_or(0, |tip| tip.finalized);
    let unfinalized = if wanted.finalized {
        transfer.block_number.saturating_sub(finalized)
    } else {
        0
    };
    unconfirmed.max(unfinalized)
}

/// `INVOICE_MISMATCH` to `NETWORK_MISMATCH`: the transfer against the proof, the proof against the request.
fn mismatch(
    facts: &Facts<'_>,
    statement: &Statement,
    transfer: Option<Transfer>,
    request: &VerifyRequest,
) -> Option<Refusal> {
    let claims = &statement.claims;
    let other_invoice = claims.invoice_id != request.invoice_id
        || differs(request.resource.as_ref(), &claims.resource)
        || transfer
            .and_then(|transfer| transfer.memo)
            .is_some_and(|memo| memo != statement.invoice_hash(facts.domain));
    let other_amount = differs(request.amount.as_ref(), &claims.amount)
        || transfer.is_some_and(|transfer| transfer.amount != claims.amount);
    let other_recipient = differs(request.pay_to.as_ref(), &claims.pay_to)
        || !facts.payees.contains(&claims.pay_to)
        || transfer.is_some_and(|transfer| transfer.to != claims.pay_to);
    let other_network = differs(request.network.as_ref(), &claims.network)
        || !facts.serves(claims)
        || transfer.is_some_and(|transfer| transfer.token != claims.asset);
    [
        (other_invoice, Refusal::InvoiceMismatch),
        (other_amount, Refusal::AmountMismatch),
        (other_recipient, Refusal::RecipientMismatch),
        (other_network, Refusal::NetworkMismatch),
    ]
    .into_iter()
    .find_map(|(holds, refusal)| holds.then_some(refusal))
}

/// Whether the claim that stands is this caller's own, and for the same served request.
fn repeats(facts: &Facts<'_>, request: &VerifyRequest, claim: &Claim) -> bool {
    let own = claim.provider_id == facts.provider_id && claim.invoice_id == request.invoice_id;
    // A look without a claim serves nothing, so it matters not which attempt it belongs to.
    let same_attempt =
        !claims_it(request) || request.attempt.is_none() || request.attempt == claim.attempt;
    own && same_attempt
}

/// Whether a good proof is to be used up.
pub(crate) fn claims_it(request: &VerifyRequest) -> bool {
    request.claim.unwrap_or(true)
}

/// The answer for a proof that was judged to hold.
pub(crate) fn verified(facts: &Facts<'_>, claims: &ProofClaims, transfer: Transfer) -> Verified {
    let tip = facts.look.and_then(|look| look.tip);
    Verified {
        verified: true,
        payment_id: claims.sub.clone(),
        invoice_id: claims.invoice_id.clone(),
        amount: claims.amount,
        pay_to: claims.pay_to,
        resource: claims.resource.clone(),
        paid_at: i64::try_from(transfer.block_time)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .unwrap_or(Timestamp::UNIX_EPOCH),
        tx_hash: transfer.id.tx_hash,
        log_index: transfer.id.log_index,
        block_number: transfer.block_number,
        block_hash: transfer.block_hash,
        confirmations: confirmations(&transfer, tip),
        finalized: tip.is_some_and(|tip| transfer.block_number <= tip.finalized),
        payer: claims.payer,
        claimed_at: facts.claim.map(|claim| claim.claimed_at),
    }
}

/// Blocks on the transfer, its own included: an indexed transfer has one, wherever the tip was seen.
fn confirmations(transfer: &Transfer, tip: Option<Tip>) -> u64 {
    tip.map_or(0, |tip| tip.block_number)
        .saturating_sub(transfer.block_number)
        .saturating_add(1)
}

fn differs<T: PartialEq>(asked: Option<&T>, stated: &T) -> bool {
    asked.is_some_and(|asked| asked != stated)
}

fn pending<T>(
    served: Served,
    missing_blocks: u64,
    tip: Option<Tip>,
    now: Timestamp,
) -> Result<T, NotVerified> {
    let since_tip_ms = tip.map_or(0, |tip| {
        unix_seconds(now)
            .saturating_sub(tip.block_time)
            .saturating_mul(1_000)
    });
    let wait_ms = missing_blocks
        .saturating_mul(served.block_time_ms)
        .saturating_sub(since_tip_ms);
    Err(NotVerified {
        refusal: Refusal::PaymentPending,
        retry_after_ms: Some(wait_ms.max(MIN_RETRY_MS)),
    })
}

const fn refuse<T>(refusal: Refusal) -> Result<T, NotVerified> {
    Err(NotVerified {
        refusal,
        retry_after_ms: None,
    })
}

#[cfg(test)]
mod tests;
