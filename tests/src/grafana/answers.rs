//! Whether every question of the dashboards has an answer.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{
    dashboard::{Dashboard, Panel, Variable},
    frames::{Frame, Kind},
    macros::{Context, Window, expand},
    sources::Sources,
};

/// Buckets that charts are asked in, of the time shown.
const BUCKETS: i64 = 100;

/// A question that shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unanswered {
    /// The dashboard's uid and the panel's title, or the variable's name.
    pub question: String,
    /// What the source said; none if it had nothing to show.
    pub error: Option<String>,
}

/// Everything that the dashboards ask about this time and that has no answer, or one without a value.
pub async fn unanswered(
    dashboards: &[Dashboard],
    sources: &Sources,
    window: Window,
) -> BTreeSet<Unanswered> {
    let mut all = BTreeSet::new();
    for dashboard in dashboards {
        let mut judge = |what: &str, answered: Result<bool, String>| {
            let question = format!("{}: {what}", dashboard.uid);
            let error = match answered {
                Ok(true) => return,
                Ok(false) => None,
                Err(error) => Some(error),
            };
            all.insert(Unanswered { question, error });
        };
        for variable in &dashboard.templating.list {
            let chosen = has_choices(variable, dashboard, sources, window).await;
            judge(&variable.name, chosen);
        }
        for panel in dashboard.shown() {
            let context = context(dashboard, panel, window);
            let frames = sources.answer(panel, &context).await;
            judge(&panel.title, frames.map(|all| all.iter().any(has_values)));
        }
    }
    all
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

async fn has_choices(
    variable: &Variable,
    dashboard: &Dashboard,
    sources: &Sources,
    window: Window,
) -> Result<bool, String> {
    let Some(sql) = variable.raw_sql() else {
        return Ok(true);
    };
    let context = Context {
        window,
        interval_ms: 1,
        variables: dashboard.first_values(),
    };
    let sql = expand(sql, &context).map_err(|error| error.to_string())?;
    let choices = sources.table(&sql, &variable.name).await?;
    Ok(choices.rows() > 0)
}

fn has_values(frame: &Frame) -> bool {
    let shown = frame.fields.iter().filter(|field| field.kind != Kind::Time);
    shown
        .flat_map(|field| &field.values)
        .any(|value| *value != Json::Null)
}
