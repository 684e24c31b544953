//! The rules and their cases, as Prometheus reads them.

use std::{collections::BTreeMap, fs};

use serde::{Deserialize, de::DeserializeOwned};

use super::folder;

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// A recording rule or an alert.
#[derive(Deserialize)]
pub(super) struct Rule {
    pub(super) record: Option<String>,
    pub(super) alert: Option<String>,
    pub(super) expr: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Cases {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    alert_rule_test: Vec<Expectation>,
}

#[derive(Deserialize)]
struct Expectation {
    alertname: String,
    exp_alerts: Vec<serde_json::Value>,
}

impl Rule {
    pub(super) fn name(&self) -> &str {
        let name = self.record.as_deref().or(self.alert.as_deref());
        name.unwrap_or_default()
    }

    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

/// All rules.
pub(super) fn read() -> Vec<Rule> {
    let rules: Rules = parse("x402.rules.yml");
    let groups = rules.groups.into_iter();
    groups.flat_map(|group| group.rules).collect()
}

/// Of every case of an alert, whether it fires.
pub(super) fn cases() -> impl Iterator<Item = (String, bool)> {
    let cases = case_files()
        .into_iter()
        .flat_map(|file| parse::<Cases>(&file).tests);
    cases
        .flat_map(|case| case.alert_rule_test)
        .map(|expected| (expected.alertname, !expected.exp_alerts.is_empty()))
}

/// The files that they are in.
pub(super) fn case_files() -> Vec<String> {
    let files = fs::read_dir(folder().join("prometheus")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".test.yml")).collect()
}

fn parse<T: DeserializeOwned>(file: &str) -> T {
    let text = fs::read_to_string(folder().join("prometheus").join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}
