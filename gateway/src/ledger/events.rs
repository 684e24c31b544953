//! The outbox: events as they happen, numbered, for those who are told of them.
//!
//! Written in the change of the ledger that makes them true, so there is neither an event of what did
//! not happen nor a step without its event. Each is a snapshot: what is told again is the same.

use jiff::{SignedDuration, Timestamp};
use sqlx::{FromRow, SqliteConnection};
use x402_schemas::{
    api::events::{Event, EventData, EventKind},
    codes::{Denial, PaymentError},
    payment::PaymentStatus,
};

use super::{LedgerError, columns, quotes::Quote, steps};

/// How long events are kept for streams that resume and for looking at what a webhook was sent.
pub(crate) const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An event, and whose payee was paid.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) event: Event,
    pub(crate) provider_id: Option<String>,
}

#[derive(FromRow)]
struct Snapshot {
    workspace_id: String,
    agent_id: String,
    quote_id: String,
    invoice_id: String,
    pay_to: Vec<u8>,
    amount: String,
    network: String,
    resource: String,
    status: String,
    failure: Option<String>,
    tx_hash: Option<Vec<u8>>,
    block_number: Option<i64>,
    log_index: Option<i64>,
    gas_paid_wei: Option<String>,
    provider_id: Option<String>,
}

impl Snapshot {
    fn data(
        self,
        payment_id: &str,
        status: PaymentStatus,
        reason: String,
    ) -> Result<EventData, LedgerError> {
        let code = self
            .failure
            .filter(|_| status.is_void())
            .map(|code| columns::parsed::<PaymentError>(&code, "failure code"));
        let log_index = self.log_index.map(u32::try_from);
        Ok(EventData {
            workspace_id: self.workspace_id,
            agent_id: self.agent_id,
            payment_id: Some(payment_id.to_owned()),
            quote_id: self.quote_id,
            status,
            invoice_id: columns::parsed(&self.invoice_id, "invoice id")?,
            amount: columns::amount(&self.amount)?,
            pay_to: columns::address(&self.pay_to)?,
            network: columns::parsed(&self.network, "network")?,
            resource: columns::parsed(&self.resource, "resource")?,
            code: code.transpose()?,
            reason,
            tx_hash: self.tx_hash.as_deref().map(columns::hash).transpose()?,
            block_number: self.block_number.map(columns::number).transpose()?,
            log_index: log_index
                .transpose()
                .map_err(|_| LedgerError::Unreadable("log index"))?,
            gas_paid_wei: self
                .gas_paid_wei
                .map(|wei| columns::amount(&wei))
                .transpose()?
                .map(x402_schemas::amount::Amount::to_base_text),
        })
    }
}

/// Tells of a payment's step, after all that belongs to the step is written.
pub(super) async fn of_step(
    conn: &mut SqliteConnection,
    number: i64,
    kind: EventKind,
) -> Result<(), LedgerError> {
    let (payment_id, step) = steps::get(conn, number).await?;
    let mut snapshot = snapshot(conn, &payment_id).await?;
    let provider_id = snapshot.provider_id.take();
    let event = New {
        kind,
        step: Some(number),
        provider_id,
        data: snapshot.data(&payment_id, step.status, step.reason)?,
        at: step.at,
    };
    record(conn, event).await
}

/// Tells what became known of a payment without a step of its own.
pub(crate) async fn of_payment(
    conn: &mut SqliteConnection,
    payment_id: &str,
    kind: EventKind,
    reason: &str,
    at: Timestamp,
) -> Result<(), LedgerError> {
    let mut snapshot = snapshot(conn, payment_id).await?;
    let provider_id = snapshot.provider_id.take();
    let status = columns::parsed(&snapshot.status, "status")?;
    let event = New {
        kind,
        step: None,
        provider_id,
        data: snapshot.data(payment_id, status, reason.to_owned())?,
        at,
    };
    record(conn, event).await
}

/// Tells of a quote that was denied.
pub(super) async fn of_denial(
    conn: &mut SqliteConnection,
    quote: &Quote,
    denial: Denial,
) -> Result<(), LedgerError> {
    let invoice = &quote.invoice;
    let provider_id =
        sqlx::query_scalar("SELECT provider_id FROM payees WHERE address = ? AND active = 1")
            .bind(invoice.pay_to.as_slice())
            .fetch_optional(&mut *conn)
            .await?;
    let event = New {
        kind: EventKind::QuoteDenied,
        step: None,
        provider_id,
        data: EventData {
            workspace_id: quote.workspace_id.clone(),
            agent_id: quote.agent_id.clone(),
            payment_id: None,
            quote_id: quote.id.clone(),
            status: PaymentStatus::Denied,
            invoice_id: invoice.id.clone(),
            amount: invoice.amount,
            pay_to: invoice.pay_to,
            network: quote.network,
            resource: invoice.resource.clone(),
            code: Some(PaymentError::Denied(denial)),
            reason: "POST /quote denied it".to_owned(),
            tx_hash: None,
            block_number: None,
            log_index: None,
            gas_paid_wei: None,
        },
        at: quote.created_at,
    };
    record(conn, event).await
}

