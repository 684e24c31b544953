//! How values are written in columns, and read back.

use alloy::primitives::{Address, B256};
use jiff::{Timestamp, tz::TimeZone};
use x402_schemas::{amount::Amount, invoice::Invoice, policy::Policy};

use super::LedgerError;

/// 2^256 - 1 has 78 digits.
const AMOUNT_DIGITS: usize = 78;
const SECONDS_OF_HOUR: i64 = 3_600;

pub(crate) fn amount_text(amount: Amount) -> String {
    format!("{:0>AMOUNT_DIGITS$}", amount.to_base_text())
}

pub(crate) fn amount(text: &str) -> Result<Amount, LedgerError> {
    Amount::from_base_text(text).map_err(|_| LedgerError::Unreadable("amount"))
}

pub(crate) fn address(bytes: &[u8]) -> Result<Address, LedgerError> {
    Address::try_from(bytes).map_err(|_| LedgerError::Unreadable("address"))
}

pub(crate) fn hash(bytes: &[u8]) -> Result<B256, LedgerError> {
    B256::try_from(bytes).map_err(|_| LedgerError::Unreadable("hash"))
}

pub(crate) fn time(millis: i64) -> Result<Timestamp, LedgerError> {
    Timestamp::from_millisecond(millis).map_err(|_| LedgerError::Unreadable("time"))
}

pub(crate) fn number(value: i64) -> Result<u64, LedgerError> {
    u64::try_from(value).map_err(|_| LedgerError::Unreadable("number"))
}

/// SQLite counts to 2^63; no block or nonce ever comes near.
pub(crate) fn number_column(value: u64) -> Result<i64, LedgerError> {
    i64::try_from(value).map_err(|_| LedgerError::Unreadable("number"))
}

pub(crate) fn policy_text(policy: &Policy) -> Result<String, LedgerError> {
    serde_json::to_string(policy).map_err(|_| LedgerError::Unreadable("policy"))
}

pub(crate) fn policy(text: &str) -> Result<Policy, LedgerError> {
    serde_json::from_str(text).map_err(|_| LedgerError::Unreadable("policy"))
}

/// An invoice of its four columns.
pub(crate) fn invoice(
    id: &str,
    pay_to: &[u8],
    amount: &str,
    resource: &str,
) -> Result<Invoice, LedgerError> {
    Ok(Invoice {
        id: parsed(id, "invoice id")?,
        pay_to: address(pay_to)?,
        amount: self::amount(amount)?,
        resource: parsed(resource, "resource")?,
    })
}

/// Text that is read into a type of its own.
pub(crate) fn parsed<T: std::str::FromStr>(
    text: &str,
    what: &'static str,
) -> Result<T, LedgerError> {
    text.parse().map_err(|_| LedgerError::Unreadable(what))
}

/// The UTC hour, as `2026-11-22T13`.
pub(crate) fn utc_hour(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H")
        .to_string()
}

/// When the next UTC hour begins.
pub(crate) fn end_of_hour(at: Timestamp) -> Timestamp {
    let into = at.as_second().rem_euclid(SECONDS_OF_HOUR);
    let whole = at.as_second().saturating_sub(into);
    Timestamp::from_second(whole.saturating_add(SECONDS_OF_HOUR)).unwrap_or(Timestamp::MAX)
}

/// The UTC calendar day, as `2026-11-22`.
pub(crate) fn utc_day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// The UTC calendar month, as `2026-11`.
pub(crate) fn utc_month(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_are_utc_calendar_periods() {
        let last: Timestamp = "2026-12-31T23:59:59.999Z".parse().unwrap();
        assert_eq!(
            (utc_day(last), utc_month(last)),
            ("2026-12-31".into(), "2026-12".into())
        );
        let first: Timestamp = "2026-12-31T23:00:00-01:00".parse().unwrap();
        assert_eq!(
            (utc_day(first), utc_month(first)),
            ("2027-01-01".into(), "2027-01".into())
        );
    }

    #[test]
    fn an_hour_ends_where_the_next_begins() {
        for (at, hour, end) in [
            (
                "2026-11-22T13:00:00Z",
                "2026-11-22T13",
                "2026-11-22T14:00:00Z",
            ),
            (
                "2026-12-31T23:59:59.999Z",
                "2026-12-31T23",
                "2027-01-01T00:00:00Z",
            ),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(utc_hour(at), hour);
            assert_eq!(end_of_hour(at), end.parse().unwrap());
        }
    }

    #[test]
    fn amounts_are_written_so_that_text_order_is_number_order() {
        let (nine, ten) = ("9".parse().unwrap(), "10".parse().unwrap());
        assert!(amount_text(nine) < amount_text(ten));
        assert_eq!(amount(&amount_text(ten)).unwrap(), ten);
    }
}
