//! Routes of the public port, on one screen.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{delete, get, post, put},
};
use x402_service::{
    docs,
    requests::measure,
    serve::{Limits, with_limits},
    trace,
};

use crate::{
    agents, approvals, directory, dry_run, events::stream, gateway::Gateway, key_uses, keys,
    limits, members, openapi, pay, payments, principal, proofs, providers, quote, relay, sessions,
    treasury, verify, webhooks, workspaces,
};

const LIMITS: Limits = Limits {
    body_bytes: 64 * 1024,
    // The longest wait that /pay takes, and time to answer it.
    request: Duration::from_secs(75),
};

/// Every route, as metrics label it.
pub(crate) const ALL: [&str; 52] = [
    "/quote",
    "/pay",
    "/payments",
    "/payments/{id}",
    "/payments/{id}/events",
    "/payments/{id}/approve",
    "/payments/{id}/reject",
    "/approvals",
    "/events",
    "/webhooks",
    "/webhooks/{id}",
    "/webhooks/{id}/rotate",
    "/webhooks/{id}/test",
    "/webhooks/{id}/deliveries",
    "/policy/dry-run",
    "/workspaces",
    "/workspace",
    "/workspace/budget",
    "/workspace/policy",
    "/workspace/pause",
    "/workspace/resume",
    "/members",
    "/members/me",
    "/members/me/rotate",
    "/members/{id}/role",
    "/members/{id}/rotate",
    "/members/{id}/remove",
    "/sessions",
    "/keys",
    "/keys/{id}/revoke",
    "/agents",
    "/agents/{id}/policy",
    "/agents/{id}/pause",
    "/agents/{id}/resume",
    "/agents/{id}/rotate",
    "/agents/{id}/revoke",
    "/providers",
    "/providers/{id}/rotate",
    "/providers/{id}/revoke",
    "/providers/{id}/registration",
    "/providers/{id}/confirmations",
    "/treasury",
    "/treasury/relay",
    "/proof-keys/rotate",
    "/.well-known/jwks.json",
    "/internal/directory",
    "/internal/proofs",
    "/internal/key-uses",
    "/verify",
    "/verify/batch",
    "/openapi.json",
    "/docs",
];

/// The routes and their limits.
pub(crate) fn routes(gateway: &Arc<Gateway>) -> Router {
    let routes = Router::new()
        .route("/quote", post(quote::quote))
        .route("/pay", post(pay::pay))
        .route("/payments", get(payments::list))
        .route("/payments/{id}", get(payments::show))
        .route("/payments/{id}/events", get(stream::of_payment))
        .route("/payments/{id}/approve", post(approvals::approve))
        .route("/payments/{id}/reject", post(approvals::reject))
        .route("/approvals", get(approvals::list))
        .route("/events", get(stream::of_workspace))
        .route("/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/webhooks/{id}", delete(webhooks::delete))
        .route("/webhooks/{id}/rotate", post(webhooks::rotate))
        .route("/webhooks/{id}/test", post(webhooks::test))
        .route("/webhooks/{id}/deliveries", get(webhooks::deliveries))
        .route("/policy/dry-run", post(dry_run::dry_run))
        .route("/workspaces", post(workspaces::create))
        .route("/workspace", get(workspaces::show))
        .route("/workspace/budget", put(workspaces::set_budget))
        .route("/workspace/policy", put(workspaces::set_policy))
        .route("/workspace/pause", post(workspaces::pause))
        .route("/workspace/resume", post(workspaces::resume))
        .merge(of_members())
        .route("/agents", get(agents::list).post(agents::create))
        .route("/agents/{id}/policy", put(agents::set_policy))
        .route("/agents/{id}/pause", post(agents::pause))
        .route("/agents/{id}/resume", post(agents::resume))
        .route("/agents/{id}/rotate", post(agents::rotate))
        .route("/agents/{id}/revoke", post(agents::revoke))
        .route("/providers", get(providers::list).post(providers::create))
        .route("/providers/{id}/rotate", post(providers::rotate))
        .route("/providers/{id}/revoke", post(providers::revoke))
        .route(
            "/providers/{id}/registration",
            put(providers::set_registration),
        )
        .route(
            "/providers/{id}/confirmations",
            put(providers::set_confirmations),
        )
        .route("/treasury", get(treasury::show).post(treasury::attach))
        .route("/treasury/relay", post(relay::relay))
        .route("/proof-keys/rotate", post(proofs::rotate))
        .route("/.well-known/jwks.json", get(proofs::jwks))
        .route("/internal/directory", get(directory::follow))
        .route("/internal/proofs", get(proofs::issued))
        .route("/internal/key-uses", post(key_uses::told))
        .merge(handed_on())
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(docs::page))
        .with_state(Arc::clone(gateway));
    let identify = middleware::from_fn_with_state(Arc::clone(gateway), principal::identify);
    let admit = middleware::from_fn_with_state(Arc::clone(gateway), limits::admit);
    let measure = middleware::from_fn_with_state(gateway.metrics.requests.clone(), measure);
    let limited = with_limits(routes, LIMITS)
        .layer(admit)
        .layer(identify)
        .layer(measure);
    trace::traced(limited)
}

fn of_members() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/members", get(members::list).post(members::create))
        .route("/members/me", get(members::show_me))
        .route("/members/me/rotate", post(members::rotate_mine))
        .route("/members/{id}/role", put(members::set_role))
        .route("/members/{id}/rotate", post(members::rotate))
        .route("/members/{id}/remove", post(members::remove))
        .route("/sessions", post(sessions::create))
        .route("/keys", get(keys::list))
        .route("/keys/{id}/revoke", post(keys::revoke))
}

fn handed_on() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/verify", post(verify::hand_on))
        .route("/verify/batch", post(verify::hand_on))
        .layer(DefaultBodyLimit::max(verify::MAX_BODY))
}
