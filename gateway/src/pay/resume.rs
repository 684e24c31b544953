//! After a restart: payments that were reserved and not signed. What still holds is driven on; the rest
//! ends cleanly, as nothing was sent for it.
//!
//! Its reservation has counted all along, so no limit is asked again; everything else that policy has a
//! say in is, as of now.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::SqliteConnection;
use x402_schemas::{
    codes::{PaymentError, PaymentFailure},
    payment::PaymentStatus,
};
use x402_service::clock;

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{Failure, Payment},
        transitions,
        under_way::{self, Unsigned},
    },
    policy::{Denied, Known},
    principal::Agent,
    standing::{self, Question},
};

/// Payments that are judged in one change of the ledger.
const MAX_JUDGED: u32 = 500;

/// What became of what a run before has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resumed {
    pub(crate) driven_on: usize,
    pub(crate) ended: usize,
}

/// Judges every payment that is reserved, and drives on those that still hold. Nobody else may be
/// driving any.
pub(crate) async fn resume(gateway: &Arc<Gateway>) -> Result<Resumed, LedgerError> {
    let mut resumed = Resumed::default();
    let mut after = String::new();
    loop {
        let mut change = gateway.ledger.write().await?;
        let unsigned = under_way::unsigned(&mut change, &after, MAX_JUDGED).await?;
        let Some(last) = unsigned.last() else {
            return Ok(resumed);
        };
        last.payment.id.clone_into(&mut after);
        let mut driven_on = Vec::new();
        let mut ended = Vec::new();
        for one in unsigned {
            match judge(gateway, &mut change, one).await? {
                Ok(payment) => driven_on.push(payment),
                Err(failure) => ended.push(failure.code),
            }
        }
        change.commit().await?;
        for code in &ended {
            gateway.metrics.stepped_to(PaymentStatus::Failed);
            gateway.metrics.failed(*code);
        }
        resumed.driven_on = resumed.driven_on.saturating_add(driven_on.len());
        resumed.ended = resumed.ended.saturating_add(ended.len());
        for payment in driven_on {
            super::start(gateway, payment);
        }
    }
}

/// The payment, if it goes on, or why it has ended.
async fn judge(
    gateway: &Gateway,
    change: &mut SqliteConnection,
    one: Unsigned,
) -> Result<Result<Payment, Failure>, LedgerError> {
    let now = clock::now();
    let failure = match too_late(&one, now) {
        Some(failure) => Some(failure),
        None => denied(gateway, change, &one, now).await?,
    };
    let payment = one.payment;
    if let Some(failure) = failure {
        transitions::fail_unsigned(change, &payment.id, &failure, now).await?;
        return Ok(Err(failure));
    }
    transitions::resume(change, &payment.id, now).await?;
    Ok(Ok(payment))
}

fn too_late(one: &Unsigned, now: Timestamp) -> Option<Failure> {
    let (until, code) = one
        .payment
        .approval_until
        .map_or((one.quoted_until, PaymentFailure::QuoteExpired), |until| {
            (until, PaymentFailure::ApprovalExpired)
        });
    (now >= until).then(|| Failure {
        code: PaymentError::Failed(code),
        detail:
            "the gateway stopped before it signed and came back too late; nothing was sent, get a new quote and try again"
                .to_owned(),
    })
}

async fn denied(
    gateway: &Gateway,
    conn: &mut SqliteConnection,
    one: &Unsigned,
    now: Timestamp,
) -> Result<Option<Failure>, LedgerError> {
    let payment = &one.payment;
    let agent = Agent {
        workspace_id: payment.workspace_id.clone(),
        agent_id: payment.agent_id.clone(),
    };
    let approved = payment.approval_until.is_some();
    let question = Question {
        agent: &agent,
        invoice: &payment.invoice,
        network: gateway.network,
        now,
        signer: &one.signer,
        known: Known::Held,
        approved,
    };
    let denied = match standing::decide(conn, gateway.network, question).await? {
        Ok(allowed) if !allowed.needs_approval => return Ok(None),
        Ok(_) => Denied {
            code: x402_schemas::codes::Denial::ApprovalRequired,
            message: "the policy asks for an owner's approval by now; get a new quote".to_owned(),
        },
        Err(denied) => denied,
    };
    Ok(Some(Failure {
        code: PaymentError::Denied(denied.code),
        detail: format!(
            "the gateway stopped before it signed, and by now: {}",
            denied.message
        ),
    }))
}
