//! Asks the real ClickHouse and the real Prometheus what a panel asks, and answers with Grafana's frames.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil, tz::TimeZone};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    dashboard::{Panel, Target},
    frames::{Config, Field, Frame, Kind},
    macros::{Context, expand},
    variables::Value,
};

const MILLIS: i64 = 1_000;
/// Scrapes that a rate has to span, as Grafana reckons.
const RATE_SCRAPES: i64 = 4;

/// Where the answers are.
#[derive(Clone, Debug)]
pub struct Sources {
    /// ClickHouse over HTTP, with the user and the password of whoever asks.
    pub clickhouse: Url,
    /// The index's database.
    pub database: String,
    /// Prometheus.
    pub prometheus: Url,
    /// Seconds between two scrapes, as its data source in Grafana is told.
    pub scrape_seconds: i64,
    /// Asks.
    pub http: Client,
}

#[derive(Deserialize)]
struct ClickHouseAnswer {
    meta: Vec<Column>,
    data: Vec<Vec<Json>>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct PrometheusAnswer {
    #[serde(default)]
    error: String,
    data: Option<PrometheusResult>,
}

#[derive(Deserialize)]
struct PrometheusResult {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    value: Option<(f64, String)>,
}

impl Sources {
    /// The answers to all of a panel's questions.
    ///
    /// # Errors
    /// What the source said, or what is wrong with the question.
    pub async fn answer(&self, panel: &Panel, context: &Context) -> Result<Vec<Frame>, String> {
        let mut frames = Vec::new();
        for target in &panel.targets {
            let answered = match (&target.raw_sql, &target.expr) {
                (Some(sql), None) => self.sql(sql, target, context).await.map(|one| vec![one]),
                (None, Some(expr)) => self.promql(expr, target, context).await,
                _ => Err("neither SQL nor PromQL".to_owned()),
            };
            let of = |error| format!("{} {}: {error}", panel.title, target.ref_id);
            frames.extend(answered.map_err(of)?);
        }
        Ok(frames)
    }

    async fn sql(&self, sql: &str, target: &Target, context: &Context) -> Result<Frame, String> {
        let sql = expand(sql, context).map_err(|error| error.to_string())?;
        let frame = self.table(&sql, &target.ref_id).await?;
        match target.format.as_i64() {
            // The plugin has no frame, and no complaint, for a time series without rows.
            Some(0) if frame.rows() > 0 => frame.widened(),
            Some(0 | 1) => Ok(frame),
            _ => Err(format!("format {} is not drawn", target.format)),
        }
    }

    /// What ClickHouse answers to expanded SQL.
    ///
    /// # Errors
    /// What it said instead.
    pub async fn table(&self, sql: &str, ref_id: &str) -> Result<Frame, String> {
        let query = [
            ("database", self.database.as_str()),
            ("default_format", "JSONCompact"),
        ];
        let url = with_query(self.clickhouse.clone(), &query);
        let request = self.http.post(url).body(sql.to_owned());
        let answer = request.send().await.map_err(told)?;
        let refused = !answer.status().is_success();
        let text = answer.text().await.map_err(told)?;
        if refused {
            return Err(text);
        }
        let answer: ClickHouseAnswer = serde_json::from_str(&text).map_err(told)?;
        let fields = answer.meta.iter().enumerate().map(|(place, column)| {
            let kind = kind(&column.kind);
            let values = answer.data.iter().map(|row| value(kind, &row[place]));
            Ok(Field::new(
                &column.name,
                kind,
                values.collect::<Result<_, String>>()?,
            ))
        });
        Ok(Frame {
            ref_id: ref_id.to_owned(),
            fields: fields.collect::<Result<_, String>>()?,
        })
    }

