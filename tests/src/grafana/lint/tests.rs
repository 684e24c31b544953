use serde_json::json;

use super::*;
use crate::grafana::dashboard::{committed, parsed};

#[test]
fn the_committed_dashboards_have_nothing_wrong() {
    assert_eq!(lint(&committed()), [""; 0]);
}

/// The dashboard about treasuries, which has every kind of panel but one, with one thing changed.
fn after(pointer: &str, value: Json) -> Vec<String> {
    let of = |one: &Dashboard| one.uid == "x402-treasury";
    let mut json = committed().into_iter().find(of).unwrap().json;
    *json.pointer_mut(pointer).expect(pointer) = value;
    lint(&[parsed(&json.to_string()).unwrap()])
}

#[test]
fn each_fault_is_named() {
    let sql = "SELECT hour AS x, toStartOfHour(hour) AS hour FROM spend_hourly";
    let float = "SELECT (amount) / 1e18 AS \"amount (MNEE)\" FROM spend";
    for (pointer, value, complaint) in [
        ("/schemaVersion", json!(36), "schemaVersion"),
        ("/editable", json!(true), "editable"),
        (
            "/templating/list/0/query",
            json!("loki"),
            "a variable: false",
        ),
        ("/panels/1/id", json!(3), "two panels have the id 3"),
        ("/panels/1/type", json!("piechart"), "which no test draws"),
        ("/panels/1/gridPos/w", json!(25), "is not on the grid"),
        ("/panels/2/gridPos/x", json!(0), "lies on another panel"),
        ("/panels/1/description", json!(" "), "lacks a title"),
        ("/panels/1/fieldConfig/defaults/unit", json!(""), "no unit"),
        (
            "/panels/3/fieldConfig/defaults/unit",
            json!("none"),
            "makes numbers of texts",
        ),
        (
            "/panels/1/fieldConfig/defaults/thresholds/steps",
            json!([]),
            "red above 80",
        ),
        ("/panels/1/targets", json!([]), "asks nothing"),
        ("/panels/1/targets/0/refId", json!(""), "without a letter"),
        (
            "/panels/1/targets/0/datasource/uid",
            json!("P1809F7CD0C75ACF3"),
            "which is no variable",
        ),
        ("/panels/1/targets/0/format", json!(0), "the wrong format"),
        (
            "/panels/1/targets/0/rawSql",
            json!(sql),
            "instead of the column",
        ),
        ("/panels/1/targets/0/rawSql", json!(float), "is a float"),
        (
            "/panels/1/targets/0/rawSql",
            json!("SELECT 1 -- one"),
            "comment",
        ),
        (
            "/panels/5/targets/0/rawSql",
            json!("SELECT at AS time"),
            "not sorted by time",
        ),
        (
            "/panels/2/targets/0/legendFormat",
            json!(""),
            "a legend of labels",
        ),
        (
            "/panels/2/targets/0/expr",
            json!("sum(rate(a_total[5m]))"),
            "is not over",
        ),
    ] {
        let wrong = after(pointer, value);
        assert!(
            wrong.iter().any(|one| one.contains(complaint)),
            "{pointer}: {complaint:?} is not in {wrong:?}"
        );
    }
}

#[test]
fn two_dashboards_have_two_uids() {
    let twice: Vec<Dashboard> = committed().into_iter().take(1).cycle().take(2).collect();
    assert!(lint(&twice).iter().any(|one| one.contains("the same uid")));
}
