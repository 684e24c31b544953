//! Who is asking, from the `Authorization` header.
//!
//! A handler that names a principal in its arguments cannot be reached by anyone else. No key, a
//! wrong, ended or foreign one all get the same 401; a member whose role is too small gets a 403 that says
//! which it takes. What is another tenant's is not found.

use std::{marker::PhantomData, sync::Arc};

use alloy::primitives::B256;
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use secrecy::SecretString;
use x402_schemas::api::members::Role;
use x402_service::{
    api_key::{ApiKey, KeyKind, same_secret},
    clock,
    problem::Problem,
};

use crate::{
    gateway::Gateway,
    ledger::{
        LedgerError,
        api_keys::{self, HeldBy, ValidKey},
    },
    permissions::{Permission, Viewing},
    sessions::Session,
};

/// A member of a workspace who may do what `P` is.
#[derive(Clone, Debug)]
pub(crate) struct Member<P> {
    pub(crate) id: String,
    pub(crate) workspace_id: String,
    pub(crate) role: Role,
    permission: PhantomData<P>,
}

/// A member who asks with the key itself, not with a session.
#[derive(Clone, Debug)]
pub(crate) struct KeyHolder {
    pub(crate) workspace_id: String,
    pub(crate) member_id: String,
    pub(crate) role: Role,
    pub(crate) key_id: String,
}

/// An agent of a workspace.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) workspace_id: String,
    pub(crate) agent_id: String,
}

/// Who may look at payments: a member at the workspace's, an agent at its own.
#[derive(Clone, Debug)]
pub(crate) enum Reader {
    Member(Member<Viewing>),
    Agent(Agent),
}

/// Who runs the gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator;

/// Another service of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service;

/// Whose valid key a request came with.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Member { holder: KeyHolder, by: Bearer },
    Agent { agent: Agent, key_id: String },
    Provider { key_id: String },
    Operator,
    Service,
}

/// What a member sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearer {
    Key,
    Session,
}

/// What a request came with, before anybody knows whether it is valid.
enum Presented {
    Key(ApiKey),
    Session(Session),
}

/// Finds out once for each request who is asking, before any of it is read.
pub(crate) async fn identify(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&gateway, request.headers()).await {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
        }
        Ok(None) => (),
        Err(error) => return Problem::from(error).into_response(),
    }
    next.run(request).await
}

async fn caller(gateway: &Gateway, headers: &HeaderMap) -> Result<Option<Caller>, LedgerError> {
    let Some(token) = bearer(headers) else {
        return Ok(None);
    };
    if same_secret(token, &gateway.service_token) {
        return Ok(Some(Caller::Service));
    }
    if same_secret(token, &gateway.operator_token) {
        return Ok(Some(Caller::Operator));
    }
    let now = clock::now();
    let Some(presented) = read(gateway, token, now) else {
        return Ok(None);
    };
    let key_id = match &presented {
        Presented::Key(key) => key.key_id(),
        Presented::Session(session) => &session.key_id,
    };
    let mut conn = gateway.ledger.read().await?;
    let valid = api_keys::find_valid(&mut conn, key_id, now).await?;
    drop(conn);
    let caller = match &presented {
        Presented::Key(key) => of_key(gateway, key, valid),
        Presented::Session(session) => of_session(session, valid),
    };
    if caller.is_some() {
        gateway.key_uses.note(key_id, now);
    }
    Ok(caller)
}

/// Whether whoever these headers are of would still be let in.
pub(crate) async fn is_valid(gateway: &Gateway, headers: &HeaderMap) -> Result<bool, LedgerError> {
    Ok(caller(gateway, headers).await?.is_some())
}

fn read(gateway: &Gateway, token: &str, now: Timestamp) -> Option<Presented> {
    if let Ok(key) = token.parse() {
        return Some(Presented::Key(key));
    }
    gateway.sessions.read(token, now).map(Presented::Session)
}

