//! Whether every question of the dashboards has an answer.

use serde_json::Value as Json;

use super::{
    dashboard::{Dashboard, Panel, Variable},
    frames::{Frame, Kind},
    macros::{Context, Window, expand},
    sources::Sources,
};

/// Buckets that charts are asked in, of the time shown.
const BUCKETS: i64 = 100;

/// What is wrong with the answers to everything that the dashboards ask about this time: errors, and no value at all.
pub async fn unanswered(
    dashboards: &[Dashboard],
    sources: &Sources,
    window: Window,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for dashboard in dashboards {
        for variable in &dashboard.templating.list {
            if let Err(why) = choices(variable, dashboard, sources, window).await {
                wrong.push(format!("{}: ${}: {why}", dashboard.uid, variable.name));
            }
        }
        for panel in dashboard.shown() {
            let context = context(dashboard, panel, window);
            match sources.answer(panel, &context).await {
                Ok(frames) if frames.iter().any(has_values) => {}
                Ok(_) => wrong.push(format!("{}: {} is empty", dashboard.uid, panel.title)),
                Err(why) => wrong.push(format!("{}: {why}", dashboard.uid)),
            }
        }
    }
    wrong
}

/// What a panel is asked with when its dashboard is opened on this time.
pub fn context(dashboard: &Dashboard, panel: &Panel, window: Window) -> Context {
    let narrowest = panel.interval_ms().unwrap_or(1);
    let span = window.to_ms.saturating_sub(window.from_ms);
    Context {
        window,
        interval_ms: span.div_euclid(BUCKETS).max(narrowest),
        variables: dashboard.first_values(),
    }
}

async fn choices(
    variable: &Variable,
    dashboard: &Dashboard,
    sources: &Sources,
    window: Window,
) -> Result<(), String> {
    let Some(sql) = variable.raw_sql() else {
        return Ok(());
    };
    let context = Context {
        window,
        interval_ms: 1,
        variables: dashboard.first_values(),
    };
    let sql = expand(sql, &context).map_err(|error| error.to_string())?;
    let rows = sources.table(&sql, &variable.name).await?.rows();
    if rows == 0 {
        return Err("nothing to choose".to_owned());
    }
    Ok(())
}

fn has_values(frame: &Frame) -> bool {
    let shown = frame.fields.iter().filter(|field| field.kind != Kind::Time);
    shown
        .flat_map(|field| &field.values)
        .any(|value| *value != Json::Null)
}
