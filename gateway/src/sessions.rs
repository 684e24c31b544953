//! `POST /sessions`: a member's key in, a token that opens the same for a quarter of an hour out, so that a
//! browser need not keep the key.
//!
//! A token names the member and the key that it came from and nothing that they may do: both are looked up
//! with each request, so it ends with the membership or the key, and follows the role. It cannot prolong itself.

use std::{fmt, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::{Deserialize, Serialize};
use x402_schemas::api::{ErrorBody, members::SessionCreated};
use x402_service::{
    clock::{self, unix_seconds},
    problem::Problem,
};

use crate::{
    gateway::Gateway,
    principal::KeyHolder,
    seed::{Seed, SeedError},
};

/// What the header says, so that no other token of ours is taken for a session.
const TYPE: &str = "x402-session+jwt";
const LASTS: SignedDuration = SignedDuration::from_mins(15);
/// Characters of a token; ours have fewer than 500.
const MAX_LEN: usize = 1_024;

/// Signs and reads tokens of one gateway.
pub(crate) struct Sessions {
    signs: EncodingKey,
    checks: DecodingKey,
    header: Header,
    validation: Validation,
    issuer: String,
}

/// What a token states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    pub(crate) iss: String,
    /// The member.
    pub(crate) sub: String,
    pub(crate) workspace_id: String,
    /// The key that it came from.
    pub(crate) key_id: String,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
}

impl Sessions {
    /// Those of this gateway's seed and name.
    pub(crate) fn of(seed: &Seed, issuer: &str) -> Result<Self, SeedError> {
        let key = seed.derive("sessions")?;
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        let mut validation = Validation::new(Algorithm::HS256);
        // Judged by our own clock, below.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Ok(Self {
            signs: EncodingKey::from_secret(key.as_slice()),
            checks: DecodingKey::from_secret(key.as_slice()),
            header,
            validation,
            issuer: issuer.to_owned(),
        })
    }

    fn sign(&self, session: &Session) -> Result<String, jsonwebtoken::errors::Error> {
        encode(&self.header, session, &self.signs)
    }

    /// What a token states, if it is ours and has not expired.
    pub(crate) fn read(&self, token: &str, now: Timestamp) -> Option<Session> {
        if token.len() > MAX_LEN {
            return None;
        }
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::HS256 {
            return None;
        }
        let session: Session = decode(token, &self.checks, &self.validation).ok()?.claims;
        (session.iss == self.issuer && unix_seconds(now) < session.exp).then_some(session)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions([redacted])")
    }
}

/// Gives a member a token for 15 minutes, which is a bearer like its key everywhere but here.
#[utoipa::path(post, path = "/sessions", tag = "owner",
    responses(
        (status = 201, body = SessionCreated),
        (status = 403, body = ErrorBody, description = "KEY_REQUIRED: a session makes no session"),
    ), security(("owner" = [])))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    holder: KeyHolder,
) -> Result<(StatusCode, Json<SessionCreated>), Problem> {
    let now = clock::now();
    let expires_at = now.saturating_add(LASTS).unwrap_or(now);
    let session = Session {
        iss: gateway.issuer.clone(),
        sub: holder.member_id,
        workspace_id: holder.workspace_id,
        key_id: holder.key_id,
        iat: unix_seconds(now),
        exp: unix_seconds(expires_at),
    };
    let token = gateway
        .sessions
        .sign(&session)
        .map_err(|error| Problem::internal(&error))?;
    let created = SessionCreated {
        token,
        expires_at,
        member_id: session.sub,
        role: holder.role,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;

    fn sessions(seed: u8) -> Sessions {
        let seed = Seed::from_bytes(&B256::repeat_byte(seed));
        Sessions::of(&seed, "http://gateway.test").unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn session() -> Session {
        Session {
            iss: "http://gateway.test".into(),
            sub: "mem_1".into(),
            workspace_id: "ws_1".into(),
            key_id: "0123456789abcdef".into(),
            iat: 100,
            exp: 1_000,
        }
    }

    #[test]
    fn a_token_is_read_until_it_expires() {
        let token = sessions(1).sign(&session()).unwrap();
        assert!(token.len() < MAX_LEN / 2);
        assert_eq!(sessions(1).read(&token, at(999)), Some(session()));
        assert_eq!(sessions(1).read(&token, at(1_000)), None);
    }

    #[test]
    fn a_token_of_another_gateway_is_not_read() {
        let token = sessions(2).sign(&session()).unwrap();
        assert_eq!(sessions(1).read(&token, at(200)), None);
        let named = Session {
            iss: "http://other.test".into(),
            ..session()
        };
        let token = sessions(1).sign(&named).unwrap();
        assert_eq!(sessions(1).read(&token, at(200)), None);
    }

    #[test]
    fn a_token_that_is_not_a_session_of_ours_is_not_read() {
        let ours = sessions(1);
        let good = ours.sign(&session()).unwrap();
        let parts: Vec<&str> = good.split('.').collect();
        let header = |algorithm: Algorithm, kind: &str| {
            let mut header = Header::new(algorithm);
            header.typ = Some(kind.to_owned());
            encode(&header, &session(), &ours.signs).unwrap()
        };
        let none = "eyJhbGciOiJub25lIiwidHlwIjoieDQwMi1zZXNzaW9uK2p3dCJ9";
        let raised = Session {
            sub: "mem_2".into(),
            ..session()
        };
        let raised = ours.sign(&raised).unwrap();
        let raised: Vec<&str> = raised.split('.').collect();
        for token in [
            String::new(),
            "..".to_owned(),
            // Unsigned, with and without the signature of another.
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            // Claims of one, signature of the other.
            format!("{}.{}.{}", parts[0], raised[1], parts[2]),
            header(Algorithm::HS512, TYPE),
            header(Algorithm::HS256, "x402-proof+jwt"),
            header(Algorithm::HS256, "JWT"),
            format!("{good}{}", "x".repeat(MAX_LEN)),
        ] {
            assert_eq!(ours.read(&token, at(200)), None, "{token}");
        }
    }
}
