//! A listener with limits on every request.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    response::IntoResponse,
};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};

use crate::{
    connections::{Connections, Peer},
    problem::Problem,
};

/// How long a peer may leave what was sent to it unread. The socket watches over it, so that it holds for whatever is
/// being sent: answers, lines and streams alike.
const STALLED: Duration = Duration::from_mins(1);

/// Limits of one service's public port.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body.
    pub body_bytes: usize,
    /// The longest time to an answer, any wait that the caller asked for included.
    pub request: Duration,
}

/// Puts the limits and the answers for unknown routes around a service's routes.
pub fn with_limits(routes: Router, limits: Limits) -> Router {
    routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer((
            CatchPanicLayer::custom(panicked),
            TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits.request),
            DefaultBodyLimit::max(limits.body_bytes),
        ))
}

/// Listens on `address`; port 0 takes a free one, which the returned address names.
pub async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Serves until `stop`, then finishes the requests in hand.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(Prepared(listener), routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// The same for a port that anybody reaches: only so many connections at once, none that stays silent, and each
/// request knows its [`Peer`].
pub async fn serve_at_most(
    connections: usize,
    listener: TcpListener,
    routes: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let service = routes.into_make_service_with_connect_info::<Peer>();
    axum::serve(Connections::new(listener, connections), service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// Connections as we want them, as many as come.
struct Prepared(TcpListener);

impl axum::serve::Listener for Prepared {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = axum::serve::Listener::accept(&mut self.0).await;
        prepare(&stream);
        (stream, address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Answers are single small writes: waiting to fill a packet only adds latency. Who does not read is cut off, so that
/// nothing is held for him for ever.
pub(crate) fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its packet delay");
    }
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(STALLED)) {
        tracing::debug!(%error, "a connection that stalls is not cut off");
    }
}

async fn unknown_route(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        format!("there is no {}; see /openapi.json", uri.path()),
    )
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        format!("{} does not take {method}; see /openapi.json", uri.path()),
    )
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> axum::response::Response {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "INTERNAL",
        "the request failed on our side and was logged; try again",
    )
    .into_response()
}
