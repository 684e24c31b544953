//! What is wrong with a dashboard's file that can be seen without asking anybody: rules of Grafana's own linter, and of ours
//! for the traps of ClickHouse.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::dashboard::{Dashboard, Panel};

/// The kinds of panel that are drawn in our tests.
const KINDS: [&str; 5] = ["row", "stat", "timeseries", "bargauge", "table"];
/// The sources, as variables.
const SOURCES: [(&str, &str); 2] = [
    ("prometheus", "${prometheus}"),
    ("grafana-clickhouse-datasource", "${clickhouse}"),
];
/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;
/// Columns of our tables that hold times: a bucket of one of these names would take its place in WHERE.
const TIMES: [&str; 8] = [
    "at",
    "hour",
    "day",
    "paid_at",
    "quoted_at",
    "block_time",
    "settled_at",
    "ended_at",
];
/// How columns end that promise every digit, and what such a column is made by.
const EXACT: [&str; 2] = [" (MNEE)\"", " (ETH)\""];
const EXACTLY: &str = "toDecimal256('1000000000000000000', 0))";

/// Everything that is wrong with the dashboards.
pub fn lint(dashboards: &[Dashboard]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut uids = BTreeSet::new();
    for dashboard in dashboards {
        let mut say = |what: String| wrong.push(format!("{}: {what}", dashboard.uid));
        if !uids.insert(&dashboard.uid) {
            say("another dashboard has the same uid".to_owned());
        }
        whole(dashboard, &mut say);
        let mut ids = BTreeSet::new();
        for panel in &dashboard.panels {
            if !ids.insert(panel.id) {
                say(format!("two panels have the id {}", panel.id));
            }
            let json = panel_json(dashboard, panel);
            placed(panel, json, &mut say);
            if panel.kind != "row" {
                shown(panel, json, &mut say);
                asked(panel, json, &mut say);
            }
        }
        apart(dashboard, &mut say);
    }
    wrong
}

fn panel_json<'a>(dashboard: &'a Dashboard, panel: &Panel) -> &'a Json {
    let panels = dashboard.json["panels"].as_array().unwrap();
    let found = panels.iter().find(|one| one["id"] == panel.id);
    found.expect("every panel is in its dashboard")
}

fn whole(dashboard: &Dashboard, say: &mut impl FnMut(String)) {
    let json = &dashboard.json;
    for (key, expected) in [
        ("schemaVersion", Json::from(42)),
        ("editable", Json::from(false)),
        ("timezone", Json::from("utc")),
    ] {
        if json[key] != expected {
            say(format!("{key} is {} and not {expected}", json[key]));
        }
    }
    if json.get("id").is_some() || json.get("__inputs").is_some() {
        say("it is an export of one installation".to_owned());
    }
    for (kind, uid) in SOURCES {
        let used = json.to_string().contains(uid);
        let variable = dashboard.templating.list.iter().any(|one| {
            one.kind == "datasource" && one.query == kind && uid == format!("${{{}}}", one.name)
        });
        if used != variable {
            say(format!("{uid} is used: {used}, and a variable: {variable}"));
        }
    }
}

fn placed(panel: &Panel, json: &Json, say: &mut impl FnMut(String)) {
    let place = |key: &str| json["gridPos"][key].as_u64().unwrap_or(0);
    let end = place("x").saturating_add(place("w"));
    if place("w") == 0 || place("h") == 0 || end > COLUMNS {
        say(format!("{} is not on the grid", panel.title));
    }
    if !KINDS.contains(&panel.kind.as_str()) {
        say(format!(
            "{} is a {}, which no test draws",
            panel.title, panel.kind
        ));
    }
}

fn shown(panel: &Panel, json: &Json, say: &mut impl FnMut(String)) {
    let title = &panel.title;
    let text = |value: &Json| value.as_str().is_some_and(|text| !text.trim().is_empty());
    if title.is_empty() || !text(&json["description"]) {
        say(format!("{title:?} lacks a title or a description"));
    }
    let defaults = &json["fieldConfig"]["defaults"];
    if !text(&defaults["unit"]) {
        say(format!("{title} has no unit"));
    }
    let steps = defaults["thresholds"]["steps"].as_array();
    if steps.is_none_or(|steps| steps.first().is_none_or(|step| !step["value"].is_null())) {
        say(format!(
            "{title} leaves its thresholds to Grafana: red above 80"
        ));
    }
    if panel.kind == "table" && defaults["unit"] != "string" {
        say(format!(
            "{title} makes numbers of texts that look like one: its unit is not string"
        ));
    }
    if panel.kind == "bargauge" && defaults["min"] != 0 {
        say(format!(
            "{title} draws its least value as nothing: min is not 0"
        ));
    }
}

