//! The outbox in; signed messages out, again and again until they arrive or a day has passed.
//!
//! What is on its way is in the ledger before it is sent, and leaves it after the answer: a crash in
//! between sends it once more, under the same id. Each webhook has a few messages in hand, one that fails
//! a single one, so that nobody waits for somebody else's endpoint.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::watch, task::JoinSet};
use x402_service::{clock, logs::with_causes};

use super::{opened, retry, send::Message};
use crate::{
    events::metrics::AttemptOutcome,
    gateway::Gateway,
    ledger::{
        LedgerError,
        deliveries::{self, Attempted, Delivery},
        event_cursors::{self, Consumer, Cursor},
        events,
        webhooks::{self, Webhook},
    },
};

/// Events that are put on their way in one change of the ledger.
const MAX_PLANNED: u64 = 500;
/// Messages to one webhook that are open at once.
const PER_WEBHOOK: usize = 4;
/// Messages that are open at once in all.
const MAX_UNDER_WAY: usize = 256;
/// How often it is looked for what is due when nothing rings.
const TICK: Duration = Duration::from_millis(250);

/// Sends to all webhooks.
pub(crate) struct Deliverer {
    gateway: Arc<Gateway>,
    news: watch::Receiver<u64>,
    under_way: JoinSet<Done>,
    in_hand: HashMap<String, HashSet<i64>>,
    /// Whose last message did not arrive.
    failing: HashSet<String>,
}

/// An attempt that has ended.
struct Done {
    webhook_id: String,
    number: i64,
    arrived: bool,
}

impl Deliverer {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Self {
        Self {
            news: gateway.news.subscribe(),
            gateway,
            under_way: JoinSet::new(),
            in_hand: HashMap::new(),
            failing: HashSet::new(),
        }
    }

    /// Runs until the process stops. What is open then is sent again by the next one.
    pub(crate) async fn run(mut self) -> Result<(), Infallible> {
        let stop = self.gateway.stop.clone();
        while !stop.is_cancelled() {
            self.news.mark_unchanged();
            if let Err(error) = self.round().await {
                let error = with_causes(&error);
                tracing::warn!(error, "webhooks could not be looked after; trying again");
            }
            tokio::select! {
                Some(done) = self.under_way.join_next() => self.note(done.ok()),
                _ = self.news.changed() => (),
                () = tokio::time::sleep(TICK) => (),
                () = stop.cancelled() => (),
            }
        }
        Ok(())
    }

    async fn round(&mut self) -> Result<(), LedgerError> {
        while self.plan().await? {}
        self.dispatch().await
    }

    /// Puts new events on their way. Answers whether there may be more.
    async fn plan(&self) -> Result<bool, LedgerError> {
        let mut conn = self.gateway.ledger.read().await?;
        let told = event_cursors::get(&mut conn, Consumer::Webhooks)
            .await?
            .told;
        let newest = events::newest(&mut conn).await?;
        if newest <= told {
            return Ok(false);
        }
        let last = newest.min(told.saturating_add(MAX_PLANNED));
        let new = events::between(&mut conn, told, last).await?;
        drop(conn);
        let mut change = self.gateway.ledger.write().await?;
        deliveries::plan(&mut change, &new, clock::now()).await?;
        let cursor = Cursor {
            told: last,
            telling: None,
        };
        event_cursors::set(&mut change, Consumer::Webhooks, cursor).await?;
        change.commit().await?;
        Ok(last < newest)
    }

    async fn dispatch(&mut self) -> Result<(), LedgerError> {
        let now = clock::now();
        let mut conn = self.gateway.ledger.read().await?;
        let limit = u32::try_from(MAX_UNDER_WAY).unwrap_or(u32::MAX);
        for id in deliveries::webhooks_due(&mut conn, now, limit).await? {
            let in_hand = self.in_hand.get(&id).map_or(0, HashSet::len);
            let most = if self.failing.contains(&id) {
                1
            } else {
                PER_WEBHOOK
            };
            let in_all = MAX_UNDER_WAY.saturating_sub(self.under_way.len());
            let room = most.saturating_sub(in_hand).min(in_all);
            if room == 0 {
                continue;
            }
            let Some(webhook) = webhooks::find(&mut conn, &id).await? else {
                continue;
            };
            let limit = room.saturating_add(in_hand);
            let due = deliveries::due(&mut conn, &id, now, limit).await?;
            self.start(&Arc::new(webhook), due, room);
        }
        Ok(())
    }

