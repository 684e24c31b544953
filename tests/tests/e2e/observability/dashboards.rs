//! The dashboards on the demo's traffic: every question has an answer, every panel can be drawn.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use x402_service::clock;
use x402_tests::{
    demo::Demo,
    grafana::{
        answers::unanswered,
        browser::{Gallery, complaints},
        dashboard::committed,
        macros::Window,
        sources::Sources,
    },
    prometheus::{Prometheus, SCRAPE_SECONDS},
};

/// How long it may take until everything that a panel shows has happened.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until every panel has something to show of what happened since `from`, and draws all of them.
pub(super) async fn all_show_something(demo: &Demo, prometheus: &Prometheus, from: Timestamp) {
    let sources = Sources {
        clickhouse: demo.clickhouse.clone(),
        database: "x402".to_owned(),
        prometheus: prometheus.url.clone(),
        scrape_seconds: SCRAPE_SECONDS,
        http: reqwest::Client::new(),
    };
    let window = || Window {
        from_ms: from.as_millisecond(),
        to_ms: clock::now().as_millisecond(),
    };
    let dashboards = committed();
    let begin = Instant::now();
    let mut never = unanswered(&dashboards, &sources, window()).await;
    while !never.is_empty() {
        assert!(never.iter().all(|one| one.error.is_none()), "{never:#?}");
        assert!(begin.elapsed() < PATIENCE, "{never:#?}");
        sleep(Duration::from_secs(1)).await;
        let now = unanswered(&dashboards, &sources, window()).await;
        never.retain(|one| now.contains(one));
    }
    let gallery = Gallery {
        window: window(),
        dashboards: dashboards.clone(),
        sources,
    };
    let mut drawn = gallery.draw(None).await;
    for one in &mut drawn {
        // What was open a moment ago may have settled.
        one.empty
            .retain(|title| title != "Not settled yet, oldest first");
    }
    assert!(complaints(&drawn).is_empty(), "{:#?}", complaints(&drawn));
    let panels: Vec<usize> = drawn.iter().map(|one| one.panels).collect();
    let expected: Vec<usize> = dashboards.iter().map(|one| one.shown().count()).collect();
    assert_eq!(panels, expected);
}
