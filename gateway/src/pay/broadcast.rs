//! Handing signed bytes over. Whatever the answer, the payment is never failed here: a refusal or a
//! timeout may hide that the transaction has arrived, and only the chain decides.

use x402_schemas::payment::PaymentStatus;
use x402_service::{clock, logs::with_causes};

use crate::{
    chain::Sent,
    fault,
    gateway::Gateway,
    ledger::{LedgerError, transitions},
    metrics::BroadcastError,
};

/// Hands a payment's transaction over, again.
pub(crate) async fn hand_over(gateway: &Gateway, payment_id: &str, raw: &[u8]) {
    let sent = send(gateway, raw).await;
    record(gateway, payment_id, sent).await;
}

/// Hands a transaction over.
pub(super) async fn send(gateway: &Gateway, raw: &[u8]) -> Sent {
    let sent = gateway.chain.send(raw).await;
    fault::point!("sent");
    sent
}

/// Records what became of that. Others need not wait for it.
pub(super) async fn record(gateway: &Gateway, payment_id: &str, sent: Sent) {
    match sent {
        Sent::Taken | Sent::NonceUsed(_) => {
            if let Err(error) = mark_taken(gateway, payment_id).await {
                tracing::warn!(
                    error = with_causes(&error),
                    payment = payment_id,
                    "a broadcast is not recorded yet"
                );
            }
        }
        Sent::Refused(reason) => {
            gateway.metrics.broadcast_error(BroadcastError::Refused);
            tracing::warn!(
                payment = payment_id,
                reason,
                "the chain did not take a transaction; it is sent again"
            );
        }
        Sent::Unknown(error) => {
            gateway.metrics.broadcast_error(BroadcastError::Unknown);
            tracing::warn!(
                error = with_causes(&error),
                payment = payment_id,
                "a broadcast got no answer; it is sent again"
            );
        }
    }
}

async fn mark_taken(gateway: &Gateway, payment_id: &str) -> Result<(), LedgerError> {
    let mut change = gateway.ledger.write().await?;
    let moved = transitions::broadcast(&mut change, payment_id, clock::now()).await?;
    change.commit().await?;
    fault::point!("broadcast");
    if moved {
        gateway.metrics.stepped_to(PaymentStatus::Broadcast);
    }
    Ok(())
}