    async fn promql(
        &self,
        expr: &str,
        target: &Target,
        context: &Context,
    ) -> Result<Vec<Frame>, String> {
        let step = context
            .interval_ms
            .div_euclid(MILLIS)
            .max(self.scrape_seconds);
        let rate = step
            .saturating_add(self.scrape_seconds)
            .max(self.scrape_seconds.saturating_mul(RATE_SCRAPES));
        let seconds = |count: i64| Value::One(format!("{count}s"));
        let variables = (context.variables.clone())
            .with("__interval", seconds(step))
            .with("__rate_interval", seconds(rate))
            .with("__range", seconds(context.window.seconds()));
        let expr = variables
            .put_into(expr)
            .map_err(|error| error.to_string())?;
        let window = context.window;
        let aligned = |ms: i64| {
            let at = ms.div_euclid(MILLIS);
            at.saturating_sub(at.rem_euclid(step)).to_string()
        };
        let (path, times) = if target.instant {
            let at = window.to_ms.div_euclid(MILLIS).to_string();
            ("api/v1/query", vec![("time", at)])
        } else {
            let (start, end) = (aligned(window.from_ms), aligned(window.to_ms));
            let step = step.to_string();
            (
                "api/v1/query_range",
                vec![("start", start), ("end", end), ("step", step)],
            )
        };
        let url = self.prometheus.join(path).map_err(told)?;
        let url = with_query(with_query(url, &[("query", expr)]), &times);
        let answer = self.http.get(url).send().await;
        let answer: PrometheusAnswer = answer.map_err(told)?.json().await.map_err(told)?;
        let result = answer.data.ok_or(answer.error)?.result;
        Ok(result.into_iter().map(|one| series(one, target)).collect())
    }
}

fn with_query(mut url: Url, pairs: &[(&str, impl AsRef<str>)]) -> Url {
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

fn told(error: impl std::error::Error) -> String {
    error.to_string()
}

/// The kind that Grafana makes of ClickHouse's.
fn kind(of: &str) -> Kind {
    let bare = of.replace("LowCardinality(", "").replace("Nullable(", "");
    if bare.starts_with("Date") {
        Kind::Time
    } else if ["UInt", "Int", "Float", "Decimal"]
        .iter()
        .any(|start| bare.starts_with(start))
    {
        Kind::Number
    } else {
        Kind::String
    }
}

fn value(kind: Kind, raw: &Json) -> Result<Json, String> {
    let Some(text) = raw.as_str() else {
        return Ok(raw.clone());
    };
    match kind {
        Kind::String => Ok(raw.clone()),
        Kind::Number => Ok(text.parse::<f64>().map_err(told)?.into()),
        Kind::Time => {
            let civil: civil::DateTime = text.parse().map_err(told)?;
            let at = civil.to_zoned(TimeZone::UTC).map_err(told)?;
            Ok(Timestamp::from(at).as_millisecond().into())
        }
    }
}

fn series(series: Series, target: &Target) -> Frame {
    let points = series.values.iter().chain(&series.value);
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (at, text) in points {
        // Whole seconds: that is what we asked for.
        times.push(Json::from(
            Timestamp::from_second(seconds(*at))
                .unwrap_or_default()
                .as_millisecond(),
        ));
        values.push(text.parse::<f64>().map_or(Json::Null, Json::from));
    }
    let value = Field {
        config: Config {
            display_name: Some(legend(&target.legend_format, &series.metric)),
        },
        labels: series.metric,
        ..Field::new("Value", Kind::Number, values)
    };
    Frame {
        ref_id: target.ref_id.clone(),
        fields: vec![Field::new("time", Kind::Time, times), value],
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "seconds of a clock fit, and there is no other way from a float"
)]
fn seconds(at: f64) -> i64 {
    at as i64
}

/// `{{label}}` in a legend is the series' label.
fn legend(format: &str, labels: &BTreeMap<String, String>) -> String {
    labels
        .iter()
        .fold(format.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{{name}}}}}"), value)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_arrive_as_grafana_has_them() {
        for (of, raw, expected) in [
            ("LowCardinality(String)", json!("a"), json!("a")),
            (
                "UInt64",
                json!("18446744073709551615"),
                json!(18_446_744_073_709_551_615.0),
            ),
            ("Nullable(Decimal(76, 18))", json!("0.05"), json!(0.05)),
            ("Float64", json!(0.5), json!(0.5)),
            ("DateTime('UTC')", json!("1970-01-01 00:00:02"), json!(2000)),
            (
                "DateTime64(3, 'UTC')",
                json!("1970-01-01 00:00:02.345"),
                json!(2345),
            ),
            ("Date", json!("1970-01-02"), json!(86_400_000)),
        ] {
            assert_eq!(value(kind(of), &raw).unwrap(), expected, "{of}");
        }
        assert_eq!(kind("Array(String)"), Kind::String);
        assert!(value(Kind::Number, &json!("five")).is_err());
    }

    #[test]
    fn a_legend_names_series_by_their_labels() {
        let labels = BTreeMap::from([("code".to_owned(), "A".to_owned())]);
        assert_eq!(legend("{{code}} of {{none}}", &labels), "A of {{none}}");
    }
}
