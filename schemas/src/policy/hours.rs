//! Hours of the UTC day, to the minute.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// When payments may be asked for, each day. From after to goes over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActiveHours {
    /// The first minute, as `08:00`, UTC.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "08:00"))]
    pub from: TimeOfDay,
    /// The first minute that is too late, UTC.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "18:00"))]
    pub to: TimeOfDay,
}

/// A minute of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

/// The text is no time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a time of the day is 00:00 to 23:59, UTC")]
pub struct TimeError;

impl ActiveHours {
    /// Whether they begin when they end: nobody means that.
    pub fn are_empty(self) -> bool {
        self.from == self.to
    }

    /// Whether this moment is within them.
    pub fn include(self, at: Timestamp) -> bool {
        let now = TimeOfDay::of(at);
        if self.from <= self.to {
            self.from <= now && now < self.to
        } else {
            self.from <= now || now < self.to
        }
    }
}

impl TimeOfDay {
    fn of(at: Timestamp) -> Self {
        let time = at.to_zoned(TimeZone::UTC).time();
        let clamped = |value: i8| u8::try_from(value).unwrap_or(0);
        Self {
            hour: clamped(time.hour()),
            minute: clamped(time.minute()),
        }
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let (hour, minute) = text.split_once(':').ok_or(TimeError)?;
        let number = |text: &str, below: u8| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.then(|| text.parse::<u8>().ok()).flatten();
            number.filter(|number| *number < below).ok_or(TimeError)
        };
        Ok(Self {
            hour: number(hour, 24)?,
            minute: number(minute, 60)?,
        })
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = TimeError;

    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:02}:{:02}", self.hour, self.minute))
    }
}
