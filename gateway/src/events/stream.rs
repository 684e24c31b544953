//! `GET /events`, `GET /payments/{id}/events`: events as they happen, over server-sent events.
//!
//! A stream holds a page of events and nothing more: the ledger is the buffer. It asks for its key again
//! before each page, so that a revoked one is told nothing. Whoever stops reading is cut off by the socket.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{self, KeepAlive},
    },
};
use futures::stream;
use serde::Deserialize;
use tokio::sync::watch;
use utoipa::ToSchema;
use x402_schemas::api::{ErrorBody, events::Event};
use x402_service::{json::StrictQuery, logs::with_causes, problem::Problem};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        events::{self, Scope},
        payments,
    },
    payments::may_see,
    permissions::Viewing,
    principal::{self, Member, Reader},
};

/// How a stream tells an event.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what is written by hand")]
pub(crate) struct StreamedEvent {
    /// The event's number, for `Last-Event-ID`.
    #[schema(example = "17")]
    id: String,
    /// The event: JSON, as the schema `Event` has it.
    data: String,
}

/// Streams that a workspace has open at once, its agents' included.
const MAX_OF_WORKSPACE: usize = 32;
/// Streams that are open at once in all.
const MAX_IN_ALL: usize = 1_000;
/// Events that a stream holds.
const PAGE: u32 = 100;
/// How often a quiet stream says that it is there, so that nothing between takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: &str = "last-event-id";

/// The query of a stream.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Only events after this number, 0 for all that are kept; `Last-Event-ID` comes first.
    after: Option<u64>,
    /// Whether the stream goes on with what happens from now on; true when absent.
    follow: Option<bool>,
}

/// The workspace's events as they happen. An event's id is its number; `Last-Event-ID` resumes after it. Without either, what
/// happens from now on.
#[utoipa::path(get, path = "/events", tag = "owner", params(StreamQuery),
    responses(
        (status = 200, body = StreamedEvent, content_type = "text/event-stream"),
        (status = 410, body = ErrorBody, description = "EVENTS_GONE: events after that number are no longer kept"),
        (status = 429, body = ErrorBody, description = "TOO_MANY_STREAMS"),
    ), security(("owner" = [])))]
pub(crate) async fn of_workspace(
    State(gateway): State<Arc<Gateway>>,
    member: Member<Viewing>,
    headers: HeaderMap,
    StrictQuery(query): StrictQuery<StreamQuery>,
) -> Result<Response, Problem> {
    let follows = query.follow.unwrap_or(true);
    let after = if let Some(after) = after(&gateway, &headers, &query).await? {
        after
    } else {
        let mut conn = gateway.ledger.read().await?;
        events::newest(&mut conn).await?
    };
    let scope = Scope::Workspace(member.workspace_id.clone());
    let begin = Begin { after, follows };
    follow(&gateway, headers, &member.workspace_id, scope, begin)
}

/// A payment's events, from its first that is kept on, and as they happen.
#[utoipa::path(get, path = "/payments/{id}/events", tag = "agent", params(("id" = String, Path), StreamQuery),
    responses(
        (status = 200, body = StreamedEvent, content_type = "text/event-stream"),
        (status = 404, body = ErrorBody, description = "NOT_FOUND"),
        (status = 410, body = ErrorBody, description = "EVENTS_GONE: events after that number are no longer kept"),
        (status = 429, body = ErrorBody, description = "TOO_MANY_STREAMS"),
    ), security(("agent" = []), ("owner" = [])))]
pub(crate) async fn of_payment(
    State(gateway): State<Arc<Gateway>>,
    reader: Reader,
    Path(id): Path<String>,
    headers: HeaderMap,
    StrictQuery(query): StrictQuery<StreamQuery>,
) -> Result<Response, Problem> {
    let payment = {
        let mut conn = gateway.ledger.read().await?;
        payments::find(&mut conn, &id).await?
    };
    let payment = payment
        .filter(|payment| may_see(&reader, payment))
        .ok_or_else(|| Problem::not_found("payment"))?;
    let begin = Begin {
        after: after(&gateway, &headers, &query).await?.unwrap_or(0),
        follows: query.follow.unwrap_or(true),
    };
    let scope = Scope::Payment(payment.id);
    follow(&gateway, headers, &payment.workspace_id, scope, begin)
}

