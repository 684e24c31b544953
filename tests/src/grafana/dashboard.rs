//! The committed dashboards.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::variables::{Value, Variables};

/// A dashboard, as far as asking its questions needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct Dashboard {
    /// Its name in URLs, and of its file.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// What it shows at first.
    pub time: Time,
    /// Its variables.
    pub templating: Templating,
    /// Its panels, rows among them.
    pub panels: Vec<Panel>,
    /// All of it.
    #[serde(skip)]
    pub json: Json,
}

/// A dashboard's first time.
#[derive(Clone, Debug, Deserialize)]
pub struct Time {
    /// Such as `now-6h`.
    pub from: String,
}

/// A dashboard's variables.
#[derive(Clone, Debug, Deserialize)]
pub struct Templating {
    /// In the order in which they depend on each other.
    pub list: Vec<Variable>,
}

/// A variable.
#[derive(Clone, Debug, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// `datasource`, `query`, `textbox` or `custom`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it stands for at first.
    #[serde(default)]
    pub current: Map<String, Json>,
    /// Where its choices come from.
    #[serde(default)]
    pub query: Json,
}

/// A panel, or the title of a row of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    /// Its number in the dashboard.
    pub id: u32,
    /// `row`, or how it is drawn.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// The narrowest bucket that it asks for, such as `1m`.
    pub interval: Option<String>,
    /// Its questions.
    #[serde(default)]
    pub targets: Vec<Target>,
}

/// A question.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its letter.
    pub ref_id: String,
    /// Of ClickHouse.
    pub raw_sql: Option<String>,
    /// 0: a time series; 1: a table.
    #[serde(default)]
    pub format: Json,
    /// Of Prometheus.
    pub expr: Option<String>,
    /// Whether only the end of the time is asked for.
    #[serde(default)]
    pub instant: bool,
    /// How series are called.
    #[serde(default)]
    pub legend_format: String,
}

/// The folder of the project's dashboards.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// Every committed dashboard, by name.
pub fn committed() -> Vec<Dashboard> {
    let files = fs::read_dir(folder().join("grafana")).expect("the dashboards are there");
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Dashboard {
    let text = fs::read_to_string(path).unwrap();
    parsed(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A dashboard from its JSON.
///
/// # Errors
/// If it is none.
pub fn parsed(text: &str) -> serde_json::Result<Dashboard> {
    let dashboard: Dashboard = serde_json::from_str(text)?;
    let json = serde_json::from_str(text)?;
    Ok(Dashboard { json, ..dashboard })
}

impl Dashboard {
    /// The panels that show something.
    pub fn shown(&self) -> impl Iterator<Item = &Panel> {
        self.panels.iter().filter(|panel| panel.kind != "row")
    }

    /// What the variables stand for when the dashboard is opened.
    pub fn first_values(&self) -> Variables {
        let chosen = |variable: &Variable| match variable.current.get("value") {
            Some(Json::String(value)) if value == "$__all" => Value::All,
            Some(Json::String(value)) => Value::One(value.clone()),
            other => panic!("{} of {} stands for {other:?}", variable.name, self.uid),
        };
        let variables = self.templating.list.iter();
        variables
            .filter(|variable| variable.kind != "datasource")
            .fold(Variables::default(), |all, variable| {
                all.with(&variable.name, chosen(variable))
            })
    }
}

impl Panel {
    /// The narrowest bucket that it asks for, in milliseconds.
    pub fn interval_ms(&self) -> Option<i64> {
        let interval = self.interval.as_deref()?;
        let (count, unit) = interval.split_at(interval.len().saturating_sub(1));
        let unit = match unit {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => panic!("{interval} is no interval"),
        };
        count.parse::<i64>().unwrap().checked_mul(unit)
    }
}

impl Variable {
    /// The SQL that its choices come from, of a query of ClickHouse.
    pub fn raw_sql(&self) -> Option<&str> {
        self.query.get("rawSql").and_then(Json::as_str)
    }
}
