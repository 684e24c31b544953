//! Who is asking, from the `Authorization` header.
//!
//! A handler that names a principal in its arguments cannot be reached by anyone else. No key, a
//! wrong, ended or foreign one all get the same 401. What is another tenant's is not found.

use std::sync::Arc;

use alloy::primitives::B256;
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use secrecy::SecretString;
use x402_service::{
    api_key::{ApiKey, KeyKind, same_secret},
    problem::Problem,
};

use crate::{gateway::Gateway, ledger::api_keys};

/// An owner of a workspace.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) workspace_id: String,
}

/// An agent of a workspace.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) workspace_id: String,
    pub(crate) agent_id: String,
}

/// Who may look at payments: an owner at the workspace's, an agent at its own.
#[derive(Clone, Debug)]
pub(crate) enum Reader {
    Owner(Owner),
    Agent(Agent),
}

/// Who runs the gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator;

/// Another service of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service;

impl FromRequestParts<Arc<Gateway>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, Problem> {
        let key: ApiKey = bearer(parts)?
            .parse()
            .map_err(|_| Problem::unauthorized())?;
        let mut conn = gateway.ledger.read().await?;
        let valid = api_keys::find_valid(&mut conn, key.key_id()).await?;
        drop(conn);
        // An unknown id takes as long as a wrong secret.
        let hash = valid.as_ref().map_or(B256::ZERO, |valid| valid.hash);
        let matches = key.matches(&gateway.key_pepper, hash);
        let valid = valid
            .filter(|valid| matches && valid.kind == key.kind())
            .ok_or_else(Problem::unauthorized)?;
        match (valid.kind, valid.agent_id) {
            (KeyKind::Owner, _) => Ok(Self::Owner(Owner {
                workspace_id: valid.workspace_id,
            })),
            (KeyKind::Agent, Some(agent_id)) => Ok(Self::Agent(Agent {
                workspace_id: valid.workspace_id,
                agent_id,
            })),
            (KeyKind::Agent, None) | (KeyKind::Provider, _) => Err(Problem::unauthorized()),
        }
    }
}

impl FromRequestParts<Arc<Gateway>> for Owner {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, Problem> {
        match Reader::from_request_parts(parts, gateway).await? {
            Reader::Owner(owner) => Ok(owner),
            Reader::Agent(_) => Err(Problem::unauthorized()),
        }
    }
}

impl FromRequestParts<Arc<Gateway>> for Agent {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, Problem> {
        match Reader::from_request_parts(parts, gateway).await? {
            Reader::Agent(agent) => Ok(agent),
            Reader::Owner(_) => Err(Problem::unauthorized()),
        }
    }
}

impl FromRequestParts<Arc<Gateway>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, Problem> {
        has_token(parts, &gateway.operator_token).map(|()| Self)
    }
}

impl FromRequestParts<Arc<Gateway>> for Service {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, Problem> {
        has_token(parts, &gateway.service_token).map(|()| Self)
    }
}

fn has_token(parts: &Parts, expected: &SecretString) -> Result<(), Problem> {
    if same_secret(bearer(parts)?, expected) {
        Ok(())
    } else {
        Err(Problem::unauthorized())
    }
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(Problem::unauthorized)
}
