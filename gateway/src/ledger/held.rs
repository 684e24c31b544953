//! Reserved and spent together, for each limit that is kept.
//!
//! A payment counts from its reservation on until it is void, in the hour, day and month of its
//! reservation and for ever. Written in the same transaction as the payment, so the sums always equal
//! the payments. A holder is an agent or a workspace, by its id: those never meet.

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;
use x402_schemas::{amount::Amount, invoice::Invoice, policy::Policy};

use super::{LedgerError, columns};
use crate::policy::{
    Spent,
    tally::{RATE_SPAN, earlier},
};

/// Whose limits a payment counts against, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    pub(crate) workspace_id: &'a str,
    pub(crate) agent_id: &'a str,
    pub(crate) reserved_at: Timestamp,
}

/// A stretch of time over which a sum is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Hour,
    Day,
    Month,
    Ever,
}

impl Span {
    pub(crate) const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Month, Self::Ever];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Ever => "ever",
        }
    }

    /// The name of the stretch that a moment is in.
    pub(crate) fn period(self, at: Timestamp) -> String {
        match self {
            Self::Hour => columns::utc_hour(at),
            Self::Day => columns::utc_day(at),
            Self::Month => columns::utc_month(at),
            Self::Ever => String::new(),
        }
    }
}

impl Account<'_> {
    const fn holders(&self) -> [&str; 2] {
        [self.agent_id, self.workspace_id]
    }
}

/// Reserved and spent in the stretch of time that a moment is in.
pub(crate) async fn sum(
    conn: &mut SqliteConnection,
    holder: &str,
    span: Span,
    at: Timestamp,
) -> Result<Amount, LedgerError> {
    held(conn, holder, span, &span.period(at)).await
}

/// What already counts against a level's policy, as of an ask. What no rule of the policy asks for is
/// not looked up.
pub(crate) async fn spent(
    conn: &mut SqliteConnection,
    holder: &str,
    policy: Option<&Policy>,
    invoice: &Invoice,
    now: Timestamp,
) -> Result<Spent, LedgerError> {
    let mut spent = Spent {
        day: sum(conn, holder, Span::Day, now).await?,
        month: sum(conn, holder, Span::Month, now).await?,
        ..Spent::default()
    };
    let Some(policy) = policy else {
        return Ok(spent);
    };
    if policy.total.is_some() {
        spent.total = sum(conn, holder, Span::Ever, now).await?;
    }
    for window in &policy.rolling {
        let begin = earlier(now, SignedDuration::from_hours(window.hours.into()));
        spent.rolling.push(since(conn, holder, begin).await?);
    }
    if policy.payments_per_minute.is_some() {
        spent.last_minute = count_since(conn, holder, earlier(now, RATE_SPAN)).await?;
    }
    if policy.duplicate_within_seconds.is_some() {
        spent.same_purchase = last_bought(conn, holder, invoice).await?;
    }
    Ok(spent)
}

/// Counts a new payment.
pub(crate) async fn hold(
    conn: &mut SqliteConnection,
    account: Account<'_>,
    amount: Amount,
) -> Result<(), LedgerError> {
    change(conn, account, |sum| {
        sum.checked_add(amount)
            .ok_or(LedgerError::Imbalance("a sum passes 256 bits"))
    })
    .await
}

/// Stops counting a payment that is void.
pub(crate) async fn release(
    conn: &mut SqliteConnection,
    account: Account<'_>,
    amount: Amount,
) -> Result<(), LedgerError> {
    change(conn, account, |sum| {
        sum.checked_sub(amount)
            .ok_or(LedgerError::Imbalance("more is released than was held"))
    })
    .await
}

async fn change(
    conn: &mut SqliteConnection,
    account: Account<'_>,
    next: impl Fn(Amount) -> Result<Amount, LedgerError>,
) -> Result<(), LedgerError> {
    for holder in account.holders() {
        for span in Span::ALL {
            let period = span.period(account.reserved_at);
            let sum = next(held(conn, holder, span, &period).await?)?;
            sqlx::query(
                "INSERT INTO held (holder, span, period, amount) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (holder, span, period) DO UPDATE SET amount = excluded.amount",
            )
            .bind(holder)
            .bind(span.as_str())
            .bind(period)
            .bind(columns::amount_text(sum))
            .execute(&mut *conn)
            .await?;
        }
    }
    Ok(())
}

async fn held(
    conn: &mut SqliteConnection,
    holder: &str,
    span: Span,
    period: &str,
) -> Result<Amount, LedgerError> {
    let text: Option<String> =
        sqlx::query_scalar("SELECT amount FROM held WHERE holder = ? AND span = ? AND period = ?")
            .bind(holder)
            .bind(span.as_str())
            .bind(period)
            .fetch_optional(conn)
            .await?;
    text.map_or(Ok(Amount::ZERO), |text| columns::amount(&text))
}

/// Reserved and spent after a moment: whole hours by their sums, the hour of the moment payment by
/// payment.
pub(crate) async fn since(
    conn: &mut SqliteConnection,
    holder: &str,
    moment: Timestamp,
) -> Result<Amount, LedgerError> {
    let hours: Vec<String> = sqlx::query_scalar(
        "SELECT amount FROM held WHERE holder = ? AND span = 'hour' AND period > ?",
    )
    .bind(holder)
    .bind(columns::utc_hour(moment))
    .fetch_all(&mut *conn)
    .await?;
    let parts: Vec<String> = sqlx::query_scalar(
        "SELECT amount FROM payments WHERE (agent_id = ?1 OR workspace_id = ?1) AND reserved_at > ?2 \
         AND reserved_at < ?3 AND status NOT IN ('denied', 'expired', 'failed', 'reverted')",
    )
    .bind(holder)
    .bind(moment.as_millisecond())
    .bind(columns::end_of_hour(moment).as_millisecond())
    .fetch_all(conn)
    .await?;
    hours
        .iter()
        .chain(&parts)
        .try_fold(Amount::ZERO, |sum, text| {
            sum.checked_add(columns::amount(text)?)
                .ok_or(LedgerError::Imbalance("a sum passes 256 bits"))
        })
}

/// Payments that were reserved after a moment, whatever became of them.
async fn count_since(
    conn: &mut SqliteConnection,
    holder: &str,
    moment: Timestamp,
) -> Result<u32, LedgerError> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM payments WHERE (agent_id = ?1 OR workspace_id = ?1) AND reserved_at > ?2",
    )
    .bind(holder)
    .bind(moment.as_millisecond())
    .fetch_one(conn)
    .await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// When what the invoice asks for was last bought. The invoice's own payment is none of these: policy
/// knows of that one already.
async fn last_bought(
    conn: &mut SqliteConnection,
    holder: &str,
    invoice: &Invoice,
) -> Result<Option<Timestamp>, LedgerError> {
    let at: Option<i64> = sqlx::query_scalar(
        "SELECT max(reserved_at) FROM payments WHERE (agent_id = ?1 OR workspace_id = ?1) AND pay_to = ?2 \
         AND amount = ?3 AND resource = ?4 AND status NOT IN ('denied', 'expired', 'failed', 'reverted')",
    )
    .bind(holder)
    .bind(invoice.pay_to.as_slice())
    .bind(columns::amount_text(invoice.amount))
    .bind(invoice.resource.as_str())
    .fetch_one(conn)
    .await?;
    at.map(columns::time).transpose()
}