/// Where the caller wants to go on.
async fn after(
    gateway: &Gateway,
    headers: &HeaderMap,
    query: &StreamQuery,
) -> Result<Option<u64>, Problem> {
    let resumed = headers.get(LAST_EVENT_ID).map(|value| {
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        number.ok_or_else(|| Problem::invalid("Last-Event-ID is the number of an event"))
    });
    let Some(after) = resumed.transpose()?.or(query.after) else {
        return Ok(None);
    };
    let mut conn = gateway.ledger.read().await?;
    if after > events::newest(&mut conn).await? {
        return Err(Problem::invalid(
            "there is no event of that number yet; leave it out to follow from now on",
        ));
    }
    let oldest = events::oldest(&mut conn).await?;
    if after > 0 && oldest.is_some_and(|oldest| after < oldest.saturating_sub(1)) {
        return Err(Problem::new(
            StatusCode::GONE,
            "EVENTS_GONE",
            "events after that number are no longer kept; read GET /payments and follow from now on",
        ));
    }
    Ok(Some(after))
}

/// The streams that are open.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Mutex<HashMap<String, usize>>,
}

/// One stream's place among them; leaves when dropped.
struct Place {
    gateway: Arc<Gateway>,
    workspace_id: String,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn take(gateway: &Arc<Gateway>, workspace_id: &str) -> Result<Self, Problem> {
        let mut open = gateway.streams.lock();
        let in_all: usize = open.values().sum();
        let own = open.get(workspace_id).copied().unwrap_or(0);
        if own >= MAX_OF_WORKSPACE || in_all >= MAX_IN_ALL {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TOO_MANY_STREAMS",
                format!(
                    "a workspace has at most {MAX_OF_WORKSPACE} streams open, the gateway {MAX_IN_ALL}; close one and try again"
                ),
            ));
        }
        open.insert(workspace_id.to_owned(), own.saturating_add(1));
        gateway.metrics.events.streams(in_all.saturating_add(1));
        Ok(Self {
            gateway: Arc::clone(gateway),
            workspace_id: workspace_id.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.gateway.streams.lock();
        let left = open
            .get(&self.workspace_id)
            .map_or(0, |own| own.saturating_sub(1));
        if left == 0 {
            open.remove(&self.workspace_id);
        } else {
            open.insert(self.workspace_id.clone(), left);
        }
        self.gateway.metrics.events.streams(open.values().sum());
    }
}

/// From where on, and whether beyond what is there.
#[derive(Clone, Copy)]
struct Begin {
    after: u64,
    follows: bool,
}

/// Somebody who follows events.
struct Follower {
    place: Place,
    /// The request's, whose key has to be valid for each page.
    headers: HeaderMap,
    scope: Scope,
    after: u64,
    follows: bool,
    page: VecDeque<Event>,
    news: watch::Receiver<u64>,
}

fn follow(
    gateway: &Arc<Gateway>,
    headers: HeaderMap,
    workspace_id: &str,
    scope: Scope,
    begin: Begin,
) -> Result<Response, Problem> {
    let mut news = gateway.news.subscribe();
    // What is there already is looked at first.
    news.mark_changed();
    let follower = Follower {
        place: Place::take(gateway, workspace_id)?,
        headers,
        scope,
        after: begin.after,
        follows: begin.follows,
        page: VecDeque::new(),
        news,
    };
    let told = stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(written(&event)?), follower))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
    Ok(Sse::new(told).keep_alive(keep_alive).into_response())
}

fn written(event: &Event) -> Option<sse::Event> {
    let id = event.number.to_string();
    sse::Event::default().id(id).json_data(event).ok()
}

impl Follower {
    /// The next event; `None` when the stream is to end, after which the caller may resume.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.after = event.number;
                return Some(event);
            }
            let stop = self.place.gateway.stop.clone();
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                () = stop.cancelled() => return None,
            }
            self.page = match self.turn().await {
                Ok(page) => page.into(),
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::warn!(error, "a stream of events could not be read and is ended");
                    return None;
                }
            };
            if self.page.is_empty() {
                if !self.follows {
                    return None;
                }
                continue;
            }
            self.still_welcome().await?;
            // There may be more than a page.
            self.news.mark_changed();
        }
    }

    async fn turn(&self) -> Result<Vec<Event>, LedgerError> {
        let mut conn = self.place.gateway.ledger.read().await?;
        events::page(&mut conn, &self.scope, self.after, PAGE).await
    }

    /// `None` when the key is not valid any more.
    async fn still_welcome(&self) -> Option<()> {
        let valid = principal::is_valid(&self.place.gateway, &self.headers).await;
        valid.is_ok_and(|valid| valid).then_some(())
    }
}
