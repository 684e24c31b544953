//! Does the ledger add up? Reads everything in one snapshot, beside a running gateway if there is one,
//! and changes nothing.
//!
//! Proves that each payment's history is one that it could take and ends where the payment is, that the
//! postings of each step move its amount and nothing else, that what is held equals the payments that
//! count, that an invoice has one payment that lives and a nonce one transaction, that each step is told.

/// One payment with its history: what is wrong with it. Pure.
mod payment;

/// What is held, made again from the payments.
mod sums;

use std::path::Path;

use alloy::primitives::Address;
use sqlx::{Connection, SqliteConnection};
use x402_schemas::{amount::Amount, network::Network};

use super::{LedgerError, columns, payments, store::Ledger};
use payment::{Facts, Posting};
use sums::Sums;

/// Payments that are read at once.
const PAGE: u32 = 1_000;
/// Differences that are told one by one.
const TOLD: usize = 20;

/// What a check has found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Payments that were looked at.
    pub payments: u64,
    /// Steps of their histories.
    pub steps: u64,
    /// Postings of those steps.
    pub postings: u64,
    /// What is reserved by all payments together.
    pub reserved: Amount,
    /// What is spent by all payments together.
    pub spent: Amount,
    /// How many differences there are.
    pub differences: u64,
    /// The first of them, in words.
    pub first: Vec<String>,
}

/// What the ledger belongs to, for making invoices' hashes again.
#[derive(Clone, Copy, Debug)]
struct Identity {
    network: Network,
    token: Address,
}

impl CheckReport {
    /// Whether everything adds up.
    pub const fn is_clean(&self) -> bool {
        self.differences == 0
    }

    fn differs(&mut self, what: String) {
        self.differences = self.differences.saturating_add(1);
        if self.first.len() < TOLD {
            self.first.push(what);
        }
    }
}

/// Checks the ledger in `folder`. Fails where there is none, or where it is of another version.
pub async fn check(folder: &Path) -> Result<CheckReport, LedgerError> {
    let ledger = Ledger::open_to_read(folder).await?;
    let mut conn = ledger.read().await?;
    let mut snapshot = conn.begin().await?;
    let mut report = CheckReport::default();
    storage(&mut snapshot, &mut report).await?;
    let identity = identity(&mut snapshot).await?;
    let mut sums = Sums::default();
    let mut after = 0;
    loop {
        let page = payments::page_of_all(&mut snapshot, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, row) in page {
            let id = row.id.clone();
            match row.read() {
                Ok(payment) => {
                    let facts = facts(&mut snapshot, payment).await?;
                    examine(&mut report, &mut sums, &facts, identity)?;
                }
                Err(error) => report.differs(format!("payment {id}: {error}")),
            }
        }
    }
    sums.compare(&mut snapshot, &mut report).await?;
    duplicates(&mut snapshot, &mut report).await?;
    untold(&mut snapshot, &mut report).await?;
    Ok(report)
}

/// What SQLite itself says of the file.
async fn storage(conn: &mut SqliteConnection, report: &mut CheckReport) -> Result<(), LedgerError> {
    let lines: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)")
        .fetch_all(&mut *conn)
        .await?;
    for line in lines.into_iter().filter(|line| line != "ok") {
        report.differs(format!("storage: {line}"));
    }
    let orphans: Vec<(String, Option<i64>, String, i64)> =
        sqlx::query_as("PRAGMA foreign_key_check")
            .fetch_all(conn)
            .await?;
    for (table, row, parent, _) in orphans {
        let row = row.map_or_else(String::new, |row| row.to_string());
        report.differs(format!(
            "row {row} of {table} names a row of {parent} that is not there"
        ));
    }
    Ok(())
}

async fn identity(conn: &mut SqliteConnection) -> Result<Option<Identity>, LedgerError> {
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT name, value FROM identity")
        .fetch_all(conn)
        .await?;
    let value = |name: &str| rows.iter().find(|row| row.0 == name).map(|row| &row.1);
    let (Some(network), Some(token)) = (value("network"), value("token")) else {
        return Ok(None);
    };
    Ok(Some(Identity {
        network: columns::parsed(network, "network")?,
        token: columns::parsed(token, "token")?,
    }))
}

