//! What the dashboards' questions to ClickHouse cost, those of a dashboard together, as many at a time as a browser has
//! Grafana ask.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use reqwest::Url;
use x402_service::clock;
use x402_tests::grafana::{
    answers::context,
    dashboard::{Dashboard, committed},
    macros::{Window, expand},
    sources::Sources,
};

use crate::{ASKED, DATABASE};

/// The time shown.
const SHOWN: Duration = Duration::from_hours(30 * 24);
/// Requests that a browser makes to one host at a time.
const AT_ONCE: usize = 6;

/// The median of each dashboard that asks ClickHouse, by title.
pub(crate) async fn times(clickhouse: &Url) -> Vec<(String, Duration)> {
    let sources = Sources {
        clickhouse: clickhouse.clone(),
        database: DATABASE.to_owned(),
        prometheus: clickhouse.clone(),
        scrape_seconds: 15,
        http: reqwest::Client::new(),
    };
    let to_ms = clock::now().as_millisecond();
    let shown_ms = i64::try_from(SHOWN.as_millis()).unwrap();
    let window = Window {
        from_ms: to_ms.saturating_sub(shown_ms),
        to_ms,
    };
    let mut times = Vec::new();
    for dashboard in committed() {
        let questions = questions(&dashboard, window);
        if questions.is_empty() {
            continue;
        }
        let mut took = Vec::new();
        for _ in 0..ASKED {
            let began = Instant::now();
            let asked = questions.iter().map(|sql| sources.table(sql, "A"));
            let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
            while let Some(answer) = answers.next().await {
                answer.unwrap();
            }
            took.push(began.elapsed());
        }
        took.sort();
        times.push((dashboard.title, *took.get(ASKED / 2).unwrap()));
    }
    times
}

/// What a dashboard asks of ClickHouse when it is opened.
fn questions(dashboard: &Dashboard, window: Window) -> Vec<String> {
    let of_panels = dashboard.shown().flat_map(|panel| {
        let context = context(dashboard, panel, window);
        let sql = panel.targets.iter().filter_map(|it| it.raw_sql.as_deref());
        let expanded: Vec<_> = sql.map(|sql| expand(sql, &context).unwrap()).collect();
        expanded
    });
    of_panels.collect()
}