struct New {
    kind: EventKind,
    step: Option<i64>,
    provider_id: Option<String>,
    data: EventData,
    at: Timestamp,
}

async fn snapshot(conn: &mut SqliteConnection, id: &str) -> Result<Snapshot, LedgerError> {
    Ok(sqlx::query_as(
        "SELECT payments.workspace_id, payments.agent_id, payments.quote_id, payments.invoice_id, payments.pay_to, \
         payments.amount, quotes.network, payments.resource, payments.status, payments.failure, payments.tx_hash, \
         payments.block_number, payments.log_index, payments.gas_paid_wei, payees.provider_id FROM payments \
         JOIN quotes ON quotes.id = payments.quote_id \
         LEFT JOIN payees ON payees.address = payments.pay_to AND payees.active = 1 WHERE payments.id = ?",
    )
    .bind(id)
    .fetch_one(conn)
    .await?)
}

async fn record(conn: &mut SqliteConnection, event: New) -> Result<(), LedgerError> {
    let body = serde_json::to_string(&event.data).map_err(|_| LedgerError::Unreadable("event"))?;
    sqlx::query(
        "INSERT INTO events (kind, workspace_id, payment_id, step, provider_id, body, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(event.kind.as_str())
    .bind(&event.data.workspace_id)
    .bind(&event.data.payment_id)
    .bind(event.step)
    .bind(event.provider_id)
    .bind(body)
    .bind(event.at.as_millisecond())
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    number: i64,
    kind: String,
    provider_id: Option<String>,
    body: String,
    at: i64,
}

impl Row {
    fn read(self) -> Result<Told, LedgerError> {
        let data =
            serde_json::from_str(&self.body).map_err(|_| LedgerError::Unreadable("event"))?;
        Ok(Told {
            event: Event {
                number: columns::number(self.number)?,
                kind: columns::parsed(&self.kind, "kind of event")?,
                timestamp: columns::time(self.at)?,
                data,
            },
            provider_id: self.provider_id,
        })
    }
}

/// The newest number that was ever given; 0 for none.
pub(crate) async fn newest(conn: &mut SqliteConnection) -> Result<u64, LedgerError> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
            .fetch_optional(conn)
            .await?;
    columns::number(newest.unwrap_or(0))
}

/// Events after one number up to another, in order, of all workspaces.
pub(crate) async fn between(
    conn: &mut SqliteConnection,
    after: u64,
    last: u64,
) -> Result<Vec<Told>, LedgerError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT number, kind, provider_id, body, at FROM events WHERE number > ? AND number <= ? ORDER BY number",
    )
    .bind(columns::number_column(after)?)
    .bind(columns::number_column(last)?)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// The oldest number that is kept.
pub(crate) async fn oldest(conn: &mut SqliteConnection) -> Result<Option<u64>, LedgerError> {
    let oldest: Option<i64> = sqlx::query_scalar("SELECT min(number) FROM events")
        .fetch_one(conn)
        .await?;
    oldest.map(columns::number).transpose()
}

/// Whose events.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    Workspace(String),
    Payment(String),
}

/// The oldest of those after a number, in order.
pub(crate) async fn page(
    conn: &mut SqliteConnection,
    scope: &Scope,
    after: u64,
    limit: u32,
) -> Result<Vec<Event>, LedgerError> {
    let (query, whose) = match scope {
        Scope::Workspace(id) => (
            "SELECT number, kind, provider_id, body, at FROM events WHERE workspace_id = ? AND number > ? \
             ORDER BY number LIMIT ?",
            id,
        ),
        Scope::Payment(id) => (
            "SELECT number, kind, provider_id, body, at FROM events WHERE payment_id = ? AND number > ? \
             ORDER BY number LIMIT ?",
            id,
        ),
    };
    let rows: Vec<Row> = sqlx::query_as(query)
        .bind(whose)
        .bind(columns::number_column(after)?)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    let told = rows.into_iter().map(Row::read);
    told.map(|one| one.map(|told| told.event)).collect()
}

/// The event of a number that is kept.
pub(crate) async fn get(conn: &mut SqliteConnection, number: u64) -> Result<Told, LedgerError> {
    let row: Row =
        sqlx::query_as("SELECT number, kind, provider_id, body, at FROM events WHERE number = ?")
            .bind(columns::number_column(number)?)
            .fetch_one(conn)
            .await?;
    row.read()
}
