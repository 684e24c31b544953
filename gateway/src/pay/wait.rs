//! Waiting for a payment's end without asking the ledger over and over: whoever ends it wakes those
//! that wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};
use x402_schemas::payment::PaymentStatus;

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        payments::{self, Payment},
    },
};

/// Who waits for which payment. Holds an entry only while someone waits.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: Mutex<HashMap<String, Arc<Notify>>>,
}

/// One request's place among them; leaves when dropped.
struct Place<'a> {
    waiters: &'a Waiters,
    payment_id: &'a str,
    bell: Arc<Notify>,
}

impl Waiters {
    /// Wakes everyone who waits for the payment.
    pub(crate) fn wake(&self, payment_id: &str) {
        if let Some(bell) = self.lock().get(payment_id) {
            bell.notify_waiters();
        }
    }

    fn join<'a>(&'a self, payment_id: &'a str) -> Place<'a> {
        let bell = Arc::clone(self.lock().entry(payment_id.to_owned()).or_default());
        Place {
            waiters: self,
            payment_id,
            bell,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        drop(std::mem::take(&mut self.bell));
        let nobody_left = waiting
            .get(self.payment_id)
            .is_some_and(|bell| Arc::strong_count(bell) == 1);
        if nobody_left {
            waiting.remove(self.payment_id);
        }
    }
}

impl Gateway {
    /// The payment as it is when it has settled or is void, or waits for an owner, or at the deadline.
    pub(crate) async fn await_end(
        &self,
        payment: Payment,
        deadline: Option<Instant>,
    ) -> Result<Payment, LedgerError> {
        let id = payment.id.clone();
        let place = self.waiters.join(&id);
        loop {
            // Listens before it looks, so that no end falls between the two.
            let rung = place.bell.notified();
            let mut conn = self.ledger.read().await?;
            let now = payments::find(&mut conn, &id).await?;
            drop(conn);
            let now = now.ok_or(LedgerError::Unreadable("payment"))?;
            let ended = now.status.is_void()
                || matches!(
                    now.status,
                    PaymentStatus::Settled | PaymentStatus::AwaitingApproval
                );
            let Some(deadline) = deadline.filter(|_| !ended) else {
                return Ok(now);
            };
            tokio::select! {
                () = rung => (),
                () = tokio::time::sleep_until(deadline) => return Ok(now),
                () = self.stop.cancelled() => return Ok(now),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_kept_for_payments_that_nobody_waits_for() {
        let waiters = Waiters::default();
        let first = waiters.join("pay_1");
        let second = waiters.join("pay_1");
        let rung = first.bell.notified();
        waiters.wake("pay_1");
        rung.await;
        drop(first);
        assert_eq!(waiters.lock().len(), 1);
        drop(second);
        assert_eq!(waiters.lock().len(), 0);
    }
}
