//! Requests on their way to their verdicts, together: what the proofs state, one look at the index,
//! a first judgement, one commit of the claims, and a last judgement.
//!
//! The last one judges the claim as it is on disk and the transfer as it is by then, so that a reorg
//! in between is not missed.

use std::sync::Arc;

use jiff::Timestamp;
use x402_schemas::{
    api::provider::{Refused, VerifyRequest, VerifyResponse},
    codes::Refusal,
    transfer::{Transfer, TransferId},
};

use crate::{
    Verifier,
    claims::{Claim, Wanted},
    metrics::ClaimOutcome,
    principal::Principal,
    statements::Reading,
    verdict::{Facts, Look, NotVerified, claims_it, is_stale, judge, needs_look_up, verified},
    verify::VerifyError,
};

/// Signatures that are checked before other requests get their turn: about a millisecond.
const SIGNATURES_PER_TURN: usize = 32;

/// One proof on its way to its verdict.
struct Case<'a> {
    request: &'a VerifyRequest,
    reading: Reading,
    look: Option<Look>,
    claim: Option<Arc<Claim>>,
    verdict: Result<Transfer, NotVerified>,
}

/// What every case of a request is judged with.
#[derive(Clone, Copy)]
struct Court<'a> {
    verifier: &'a Verifier,
    principal: &'a Principal,
    now: Timestamp,
}

/// The answers to these requests, in their order: one look at the index and one commit for all.
pub(crate) async fn answer(
    verifier: &Verifier,
    principal: &Principal,
    requests: &[VerifyRequest],
    now: Timestamp,
) -> Result<Vec<VerifyResponse>, VerifyError> {
    let tip = verifier
        .transfers
        .progress()
        .and_then(|progress| progress.tip);
    if is_stale(verifier.served, tip, now) {
        return Err(VerifyError::Stale);
    }
    let court = Court {
        verifier,
        principal,
        now,
    };
    let mut cases = court.read(requests).await;
    court.look(&mut cases).await?;
    court.claim(&mut cases).await?;
    let answers = cases.iter().map(|case| {
        let refusal = case.verdict.as_ref().err().map(|refused| refused.refusal);
        verifier.metrics.count_verdict(refusal);
        court.respond(case)
    });
    Ok(answers.collect())
}