    fn start(&mut self, webhook: &Arc<Webhook>, due: Vec<Delivery>, room: usize) {
        let in_hand = self.in_hand.entry(webhook.id.clone()).or_default();
        let new = due
            .into_iter()
            .filter(|delivery| !in_hand.contains(&delivery.number))
            .take(room)
            .collect::<Vec<_>>();
        for delivery in new {
            in_hand.insert(delivery.number);
            let (gateway, webhook) = (Arc::clone(&self.gateway), Arc::clone(webhook));
            self.under_way
                .spawn(async move { attempt(&gateway, &webhook, delivery).await });
        }
    }

    fn note(&mut self, done: Option<Done>) {
        // One that panicked stays in hand: it is not tried again before a restart.
        let Some(done) = done else { return };
        if let Some(in_hand) = self.in_hand.get_mut(&done.webhook_id) {
            in_hand.remove(&done.number);
            if in_hand.is_empty() {
                self.in_hand.remove(&done.webhook_id);
            }
        }
        if done.arrived {
            self.failing.remove(&done.webhook_id);
        } else {
            self.failing.insert(done.webhook_id);
        }
    }
}

async fn attempt(gateway: &Gateway, webhook: &Webhook, delivery: Delivery) -> Done {
    let attempted = send(gateway, webhook, &delivery).await;
    let outcome = match (&attempted.error, attempted.next_at) {
        (None, _) => AttemptOutcome::Delivered,
        (Some(_), Some(_)) => AttemptOutcome::Retried,
        (Some(error), None) => {
            tracing::warn!(
                webhook = webhook.id,
                event = delivery.event.number,
                error,
                "a webhook was not reached for a day; the event is given up"
            );
            AttemptOutcome::Failed
        }
    };
    gateway.metrics.events.attempted(outcome);
    let recorded = async {
        let mut change = gateway.ledger.write().await?;
        deliveries::record(&mut change, delivery.number, &attempted).await?;
        Ok::<_, LedgerError>(change.commit().await?)
    };
    if let Err(error) = recorded.await {
        let error = with_causes(&error);
        tracing::warn!(error, "a delivery is not recorded and will be repeated");
    }
    Done {
        webhook_id: webhook.id.clone(),
        number: delivery.number,
        arrived: attempted.error.is_none(),
    }
}

async fn send(gateway: &Gateway, webhook: &Webhook, delivery: &Delivery) -> Attempted {
    let now = clock::now();
    let message = message(gateway, delivery);
    let sent = match (message, opened(gateway, webhook, now)) {
        (Ok(message), Ok(secrets)) => {
            let sender = &gateway.webhooks;
            let sent = sender.send(&webhook.url, &secrets, &message, now).await;
            sent.map_err(|error| (error.status(), error.told()))
        }
        (Err(error), _) => Err((None, error.to_string())),
        (_, Err(error)) => Err((None, error.to_string())),
    };
    let at = clock::now();
    match sent {
        Ok(status) => Attempted {
            status: Some(status),
            error: None,
            next_at: None,
            at,
        },
        Err((status, error)) => Attempted {
            status,
            error: Some(error),
            next_at: next_at(delivery, at),
            at,
        },
    }
}

fn message(gateway: &Gateway, delivery: &Delivery) -> serde_json::Result<Message> {
    Ok(Message {
        id: gateway.message_id(delivery.event.number),
        body: serde_json::to_vec(&delivery.event)?,
    })
}

fn next_at(delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
    let attempts = delivery.attempts.saturating_add(1);
    retry::next(delivery.created_at, now, attempts, fastrand::u8(..))
}
