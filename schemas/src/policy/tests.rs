use super::*;

fn pattern(text: &str) -> HostPattern {
    text.parse().unwrap()
}

fn hours(from: &str, to: &str) -> ActiveHours {
    ActiveHours {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    }
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-22T{time}Z").parse().unwrap()
}

#[test]
fn a_pattern_means_its_host_or_every_host_below_and_nothing_else() {
    for (text, host, means) in [
        ("api.example.com", "api.example.com", true),
        ("api.example.com", "api.example.com.", true),
        ("api.example.com", "x.api.example.com", false),
        ("api.example.com", "api.example.com.evil.net", false),
        ("*.example.com", "api.example.com", true),
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("*.example.com", "evilexample.com", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("[::1]", "[::1]", true),
    ] {
        assert_eq!(pattern(text).matches(host), means, "{text} and {host}");
    }
}

#[test]
fn other_texts_are_no_patterns() {
    for text in [
        "",
        "*",
        "*.",
        "*.*.com",
        "API.example.com",
        "https://a.com",
        "a.com:80",
        "a.com/x",
        "a..b",
        ".a.com",
        "bücher.example",
        &"a".repeat(254),
    ] {
        assert_eq!(text.parse::<HostPattern>(), Err(HostError), "{text}");
    }
}

#[test]
fn active_hours_are_of_the_utc_day_and_may_go_over_midnight() {
    let day = hours("08:00", "18:00");
    let night = hours("22:30", "06:00");
    for (time, by_day, by_night) in [
        ("00:00:00", false, true),
        ("05:59:59.999", false, true),
        ("06:00:00", false, false),
        ("07:59:59.999", false, false),
        ("08:00:00", true, false),
        ("17:59:59", true, false),
        ("18:00:00", false, false),
        ("22:29:59", false, false),
        ("22:30:00", false, true),
    ] {
        assert_eq!(
            (day.include(at(time)), night.include(at(time))),
            (by_day, by_night),
            "{time}"
        );
    }
    for text in ["24:00", "8:00", "08:60", "0800", "", "08:00:00", "+1:00"] {
        assert_eq!(text.parse::<TimeOfDay>(), Err(TimeError), "{text}");
    }
}

type Change = fn(&mut Policy);

#[test]
fn a_policy_that_cannot_be_kept_is_refused() {
    let amount = Amount::ZERO;
    let fine = Policy::new(amount, amount, amount, vec![AllowedProvider::Anyone]);
    assert_eq!(fine.check(), Ok(()));
    let window = |hours| RollingLimit {
        hours,
        limit: Amount::ZERO,
    };
    assert_eq!(
        Policy {
            rolling: vec![window(MAX_WINDOW_HOURS); MAX_WINDOWS],
            ..fine.clone()
        }
        .check(),
        Ok(())
    );
    for hours in [0, MAX_WINDOW_HOURS + 1] {
        let policy = Policy {
            rolling: vec![window(hours)],
            ..fine.clone()
        };
        assert_eq!(policy.check(), Err(PolicyError::Rolling));
    }
    let cases: [(PolicyError, Change); 5] = [
        (PolicyError::LongList, |policy| {
            policy.denied_providers = vec![Address::ZERO; MAX_LISTED + 1];
        }),
        (PolicyError::Rolling, |policy| {
            policy.rolling = vec![
                RollingLimit {
                    hours: 1,
                    limit: Amount::ZERO
                };
                MAX_WINDOWS + 1
            ];
        }),
        (PolicyError::Rate, |policy| {
            policy.payments_per_minute = Some(0);
        }),
        (PolicyError::Duplicate, |policy| {
            policy.duplicate_within_seconds = Some(0);
        }),
        (PolicyError::ActiveHours, |policy| {
            policy.active_hours = Some(hours("08:00", "08:00"));
        }),
    ];
    for (error, change) in cases {
        let mut policy = fine.clone();
        change(&mut policy);
        assert_eq!(policy.check(), Err(error));
    }
}

#[test]
fn a_policy_survives_the_trip_through_json_and_needs_only_four_rules() {
    let least = r#"{"perRequest":"1","daily":"2","monthly":"3","allowedProviders":["*"]}"#;
    let policy: Policy = serde_json::from_str(least).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), least);
    let all = Policy {
        denied_providers: vec![Address::repeat_byte(1)],
        allowed_hosts: Some(vec![pattern("*.example.com")]),
        denied_hosts: vec![pattern("bad.example.com")],
        networks: Some(vec![Network::MAINNET]),
        rolling: vec![RollingLimit {
            hours: 24,
            limit: Amount::ZERO,
        }],
        total: Some(Amount::ZERO),
        payments_per_minute: Some(10),
        duplicate_within_seconds: Some(60),
        active_hours: Some(hours("08:00", "18:00")),
        expires_at: Some(at("12:00:00")),
        approval_above: Some(Amount::ZERO),
        ..policy
    };
    let text = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), all);
    assert!(all.allows_host("api.example.com") && !all.allows_host("bad.example.com"));
    assert!(!all.allows_payee(Address::repeat_byte(1)) && !all.allows_network(Network::DEVNET));
}
