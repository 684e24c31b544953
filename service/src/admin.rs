//! The admin port: `/healthz` (the process runs), `/readyz` (it can do its work), `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Registry, TextEncoder};

use crate::process::ProcessMetrics;

/// Whether a service can do its work, and why not. Cloned into each part that knows.
#[derive(Clone, Debug)]
pub struct Readiness {
    obstacle: Arc<Mutex<Option<String>>>,
}

impl Readiness {
    /// Not ready yet, for this reason.
    pub fn starting(reason: &str) -> Self {
        Self {
            obstacle: Arc::new(Mutex::new(Some(reason.to_owned()))),
        }
    }

    /// Can work.
    pub fn ready(&self) {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Cannot work, for this reason. Shown to operators: no secret belongs in it.
    pub fn not_ready(&self, reason: impl Into<String>) {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
    }

    /// What stands in the way, if anything.
    pub fn obstacle(&self) -> Option<String> {
        self.obstacle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[derive(Clone)]
struct Admin {
    registry: Registry,
    process: ProcessMetrics,
    services: Arc<[(&'static str, Readiness)]>,
}

/// The routes of the admin port of a process that runs these services. Fails if the registry has metrics of a process
/// already.
pub fn routes(
    registry: Registry,
    services: Vec<(&'static str, Readiness)>,
) -> prometheus::Result<Router> {
    let process = ProcessMetrics::register(&registry, &services)?;
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Admin {
            registry,
            process,
            services: services.into(),
        });
    Ok(routes)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let obstacles: Vec<String> = admin
        .services
        .iter()
        .filter_map(|(name, readiness)| {
            let obstacle = readiness.obstacle()?;
            Some(format!("{name} is not ready: {obstacle}\n"))
        })
        .collect();
    if obstacles.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, obstacles.concat()).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.process.look(&admin.services);
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
