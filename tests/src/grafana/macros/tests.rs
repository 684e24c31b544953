use super::*;

/// 2014-11-12T11:45:26.123Z to 2015-11-12T11:45:26.456Z, as in the plugin's own tests.
fn context() -> Context {
    let variables = Variables::default()
        .with("workspace", Value::All)
        .with("agent", Value::Several(vec!["a".into(), "b)".into()]))
        .with("host", Value::One(String::new()));
    Context {
        window: Window {
            from_ms: 1_415_792_726_123,
            to_ms: 1_447_328_726_456,
        },
        interval_ms: 60_000,
        variables,
    }
}

#[test]
fn every_macro_expands_as_in_the_plugin() {
    for (sql, expected) in [
        (
            "select $__timeInterval($__fromTime)",
            "select toStartOfInterval(toDateTime(toDateTime(1415792726)), INTERVAL 60 second)",
        ),
        (
            "where $__timeFilter(at)",
            "where at >= toDateTime(1415792726) AND at <= toDateTime(1447328726)",
        ),
        (
            "$__timeFilter(coalesce(closed, $__toTime))",
            "coalesce(closed, toDateTime(1447328726)) >= toDateTime(1415792726) AND \
             coalesce(closed, toDateTime(1447328726)) <= toDateTime(1447328726)",
        ),
        (
            "$__timeFilter_ms(at)",
            "at >= fromUnixTimestamp64Milli(1415792726123) AND at <= fromUnixTimestamp64Milli(1447328726456)",
        ),
        (
            "$__timeInterval_ms(at)",
            "toStartOfInterval(toDateTime64(at, 3), INTERVAL 60000 millisecond)",
        ),
        (
            "$__dateFilter(day)",
            "day >= toDate('2014-11-12') AND day <= toDate('2015-11-12')",
        ),
        (
            "$__dt(day, at)",
            "(day >= toDate('2014-11-12') AND day <= toDate('2015-11-12')) AND \
             (at >= toDateTime(1415792726) AND at <= toDateTime(1447328726))",
        ),
        (
            "$__timeFrom(a) or $__timeTo( b )",
            "a >= toDateTime(1415792726) or b <= toDateTime(1447328726)",
        ),
        ("$__fromTime_ms", "fromUnixTimestamp64Milli(1415792726123)"),
        ("$__interval_s", "60"),
        ("f(')', 'it\\'s', $__interval_s)", "f(')', 'it\\'s', 60)"),
    ] {
        assert_eq!(expand(sql, &context()).unwrap(), expected);
    }
}

#[test]
fn a_condition_holds_only_while_something_is_chosen() {
    for (sql, expected) in [
        (
            "$__conditionalAll(w IN (${workspace:singlequote}), $workspace) and x",
            "1=1 and x",
        ),
        (
            "$__conditionalAll(a IN (${agent:singlequote}), $agent)",
            "a IN ('a','b)')",
        ),
        ("$__conditionalAll(h = '$host', $host)", "1=1"),
    ] {
        assert_eq!(expand(sql, &context()).unwrap(), expected);
    }
}

#[test]
fn what_grafana_would_refuse_is_refused() {
    for sql in [
        "$__timeFilter",
        "$__timeFilter(at",
        "$__timeFilter(at, b)",
        "$__nothing(at)",
        "w IN ($workspace)",
        "$__conditionalAll(w = 1, $nobody)",
        "$__conditionalAll(w = 1)",
    ] {
        assert!(expand(sql, &context()).is_err(), "{sql}");
    }
}

#[test]
fn buckets_are_never_narrower_than_a_second() {
    let narrow = Context {
        interval_ms: 20,
        ..context()
    };
    assert_eq!(expand("$__interval_s", &narrow).unwrap(), "1");
}