fn asked(panel: &Panel, json: &Json, say: &mut impl FnMut(String)) {
    let title = &panel.title;
    let mut letters = BTreeSet::new();
    if panel.targets.is_empty() {
        say(format!("{title} asks nothing"));
    }
    for (target, json) in panel
        .targets
        .iter()
        .zip(json["targets"].as_array().unwrap())
    {
        if target.ref_id.is_empty() || !letters.insert(&target.ref_id) {
            say(format!(
                "{title} has a question without a letter of its own"
            ));
        }
        let source = (
            json["datasource"]["type"].as_str(),
            json["datasource"]["uid"].as_str(),
        );
        let expected = if target.expr.is_some() {
            SOURCES[0]
        } else {
            SOURCES[1]
        };
        if source != (Some(expected.0), Some(expected.1)) {
            say(format!("{title} asks {source:?}, which is no variable"));
        }
        match (&target.raw_sql, &target.expr) {
            (Some(sql), _) => sql_asked(panel, sql, target.format == 0, say),
            (_, Some(expr)) => {
                promql_asked(title, expr, &target.legend_format, target.instant, say);
            }
            _ => say(format!("{title} has a question without words")),
        }
    }
}

fn sql_asked(panel: &Panel, sql: &str, is_series: bool, say: &mut impl FnMut(String)) {
    let title = &panel.title;
    if is_series != (panel.kind == "timeseries") {
        say(format!("{title} is a {} with the wrong format", panel.kind));
    }
    if is_series && !(sql.ends_with("ORDER BY time") && sql.contains(" AS time")) {
        say(format!("{title} is not sorted by time"));
    }
    for time in TIMES {
        if sql.contains(&format!(") AS {time} ")) || sql.contains(&format!(") AS {time},")) {
            say(format!(
                "{title}: WHERE reads the bucket {time} instead of the column"
            ));
        }
    }
    for exact in EXACT {
        for column in sql.rsplit(exact).skip(1) {
            let made = column
                .rsplit_once(" AS \"")
                .map_or(column, |(made, _)| made);
            if !made.ends_with(EXACTLY) {
                say(format!("{title} shows a column of{exact} that is a float"));
            }
        }
    }
    if sql.contains("--") || sql.contains("/*") {
        say(format!("{title} has a comment, which the plugin cuts out"));
    }
}

fn promql_asked(
    title: &str,
    expr: &str,
    legend: &str,
    is_instant: bool,
    say: &mut impl FnMut(String),
) {
    if legend.is_empty() {
        say(format!("{title} has a legend of labels"));
    }
    let range = if is_instant {
        "[$__range]"
    } else {
        "[$__rate_interval]"
    };
    for function in ["rate(", "increase(", "deriv("] {
        for call in expr.split(function).skip(1) {
            let inside = call.split_once(']').map_or(call, |(inside, _)| inside);
            if !format!("{inside}]").ends_with(range) {
                say(format!("{title}: {function}…) is not over {range}"));
            }
        }
    }
}

/// No two panels share a cell.
fn apart(dashboard: &Dashboard, say: &mut impl FnMut(String)) {
    let mut cells = BTreeSet::new();
    for panel in dashboard.json["panels"].as_array().unwrap() {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or(0);
        let end = |from: &str, size: &str| at(from).saturating_add(at(size));
        let rows = at("y")..end("y", "h");
        let overlaps = rows
            .flat_map(|y| (at("x")..end("x", "w")).map(move |x| (x, y)))
            .filter(|cell| !cells.insert(*cell))
            .count();
        if overlaps > 0 {
            say(format!("{} lies on another panel", panel["title"]));
        }
    }
}

#[cfg(test)]
mod tests;
