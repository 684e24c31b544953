//! The macros of Grafana's ClickHouse plugin, expanded as version 4.20 expands them.

use jiff::Timestamp;
use thiserror::Error;

use super::variables::{Value, Variables, reference};

const CONDITION: &str = "$__conditionalAll";
const MILLIS: i64 = 1_000;

/// The time that a dashboard shows, in milliseconds since 1970, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
}

/// What a question is asked with.
#[derive(Clone, Debug)]
pub struct Context {
    /// The time shown.
    pub window: Window,
    /// Width of a bucket, milliseconds.
    pub interval_ms: i64,
    /// The dashboard's variables.
    pub variables: Variables,
}

/// Why a question cannot be asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ExpandError {
    /// Not one of the plugin's, or none that we know.
    #[error("$__{0} is not a macro")]
    Macro(String),
    /// Parentheses or their number.
    #[error("the arguments are not right in {0}")]
    Arguments(String),
    /// No such variable.
    #[error("the dashboard has no variable {0}")]
    Variable(String),
    /// "All" has no text.
    #[error("{0} may be All: use it inside $__conditionalAll")]
    All(String),
    /// A way to write values that is not rebuilt.
    #[error("variables are not written as {0} here")]
    Format(String),
}

impl Window {
    fn first_second(self) -> i64 {
        self.from_ms.div_euclid(MILLIS)
    }

    fn last_second(self) -> i64 {
        self.to_ms.div_euclid(MILLIS)
    }

    /// Seconds from its beginning to its end.
    pub fn seconds(self) -> i64 {
        self.last_second().saturating_sub(self.first_second())
    }
}

/// The SQL that ClickHouse gets for this SQL of a panel: conditions first, then variables, then macros from the innermost out.
///
/// # Errors
/// If it has a macro or a variable that we do not know, or one without the right arguments.
pub fn expand(sql: &str, context: &Context) -> Result<String, ExpandError> {
    let sql = conditions(sql, &context.variables)?;
    let mut sql = context.variables.put_into(&sql)?;
    while let Some((before, call)) = sql.rsplit_once("$__") {
        let (name, _, rest) = reference(call)?;
        let (meaning, rest) = match constant(name, context) {
            Some(meaning) => (meaning, rest),
            None => function(name, rest, context)?,
        };
        sql = format!("{before}{meaning}{rest}");
    }
    Ok(sql)
}

/// `$__conditionalAll(predicate, $variable)`: the predicate, unless everything is chosen.
fn conditions(sql: &str, variables: &Variables) -> Result<String, ExpandError> {
    let mut sql = sql.to_owned();
    while let Some((before, call)) = sql.rsplit_once(CONDITION) {
        let wrong = || ExpandError::Arguments(format!("{CONDITION}{call}"));
        let (arguments, rest) = arguments(call).ok_or_else(wrong)?;
        let [predicate, variable] = arguments.as_slice() else {
            return Err(wrong());
        };
        let (name, _, _) = reference(variable.strip_prefix('$').ok_or_else(wrong)?)?;
        let chosen = match variables.get(name) {
            None => return Err(ExpandError::Variable(name.to_owned())),
            Some(Value::All) => "1=1",
            Some(Value::One(value)) if value.is_empty() => "1=1",
            Some(Value::One(_) | Value::Several(_)) => predicate,
        };
        sql = format!("{before}{chosen}{rest}");
    }
    Ok(sql)
}

fn constant(name: &str, context: &Context) -> Option<String> {
    let window = context.window;
    Some(match name {
        "fromTime" => time(window.first_second()),
        "toTime" => time(window.last_second()),
        "fromTime_ms" => time_ms(window.from_ms),
        "toTime_ms" => time_ms(window.to_ms),
        "interval_s" => seconds(context.interval_ms).to_string(),
        _ => return None,
    })
}

fn function<'a>(
    name: &str,
    call: &'a str,
    context: &Context,
) -> Result<(String, &'a str), ExpandError> {
    let wrong = || ExpandError::Arguments(format!("$__{name}{call}"));
    let unknown = || ExpandError::Macro(name.to_owned());
    let (arguments, rest) = arguments(call).ok_or_else(unknown)?;
    let window = context.window;
    let (from, to) = (window.first_second(), window.last_second());
    let meaning = match (name, arguments.as_slice()) {
        ("timeFilter", [column]) => between(column, &time(from), &time(to)),
        ("timeFilter_ms", [column]) => {
            between(column, &time_ms(window.from_ms), &time_ms(window.to_ms))
        }
        ("dateFilter", [column]) => between(column, &date(from), &date(to)),
        ("dateTimeFilter" | "dt", [day, at]) => {
            let days = between(day, &date(from), &date(to));
            format!("({days}) AND ({})", between(at, &time(from), &time(to)))
        }
        ("timeFrom", [column]) => format!("{column} >= {}", time(from)),
        ("timeTo", [column]) => format!("{column} <= {}", time(to)),
        ("timeInterval", [column]) => buckets(column, seconds(context.interval_ms)),
        ("timeInterval_ms", [column]) => format!(
            "toStartOfInterval(toDateTime64({column}, 3), INTERVAL {} millisecond)",
            context.interval_ms.max(1)
        ),
        (
            "timeFilter" | "timeFilter_ms" | "dateFilter" | "dateTimeFilter" | "dt" | "timeFrom"
            | "timeTo" | "timeInterval" | "timeInterval_ms",
            _,
        ) => return Err(wrong()),
        _ => return Err(unknown()),
    };
    Ok((meaning, rest))
}

fn between(column: &str, from: &str, to: &str) -> String {
    format!("{column} >= {from} AND {column} <= {to}")
}

fn buckets(column: &str, seconds: i64) -> String {
    format!("toStartOfInterval(toDateTime({column}), INTERVAL {seconds} second)")
}

fn seconds(interval_ms: i64) -> i64 {
    interval_ms.div_euclid(MILLIS).max(1)
}

fn time(seconds: i64) -> String {
    format!("toDateTime({seconds})")
}

fn time_ms(millis: i64) -> String {
    format!("fromUnixTimestamp64Milli({millis})")
}

fn date(seconds: i64) -> String {
    let at = Timestamp::from_second(seconds).unwrap_or_default();
    format!("toDate('{}')", at.strftime("%Y-%m-%d"))
}

/// What stands between the parentheses that the text begins with, split at commas, and what follows. None if they do not close.
fn arguments(text: &str) -> Option<(Vec<&str>, &str)> {
    let inner = text.strip_prefix('(')?;
    let (mut depth, mut quote, mut begin) = (0_u32, None, 0);
    let mut found = Vec::new();
    let mut letters = inner.char_indices();
    while let Some((at, letter)) = letters.next() {
        let ends = depth == 0 && quote.is_none() && matches!(letter, ',' | ')');
        if ends {
            found.push(inner.get(begin..at)?.trim());
            begin = at.saturating_add(1);
        }
        match (quote, letter) {
            (None, ')') if ends => return Some((found, inner.get(begin..)?)),
            (None, '\'' | '"' | '`') => quote = Some(letter),
            (None, '(') => depth = depth.saturating_add(1),
            (None, ')') => depth = depth.saturating_sub(1),
            (Some(_), '\\') => {
                letters.next();
            }
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
