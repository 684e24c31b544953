//! The services' metrics against all that names them: the page, the dashboards, the rules, the runbook.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the services register.
mod catalogue;

/// What expressions ask for.
mod promql;

/// The rules, as they are read.
mod rules;

/// `dashboards/METRICS.md`.
mod page;

use catalogue::Catalogue;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// Runs promtool beside the rules; its complaint fails the test.
fn promtool(arguments: &[&str], input: &str) {
    let child = Command::new("promtool")
        .args(arguments)
        .current_dir(folder().join("prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("promtool cannot be started ({error}): install prometheus, as README.md says")
    });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let done = child.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "promtool {arguments:?}\n{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Every expression of the dashboards, with the file that it is in.
fn dashboards() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder().join("grafana")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "json") {
            let text = fs::read_to_string(&path).unwrap();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
            expressions(&dashboard, &mut |expression| {
                found.push((file.clone(), promql::without_variables(expression)));
            });
        }
    }
    found
}

fn expressions(value: &serde_json::Value, found: &mut impl FnMut(&str)) {
    for value in value.as_array().into_iter().flatten() {
        expressions(value, found);
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(expression) if name == "expr" => found(expression),
            _ => expressions(value, found),
        }
    }
}

/// Every expression there is, with where it is.
fn all_expressions() -> Vec<(String, String)> {
    let rules = rules::read().into_iter();
    let rules = rules.map(|rule| (rule.name().to_owned(), rule.expr));
    rules.chain(dashboards()).collect()
}

#[test]
fn every_metric_that_a_dashboard_or_a_rule_asks_for_is_one_that_a_service_has() {
    let catalogue = Catalogue::of_all_services();
    let rules = rules::read();
    let recorded: BTreeSet<&str> = rules
        .iter()
        .filter_map(|rule| rule.record.as_deref())
        .collect();
    let (mut faults, mut selectors) = (Vec::new(), Vec::new());
    for (place, expression) in all_expressions() {
        match promql::asked(&expression) {
            Ok(asked) => selectors.extend(asked.into_iter().map(|one| (place.clone(), one))),
            Err(error) => faults.push(format!("{place}: {error} in {expression}")),
        }
    }
    for (place, selector) in &selectors {
        if let Err(fault) = catalogue.check(selector, &recorded) {
            faults.push(format!("{place}: {fault}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(selectors.len() > 150, "dashboards and rules were read");
}

#[test]
fn every_metric_is_in_a_dashboard_or_a_rule_or_has_a_reason_not_to_be() {
    let catalogue = Catalogue::of_all_services();
    let mut unused: BTreeSet<String> = catalogue.names().map(ToOwned::to_owned).collect();
    for (_, expression) in all_expressions() {
        for selector in promql::asked(&expression).unwrap() {
            unused.remove(catalogue.base(&selector.metric));
        }
    }
    let excused: BTreeSet<String> = page::IN_NO_DASHBOARD
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(unused, excused, "what nothing shows, and what has a reason");
}

#[test]
fn the_page_lists_every_metric_as_it_is() {
    let page = page::of(&Catalogue::of_all_services());
    let path = folder().join("METRICS.md");
    if std::env::var_os("X402_REGENERATE_METRICS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "dashboards/METRICS.md is not current; write it anew with \
         X402_REGENERATE_METRICS=1 cargo test -p x402-tests --test e2e metrics"
    );
}

#[test]
fn every_alert_has_an_entry_in_the_runbook_and_every_entry_an_alert() {
    let runbook = fs::read_to_string(folder().join("prometheus/RUNBOOK.md")).unwrap();
    let entries: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let rules = rules::read();
    let mut alerts = BTreeSet::new();
    for rule in &rules {
        let Some(alert) = rule.alert.as_deref() else {
            continue;
        };
        assert!(alerts.insert(alert), "{alert} is there twice");
        let url = format!("RUNBOOK.md#{}", alert.to_lowercase());
        assert_eq!(rule.annotation("runbook_url"), Some(url.as_str()));
        assert!(rule.annotation("summary").is_some(), "{alert}");
        let severity = rule.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("page" | "ticket")), "{alert}");
        let said = format!("## {alert}\n\n*{}.*", severity.unwrap());
        assert!(runbook.contains(&said), "the runbook begins: {said}");
    }
    assert_eq!(alerts, entries);
}

#[test]
fn every_alert_has_a_case_that_fires_and_one_that_does_not() {
    let mut fires = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for (alert, is_firing) in rules::cases() {
        let side = if is_firing { &mut fires } else { &mut silent };
        side.insert(alert);
    }
    let rules = rules::read();
    let alerts: BTreeSet<String> = rules.into_iter().filter_map(|rule| rule.alert).collect();
    assert_eq!(fires, alerts);
    assert_eq!(silent, alerts);
}

#[test]
fn promtool_finds_no_fault_in_rules_and_configuration_and_every_alert_does_as_its_cases_say() {
    promtool(
        &[
            "check",
            "config",
            "--lint=all",
            "--lint-fatal",
            "prometheus.yml",
        ],
        "",
    );
    promtool(
        &[
            "check",
            "rules",
            "--lint=all",
            "--lint-fatal",
            "x402.rules.yml",
        ],
        "",
    );
    let mut tests = vec!["test".to_owned(), "rules".to_owned()];
    tests.extend(rules::case_files());
    let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
    promtool(&tests, "");
}

#[test]
fn promtool_finds_no_fault_in_the_metrics_of_any_service() {
    promtool(&["check", "metrics"], &Catalogue::text());
}
