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
    readiness: Readiness,
}

/// The routes of the admin port.
pub fn routes(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Admin {
            registry,
            readiness,
        })
}

async fn readyz(State(admin): State<Admin>) -> Response {
    match admin.readiness.obstacle() {
        None => "ready\n".into_response(),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        )
            .into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