async fn facts(
    conn: &mut SqliteConnection,
    payment: payments::Payment,
) -> Result<Facts, LedgerError> {
    let steps: Vec<(i64, String)> = sqlx::query_as(
        "SELECT number, status FROM payment_steps WHERE payment_id = ? ORDER BY number",
    )
    .bind(&payment.id)
    .fetch_all(&mut *conn)
    .await?;
    let postings: Vec<(i64, String, String, String)> = sqlx::query_as(
        "SELECT postings.step, account, side, amount FROM payment_steps \
         JOIN postings ON postings.step = payment_steps.number WHERE payment_id = ? ORDER BY postings.number",
    )
    .bind(&payment.id)
    .fetch_all(conn)
    .await?;
    Ok(Facts {
        payment,
        steps,
        postings: postings
            .into_iter()
            .map(|(step, account, side, amount)| Posting {
                step,
                account,
                side,
                amount,
            })
            .collect(),
    })
}

fn examine(
    report: &mut CheckReport,
    sums: &mut Sums,
    facts: &Facts,
    identity: Option<Identity>,
) -> Result<(), LedgerError> {
    let count = |items: usize| u64::try_from(items).unwrap_or(u64::MAX);
    report.payments = report.payments.saturating_add(1);
    report.steps = report.steps.saturating_add(count(facts.steps.len()));
    report.postings = report.postings.saturating_add(count(facts.postings.len()));
    let memo = identity.map(|identity| {
        let invoice = &facts.payment.invoice;
        invoice.hash(identity.network, identity.token)
    });
    for wrong in payment::examine(facts, memo) {
        report.differs(format!("payment {}: {wrong}", facts.payment.id));
    }
    let too_much = LedgerError::Imbalance("a sum passes 256 bits");
    let amount = facts.payment.invoice.amount;
    let total = match super::postings::Account::of(facts.payment.status) {
        super::postings::Account::Available => return Ok(()),
        super::postings::Account::Reserved => &mut report.reserved,
        super::postings::Account::Spent => &mut report.spent,
    };
    *total = total.checked_add(amount).ok_or(too_much)?;
    sums.count(&facts.payment)
}

/// Steps without an event. Events of old ones may have gone, those of newer ones may not.
async fn untold(conn: &mut SqliteConnection, report: &mut CheckReport) -> Result<(), LedgerError> {
    let steps: Vec<i64> = sqlx::query_scalar(
        "SELECT number FROM payment_steps WHERE number > (SELECT min(step) FROM events) \
         AND number NOT IN (SELECT step FROM events WHERE step IS NOT NULL) ORDER BY number",
    )
    .fetch_all(conn)
    .await?;
    for step in steps {
        report.differs(format!("step {step} has no event"));
    }
    Ok(())
}

/// What the ledger's unique indexes forbid, should they be gone.
async fn duplicates(
    conn: &mut SqliteConnection,
    report: &mut CheckReport,
) -> Result<(), LedgerError> {
    let invoices: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT workspace_id, invoice_id, count(*) FROM payments \
         WHERE status NOT IN ('denied', 'expired', 'failed', 'reverted') \
         GROUP BY workspace_id, invoice_id, pay_to HAVING count(*) > 1",
    )
    .fetch_all(&mut *conn)
    .await?;
    for (workspace, invoice, count) in invoices {
        report.differs(format!(
            "invoice {invoice} of workspace {workspace} has {count} payments that live"
        ));
    }
    let nonces: Vec<(String, i64)> = sqlx::query_as(
        "SELECT workspace_id, nonce FROM payments WHERE nonce IS NOT NULL \
         GROUP BY workspace_id, nonce HAVING count(*) > 1 \
         UNION SELECT workspaces.id, nonce FROM payments JOIN workspaces ON workspaces.id = workspace_id \
         WHERE nonce >= next_nonce",
    )
    .fetch_all(conn)
    .await?;
    for (workspace, nonce) in nonces {
        report.differs(format!(
            "nonce {nonce} of workspace {workspace} has more than one payment, or is still to be given"
        ));
    }
    Ok(())
}