impl Court<'_> {
    /// What the proofs state.
    async fn read<'r>(&self, requests: &'r [VerifyRequest]) -> Vec<Case<'r>> {
        let keys = &self.principal.directory.keys;
        let mut cases = Vec::with_capacity(requests.len());
        let mut checked: usize = 0;
        for request in requests {
            if checked >= SIGNATURES_PER_TURN {
                checked = 0;
                tokio::task::yield_now().await;
            }
            let reading = self.verifier.statements.read(&request.proof, keys);
            checked = checked.saturating_add(usize::from(reading.signature_checked));
            cases.push(Case {
                request,
                reading,
                look: None,
                claim: None,
                verdict: Err(NotVerified::UNREAD),
            });
        }
        cases
    }

    /// Looks at the transfers of all proofs that can be judged by them.
    async fn look(&self, cases: &mut [Case<'_>]) -> Result<(), VerifyError> {
        let mut asking = Vec::with_capacity(cases.len());
        let mut ids = Vec::with_capacity(cases.len());
        for case in cases {
            if needs_look_up(&self.facts(case), self.now)
                && let Some(id) = case.transfer()
            {
                asking.push(case);
                ids.push(id);
            }
        }
        let looks = self.verifier.transfers.look(&ids).await?;
        for (case, look) in asking.into_iter().zip(looks) {
            case.look = Some(look);
        }
        Ok(())
    }

    /// Judges; claims what is good and is to be used up, and judges that again; sees who claimed what
    /// only a claim decides.
    async fn claim(&self, cases: &mut [Case<'_>]) -> Result<(), VerifyError> {
        let mut claiming = Vec::with_capacity(cases.len());
        let mut wanted = Vec::with_capacity(cases.len());
        for case in cases {
            case.verdict = self.judge(case);
            let Some(id) = case.transfer() else { continue };
            match case.verdict {
                Ok(transfer) if claims_it(case.request) => {
                    wanted.push(self.wanted(case, transfer));
                    claiming.push((id, case));
                }
                Ok(_)
                | Err(NotVerified {
                    refusal: Refusal::PaymentReverted,
                    ..
                }) => {
                    case.claim = self.verifier.claims.standing(&[id])?.pop().flatten();
                    case.verdict = self.judge(case);
                }
                Err(_) => (),
            }
        }
        let claimed = self.verifier.claims.claim(wanted).await?;
        for ((id, case), claimed) in claiming.into_iter().zip(claimed) {
            if !claimed.granted {
                self.verifier.statements.remember(&mut case.reading);
            }
            case.claim = Some(claimed.claim);
            if let Some(look) = &case.look
                && let Some(again) = self.verifier.transfers.look_again(id, look).await?
            {
                case.look = Some(again);
            }
            case.verdict = self.judge(case);
            self.verifier.metrics.count_claim(match case.verdict {
                Err(NotVerified {
                    refusal: Refusal::AlreadyClaimed,
                    ..
                }) => ClaimOutcome::Refused,
                Ok(_) | Err(_) if claimed.granted => ClaimOutcome::Granted,
                Ok(_) | Err(_) => ClaimOutcome::Repeated,
            });
        }
        Ok(())
    }

    fn judge(&self, case: &Case<'_>) -> Result<Transfer, NotVerified> {
        judge(&self.facts(case), case.request, self.now)
    }

    fn facts<'c>(&'c self, case: &'c Case<'_>) -> Facts<'c> {
        Facts {
            served: self.verifier.served,
            domain: &self.verifier.domain,
            issuer: &self.principal.directory.issuer,
            provider_id: &self.principal.provider.id,
            payees: &self.principal.provider.payees,
            terms: self.principal.provider.confirmations,
            statement: case.reading.statement.as_deref(),
            look: case.look,
            claim: case.claim.as_deref(),
        }
    }

    fn wanted(&self, case: &Case<'_>, transfer: Transfer) -> Wanted {
        let finalized = case
            .look
            .and_then(|look| look.tip)
            .map_or(0, |tip| tip.finalized);
        // To the millisecond, as it is stored: the first answer and its repetitions say the same.
        let millisecond = Timestamp::from_millisecond(self.now.as_millisecond());
        let claim = Claim {
            provider_id: self.principal.provider.id.clone(),
            invoice_id: case.request.invoice_id.clone(),
            attempt: case.request.attempt.clone(),
            claimed_at: millisecond.unwrap_or(self.now),
        };
        Wanted {
            id: transfer.id,
            claim: Arc::new(claim),
            unsettled: (transfer.block_number > finalized).then_some(transfer.block_number),
        }
    }

    fn respond(&self, case: &Case<'_>) -> VerifyResponse {
        let verdict = case
            .verdict
            .and_then(|transfer| match &case.reading.statement {
                Some(statement) => Ok((transfer, statement)),
                None => Err(NotVerified::UNREAD),
            });
        match verdict {
            Ok((transfer, statement)) => {
                let verified = verified(&self.facts(case), &statement.claims, transfer);
                VerifyResponse::Verified(Box::new(verified))
            }
            Err(refused) => VerifyResponse::Refused(Refused {
                verified: false,
                error_code: refused.refusal,
                message: message(refused.refusal).to_owned(),
                retry_after_ms: refused.retry_after_ms,
            }),
        }
    }
}

impl Case<'_> {
    fn transfer(&self) -> Option<TransferId> {
        let statement = self.reading.statement.as_ref();
        statement.map(|statement| statement.claims.transfer_id())
    }
}

/// What a refusal means and what to do, for the developer of the paid API.
const fn message(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::InvalidProof => {
            "this is not a proof of this gateway: send the X-402-Proof header as it came, and check that agent and provider use the same gateway"
        }
        Refusal::ProofExpired => "the proof is older than 24 hours; answer 402 with a new invoice",
        Refusal::PaymentNotFound => {
            "the index covers the proof's block and has no such payment; answer 402"
        }
        Refusal::PaymentPending => {
            "the payment is not indexed or not confirmed deeply enough yet; ask again after retryAfterMs"
        }
        Refusal::InvoiceMismatch => {
            "the proof pays another invoice or another resource; answer 402 with this request's own invoice"
        }
        Refusal::AmountMismatch => {
            "the proof pays another amount than this invoice asks for; answer 402"
        }
        Refusal::RecipientMismatch => {
            "the proof pays an address that is not this provider's; register the address with the provider if it should be"
        }
        Refusal::NetworkMismatch => {
            "the proof is of another network or token than is asked for here"
        }
        Refusal::AlreadyClaimed => {
            "the proof was used before; answer 402 with a new invoice, or repeat the attempt that used it"
        }
        Refusal::PaymentReverted => {
            "a reorganisation of the chain has removed the payment; do not serve, and answer 402 if it does not come back"
        }
    }
}
