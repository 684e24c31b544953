//! `Idempotency-Key`: the same key and request get the same answer, another request 409.
//!
//! The answer is stored in the change of the ledger that it tells of, so a crash leaves both or
//! neither, and a repetition that comes meanwhile waits for the ledger's one writer. Answers hold new
//! API keys, so they are encrypted under a key derived from the master seed. Without the header nothing
//! is stored.

use std::sync::Arc;

use alloy::primitives::B256;
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::SqliteConnection;
use thiserror::Error;
use x402_service::problem::Problem;

use crate::{
    cipher::CipherError,
    gateway::Gateway,
    ledger::{
        LedgerError,
        idempotency_keys::{self, Used},
    },
};

const HEADER: &str = "idempotency-key";
/// Characters of a key, as clients make them of UUIDs.
const KEY_LEN: std::ops::RangeInclusive<usize> = 1..=255;

/// The key that a request came with, if it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdempotencyKey(Option<String>);

/// A request that may be a repetition.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    caller: String,
    key: Option<String>,
    request: B256,
    now: Timestamp,
}

/// What is known of an attempt.
#[derive(Debug)]
pub(crate) enum Known {
    /// It is the first: go on.
    First,
    /// It was made before, with this answer.
    Answered(Response),
}

/// Of the key that answers are encrypted under.
pub(crate) const ANSWERS: &str = "idempotency/answers";

/// Why an attempt cannot be told from others.
#[derive(Debug, Error)]
pub(crate) enum IdempotencyError {
    /// The caller is at fault.
    #[error("the key was used for another request")]
    Reused,
    #[error("the ledger failed")]
    Ledger(#[from] LedgerError),
    #[error("an answer could not be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("an answer could not be encrypted or decrypted")]
    Cipher(#[from] CipherError),
    #[error("an answer is not there, or not as it was stored")]
    Answer,
}

impl FromRequestParts<Arc<Gateway>> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        if values.next().is_some() {
            return Err(Problem::invalid("send one Idempotency-Key"));
        }
        let visible = |text: &&str| {
            KEY_LEN.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let key = value.to_str().ok().filter(visible);
        key.map(|key| Self(Some(key.to_owned()))).ok_or_else(|| {
            Problem::invalid("an Idempotency-Key is 1 to 255 visible ASCII characters")
        })
    }
}

impl IdempotencyKey {
    /// This caller's request to a route. Bodies are compared by what they say, not by how.
    pub(crate) fn attempt(
        self,
        caller: &str,
        route: &str,
        body: &impl Serialize,
        now: Timestamp,
    ) -> Result<Attempt, IdempotencyError> {
        let text = [route.as_bytes(), b"\n", &serde_json::to_vec(body)?].concat();
        Ok(Attempt {
            caller: caller.to_owned(),
            key: self.0,
            request: B256::from_slice(digest(&SHA256, &text).as_ref()),
            now,
        })
    }
}

impl Attempt {
    /// Whether it was made before, within the change of the ledger that would make it.
    pub(crate) async fn look(
        &self,
        gateway: &Gateway,
        change: &mut SqliteConnection,
    ) -> Result<Known, IdempotencyError> {
        let Some(key) = &self.key else {
            return Ok(Known::First);
        };
        let Some(used) = idempotency_keys::find(change, &self.caller, key, self.now).await? else {
            return Ok(Known::First);
        };
        if used.request != self.request {
            return Err(IdempotencyError::Reused);
        }
        let answer = used.answer.ok_or(IdempotencyError::Answer)?;
        let answer = gateway.answers.open(&self.context(key), &answer)?;
        Ok(Known::Answered(respond(&answer)?))
    }

    /// Stores an answer with the change of the ledger that it tells of, and gives it.
    pub(crate) async fn answer(
        &self,
        gateway: &Gateway,
        change: &mut SqliteConnection,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<Response, IdempotencyError> {
        let mut answer = status.as_u16().to_be_bytes().to_vec();
        serde_json::to_writer(&mut answer, body)?;
        let response = respond(&answer)?;
        if let Some(key) = &self.key {
            let sealed = gateway.answers.seal(&self.context(key), answer)?;
            self.remember(change, key, Some(sealed)).await?;
        }
        Ok(response)
    }

    /// Binds the key to a request whose repetition is answered anew, as the payment has moved on.
    pub(crate) async fn bind(&self, change: &mut SqliteConnection) -> Result<(), IdempotencyError> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        match idempotency_keys::find(change, &self.caller, key, self.now).await? {
            Some(used) if used.request == self.request => Ok(()),
            Some(_) => Err(IdempotencyError::Reused),
            None => Ok(self.remember(change, key, None).await?),
        }
    }

    async fn remember(
        &self,
        change: &mut SqliteConnection,
        key: &str,
        answer: Option<Vec<u8>>,
    ) -> Result<(), LedgerError> {
        let used = Used {
            request: self.request,
            answer,
        };
        idempotency_keys::insert(change, &self.caller, key, &used, self.now).await
    }

    /// Ties a stored answer to its row, so that none can be put in another's place.
    fn context(&self, key: &str) -> Vec<u8> {
        [self.caller.as_bytes(), b"\n", key.as_bytes(), b"\n"]
            .into_iter()
            .chain([self.request.as_slice()])
            .flatten()
            .copied()
            .collect()
    }
}

/// A status and a JSON body, as they are stored.
fn respond(answer: &[u8]) -> Result<Response, IdempotencyError> {
    let (status, body) = answer.split_first_chunk().ok_or(IdempotencyError::Answer)?;
    let status =
        StatusCode::from_u16(u16::from_be_bytes(*status)).map_err(|_| IdempotencyError::Answer)?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((status, json, body.to_vec()).into_response())
}

impl From<IdempotencyError> for Problem {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::Reused => Self::new(
                StatusCode::CONFLICT,
                "IDEMPOTENCY_KEY_REUSED",
                "this Idempotency-Key was used for another request; use a new one for each request",
            ),
            IdempotencyError::Ledger(error) => error.into(),
            IdempotencyError::Json(_) | IdempotencyError::Cipher(_) | IdempotencyError::Answer => {
                Self::internal(&error)
            }
        }
    }
}