/// Whose this key is, by what the ledger has under its id.
fn of_key(gateway: &Gateway, key: &ApiKey, valid: Option<ValidKey>) -> Option<Caller> {
    // An unknown id takes as long as a wrong secret.
    let hash = valid.as_ref().map_or(B256::ZERO, |valid| valid.hash);
    let pepper = match key.kind() {
        KeyKind::Owner | KeyKind::Member | KeyKind::Agent => &gateway.key_pepper,
        KeyKind::Provider => &gateway.provider_key_pepper,
    };
    let matches = key.matches(pepper, hash);
    let valid = valid.filter(|_| matches)?;
    let key_id = key.key_id().to_owned();
    match (key.kind(), valid.held_by) {
        (KeyKind::Owner | KeyKind::Member, HeldBy::Member { id, role }) => {
            let holder = KeyHolder {
                workspace_id: valid.workspace_id,
                member_id: id,
                role,
                key_id,
            };
            let by = Bearer::Key;
            Some(Caller::Member { holder, by })
        }
        (KeyKind::Agent, HeldBy::Agent(agent_id)) => {
            let agent = Agent {
                workspace_id: valid.workspace_id,
                agent_id,
            };
            Some(Caller::Agent { agent, key_id })
        }
        // What it may ask is the verifier's matter.
        (KeyKind::Provider, HeldBy::Provider) => Some(Caller::Provider { key_id }),
        (KeyKind::Owner | KeyKind::Member | KeyKind::Agent | KeyKind::Provider, _) => None,
    }
}

/// Whose this session is, if the key that it came from is still its member's.
fn of_session(session: &Session, valid: Option<ValidKey>) -> Option<Caller> {
    let valid = valid?;
    let HeldBy::Member { id, role } = valid.held_by else {
        return None;
    };
    let is_of = id == session.sub && valid.workspace_id == session.workspace_id;
    let holder = KeyHolder {
        workspace_id: valid.workspace_id,
        member_id: id,
        role,
        key_id: session.key_id.clone(),
    };
    let by = Bearer::Session;
    is_of.then_some(Caller::Member { holder, by })
}

impl Caller {
    /// The key that it asks with; a token of the settings is like one. Our own services are not counted.
    pub(crate) fn counted_key(&self) -> Option<&str> {
        match self {
            Self::Member { holder, .. } => Some(&holder.key_id),
            Self::Agent { key_id, .. } | Self::Provider { key_id } => Some(key_id),
            Self::Operator => Some("operator"),
            Self::Service => None,
        }
    }
}

impl<P: Permission> FromRequestParts<Arc<Gateway>> for Member<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        match parts.extensions.get() {
            Some(Caller::Member { holder, .. }) => {
                let member = Self {
                    id: holder.member_id.clone(),
                    workspace_id: holder.workspace_id.clone(),
                    role: holder.role,
                    permission: PhantomData,
                };
                if member.role < P::LEAST {
                    return Err(member.lacks(P::LEAST));
                }
                Ok(member)
            }
            _ => Err(Problem::unauthorized()),
        }
    }
}

impl<P> Member<P> {
    /// 403: it takes a greater role than the member's.
    pub(crate) fn lacks(&self, least: Role) -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            "ROLE_REQUIRED",
            format!(
                "this takes the role {least} and yours is {}; ask an owner of the workspace",
                self.role
            ),
        )
    }
}

impl FromRequestParts<Arc<Gateway>> for KeyHolder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        match parts.extensions.get() {
            Some(Caller::Member { holder, by }) if *by == Bearer::Key => Ok(holder.clone()),
            Some(Caller::Member { .. }) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "KEY_REQUIRED",
                "a session makes no session; send the member's key",
            )),
            _ => Err(Problem::unauthorized()),
        }
    }
}

impl FromRequestParts<Arc<Gateway>> for Agent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        match parts.extensions.get() {
            Some(Caller::Agent { agent, .. }) => Ok(agent.clone()),
            _ => Err(Problem::unauthorized()),
        }
    }
}

impl FromRequestParts<Arc<Gateway>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, Problem> {
        if let Ok(agent) = Agent::from_request_parts(parts, gateway).await {
            return Ok(Self::Agent(agent));
        }
        let member = Member::from_request_parts(parts, gateway).await?;
        Ok(Self::Member(member))
    }
}

impl FromRequestParts<Arc<Gateway>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, Problem> {
        has_token(&parts.headers, &gateway.operator_token).map(|()| Self)
    }
}

impl FromRequestParts<Arc<Gateway>> for Service {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, Problem> {
        has_token(&parts.headers, &gateway.service_token).map(|()| Self)
    }
}

fn has_token(headers: &HeaderMap, expected: &SecretString) -> Result<(), Problem> {
    if bearer(headers).is_some_and(|token| same_secret(token, expected)) {
        Ok(())
    } else {
        Err(Problem::unauthorized())
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| token.trim())
}
