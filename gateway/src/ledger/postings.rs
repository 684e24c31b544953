//! Double-entry postings: every step that moves a payment's money debits one account and credits
//! another by the same amount. Rows are added and never changed.
//!
//! Accounts are those of the payment's workspace, agent and payee at once: a posting names its step, the
//! step its payment, and the payment all three.

use sqlx::SqliteConnection;
use x402_schemas::{amount::Amount, payment::PaymentStatus};

use super::{LedgerError, columns};

/// Where a payment's money counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Account {
    /// Not promised to anyone.
    Available,
    /// Promised, and perhaps under way.
    Reserved,
    /// Moved.
    Spent,
}

/// One leg of a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Taken from the account.
    Debit,
    /// Given to it.
    Credit,
}

impl Account {
    /// Where the money of a payment in this status counts.
    pub(crate) const fn of(status: PaymentStatus) -> Self {
        match status {
            PaymentStatus::Quoted
            | PaymentStatus::AwaitingApproval
            | PaymentStatus::Denied
            | PaymentStatus::Expired
            | PaymentStatus::Failed
            | PaymentStatus::Reverted => Self::Available,
            PaymentStatus::Reserved
            | PaymentStatus::Signed
            | PaymentStatus::Broadcast
            | PaymentStatus::Included => Self::Reserved,
            PaymentStatus::Settled => Self::Spent,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Reserved => "reserved",
            Self::Spent => "spent",
        }
    }
}

impl Side {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        }
    }
}

/// Moves an amount from one account to another, for a step.
pub(crate) async fn transfer(
    conn: &mut SqliteConnection,
    step: i64,
    from: Account,
    to: Account,
    amount: Amount,
) -> Result<(), LedgerError> {
    for (account, side) in [(from, Side::Debit), (to, Side::Credit)] {
        sqlx::query("INSERT INTO postings (step, account, side, amount) VALUES (?, ?, ?, ?)")
            .bind(step)
            .bind(account.as_str())
            .bind(side.as_str())
            .bind(columns::amount_text(amount))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
