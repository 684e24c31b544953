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
        api_keys::{self, HeldBy},
    },
    permissions::{Permission, Viewing},
};

/// A member of a workspace who may do what `P` is.
#[derive(Clone, Debug)]
pub(crate) struct Member<P> {
    pub(crate) workspace_id: String,
    pub(crate) member_id: String,
    pub(crate) role: Role,
    permission: PhantomData<P>,
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
enum Caller {
    Member {
        workspace_id: String,
        member_id: String,
        role: Role,
    },
    Agent(Agent),
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
    let Some(key) = bearer(headers).and_then(|token| token.parse::<ApiKey>().ok()) else {
        return Ok(None);
    };
    let mut conn = gateway.ledger.read().await?;
    let now = clock::now();
    let valid = api_keys::find_valid(&mut conn, key.key_id(), now).await?;
    drop(conn);
    // An unknown id takes as long as a wrong secret.
    let hash = valid.as_ref().map_or(B256::ZERO, |valid| valid.hash);
    let matches = key.matches(&gateway.key_pepper, hash);
    let Some(valid) = valid.filter(|_| matches) else {
        return Ok(None);
    };
    gateway.key_uses.note(key.key_id(), now);
    let workspace_id = valid.workspace_id;
    Ok(match (key.kind(), valid.held_by) {
        (KeyKind::Owner | KeyKind::Member, HeldBy::Member { id, role }) => Some(Caller::Member {
            workspace_id,
            member_id: id,
            role,
        }),
        (KeyKind::Agent, HeldBy::Agent(agent_id)) => Some(Caller::Agent(Agent {
            workspace_id,
            agent_id,
        })),
        // Providers ask the verifier.
        (KeyKind::Owner | KeyKind::Member | KeyKind::Agent | KeyKind::Provider, _) => None,
    })
}

impl<P: Permission> FromRequestParts<Arc<Gateway>> for Member<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        match parts.extensions.get() {
            Some(Caller::Member {
                workspace_id,
                member_id,
                role,
            }) => {
                let member = Self {
                    workspace_id: workspace_id.clone(),
                    member_id: member_id.clone(),
                    role: *role,
                    permission: PhantomData,
                };
                if member.role < P::LEAST {
                    return Err(member.lacks(P::LEAST));
                }
                Ok(member)
            }
            Some(Caller::Agent(_)) | None => Err(Problem::unauthorized()),
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

impl FromRequestParts<Arc<Gateway>> for Agent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        match parts.extensions.get() {
            Some(Caller::Agent(agent)) => Ok(agent.clone()),
            Some(Caller::Member { .. }) | None => Err(Problem::unauthorized()),
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
