//! What one level has bought and when, in memory: the same answers as the ledger's, from a list.

use std::collections::HashMap;

use alloy::primitives::Address;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use x402_schemas::{amount::Amount, invoice::Resource, policy::Policy};

use super::Spent;

/// The most there is: nothing fits beside it.
const MOST: Amount = Amount::from_base_units(alloy::primitives::U256::MAX);

/// A minute, over which payments are counted.
pub(crate) const RATE_SPAN: SignedDuration = SignedDuration::from_mins(1);

/// A purchase.
#[derive(Clone, Debug)]
pub(crate) struct Purchase<'a> {
    pub(crate) pay_to: Address,
    pub(crate) amount: Amount,
    pub(crate) resource: &'a Resource,
    pub(crate) at: Timestamp,
}

impl Purchase<'_> {
    fn what(&self) -> (Address, Amount, String) {
        (self.pay_to, self.amount, self.resource.as_str().to_owned())
    }
}

/// Purchases in the order of their time, with running sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    times: Vec<Timestamp>,
    /// The sum of all up to each one.
    sums: Vec<Amount>,
    before: Amount,
    last: HashMap<(Address, Amount, String), Timestamp>,
}

impl Tally {
    /// With so much spent before the first purchase that it is told.
    pub(crate) fn after(before: Amount) -> Self {
        Self {
            before,
            ..Self::default()
        }
    }

    /// Counts a purchase, which is not older than the one before.
    pub(crate) fn count(&mut self, purchase: &Purchase<'_>) {
        let sum = self.sums.last().copied().unwrap_or_default();
        self.sums
            .push(sum.checked_add(purchase.amount).unwrap_or(MOST));
        self.times.push(purchase.at);
        self.last.insert(purchase.what(), purchase.at);
    }

    /// What counts for a level of this policy, as of an ask.
    pub(crate) fn spent(&self, policy: Option<&Policy>, ask: &Purchase<'_>) -> Spent {
        let (day, month) = (start_of_day(ask.at), start_of_month(ask.at));
        let rolling = policy.map_or(&[][..], |policy| &policy.rolling);
        let minute_ago = earlier(ask.at, RATE_SPAN);
        let in_minute = self
            .times
            .len()
            .saturating_sub(self.first_after(minute_ago));
        Spent {
            day: self.since(self.first_at(day)),
            month: self.since(self.first_at(month)),
            total: self.before.checked_add(self.since(0)).unwrap_or(MOST),
            rolling: rolling
                .iter()
                .map(|window| {
                    let begin = earlier(ask.at, SignedDuration::from_hours(window.hours.into()));
                    self.since(self.first_after(begin))
                })
                .collect(),
            last_minute: u32::try_from(in_minute).unwrap_or(u32::MAX),
            same_purchase: self.last.get(&ask.what()).copied(),
        }
    }

    /// The place of the first purchase at or after a moment.
    fn first_at(&self, moment: Timestamp) -> usize {
        self.times.partition_point(|at| *at < moment)
    }

    /// The place of the first purchase after a moment.
    fn first_after(&self, moment: Timestamp) -> usize {
        self.times.partition_point(|at| *at <= moment)
    }

    /// The sum from a place on.
    fn since(&self, place: usize) -> Amount {
        let all = self.sums.last().copied().unwrap_or_default();
        let before = place
            .checked_sub(1)
            .and_then(|last| self.sums.get(last))
            .copied()
            .unwrap_or_default();
        all.saturating_sub(before)
    }
}

/// A moment before another; the first there is, if that is too early to be told.
pub(crate) fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// When a moment's UTC day began.
pub(crate) fn start_of_day(at: Timestamp) -> Timestamp {
    at.to_zoned(TimeZone::UTC)
        .start_of_day()
        .map_or(at, |day| day.timestamp())
}

/// When a moment's UTC month began.
pub(crate) fn start_of_month(at: Timestamp) -> Timestamp {
    at.to_zoned(TimeZone::UTC)
        .first_of_month()
        .and_then(|day| day.start_of_day())
        .map_or(at, |day| day.timestamp())
}
