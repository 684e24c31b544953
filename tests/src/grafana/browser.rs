//! Draws dashboards in headless Chromium, with Grafana's own components and the answers of real sources.

use std::{collections::BTreeMap, fs, net::Ipv4Addr, path::Path, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path as Of, Query, State},
    http::{StatusCode, Uri, header},
    response::IntoResponse,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    dashboard::{Dashboard, folder},
    frames::Frame,
    macros::{Context, Window},
    packages::node,
    sources::Sources,
};

/// Dashboards, and what they are drawn from.
#[derive(Debug)]
pub struct Gallery {
    /// The dashboards.
    pub dashboards: Vec<Dashboard>,
    /// Who is asked.
    pub sources: Sources,
    /// The time that they show, instead of their first.
    pub window: Window,
}

/// What a page says of the dashboard that it has drawn.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Drawn {
    /// Which dashboard.
    pub uid: String,
    /// How many panels it has.
    pub panels: usize,
    /// What could not be asked or drawn.
    pub errors: Vec<String>,
    /// Panels without a value.
    pub empty: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    interval_ms: i64,
}

impl Gallery {
    /// Draws every dashboard; pictures go into the folder.
    pub async fn draw(self, pictures: Option<&Path>) -> Vec<Drawn> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut arguments = vec!["draw.mjs".to_owned(), base];
        if let Some(folder) = pictures {
            let folder = std::path::absolute(folder).unwrap();
            arguments.extend(["--pictures".to_owned(), folder.display().to_string()]);
        }
        arguments.extend(self.dashboards.iter().map(|one| one.uid.clone()));
        let serving = tokio::spawn(axum::serve(listener, routes(self)).into_future());
        let drawing = tokio::task::spawn_blocking(move || {
            let package = folder().join("render");
            node(&package, &["build.mjs"]);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            node(&package, &arguments)
        });
        let said = drawing.await.unwrap();
        serving.abort();
        said.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn dashboard(&self, uid: &str) -> Option<&Dashboard> {
        self.dashboards.iter().find(|one| one.uid == uid)
    }

    async fn answer(&self, uid: &str, panel: u32, interval_ms: i64) -> Result<Vec<Frame>, String> {
        let unknown = || format!("there is no panel {panel} in {uid}");
        let dashboard = self.dashboard(uid).ok_or_else(unknown)?;
        let panel = dashboard.panels.iter().find(|one| one.id == panel);
        let context = Context {
            window: self.window,
            interval_ms,
            variables: dashboard.first_values(),
        };
        self.sources
            .answer(panel.ok_or_else(unknown)?, &context)
            .await
    }
}

fn routes(gallery: Gallery) -> Router {
    Router::new()
        .route("/dashboards/{uid}", get(dashboard))
        .route("/answers/{uid}/{panel}", get(answers))
        .with_state(Arc::new(gallery))
        .fallback(file)
}

/// The page, and what it is made of.
async fn file(uri: Uri) -> Result<impl IntoResponse, StatusCode> {
    let name = match uri.path() {
        "/" => "index.html",
        "/favicon.ico" => return Err(StatusCode::NO_CONTENT),
        path => path.trim_start_matches('/'),
    };
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html",
        Some((_, "js")) => "text/javascript",
        Some((_, "css")) => "text/css",
        Some((_, "svg")) => "image/svg+xml",
        Some((_, "woff2")) => "font/woff2",
        _ => return Err(StatusCode::NOT_FOUND),
    };
    let content = fs::read(folder().join("render/dist").join(name));
    let content = content.map_err(|_| StatusCode::NOT_FOUND)?;
    Ok(([(header::CONTENT_TYPE, kind)], content))
}

async fn dashboard(
    State(gallery): State<Arc<Gallery>>,
    Of(uid): Of<String>,
) -> Result<Json<Value>, StatusCode> {
    let dashboard = gallery.dashboard(&uid).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({
        "dashboard": dashboard.json,
        "from": gallery.window.from_ms,
        "to": gallery.window.to_ms,
        "scrapeSeconds": gallery.sources.scrape_seconds,
    })))
}

async fn answers(
    State(gallery): State<Arc<Gallery>>,
    Of((uid, panel)): Of<(String, u32)>,
    Query(asked): Query<Asked>,
) -> Result<Json<Vec<Frame>>, (StatusCode, String)> {
    let answer = gallery.answer(&uid, panel, asked.interval_ms).await;
    answer
        .map(Json)
        .map_err(|error| (StatusCode::BAD_GATEWAY, error))
}

/// Everything that went wrong, by dashboard; empty if nothing did.
pub fn complaints(drawn: &[Drawn]) -> BTreeMap<&str, Vec<String>> {
    let of = |one: &Drawn| {
        let empty = one.empty.iter().map(|title| format!("{title} is empty"));
        one.errors.iter().cloned().chain(empty).collect::<Vec<_>>()
    };
    let all = drawn.iter().map(|one| (one.uid.as_str(), of(one)));
    all.filter(|(_, complaints)| !complaints.is_empty())
        .collect()
}
