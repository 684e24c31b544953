//! Refused requests and failures, as HTTP.
//!
//! Each operation has its own error enum and says here, in one exhaustive match, which status, code
//! and text its caller sees. A failure of ours is logged once, here, and its cause stays inside.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use x402_schemas::api::ErrorBody;

use crate::logs::with_causes;

/// An answer that is neither a result nor a refusal with a body of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_seconds: Option<u32>,
}

impl Problem {
    /// The caller's request is at fault. `code` is API.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after_seconds: None,
        }
    }

    /// 400: the request cannot be read.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message)
    }

    /// 401: no key, or not one that is valid here. Which of the two is nobody's business.
    pub fn unauthorized() -> Self {
        let message = "send a valid key as 'Authorization: Bearer x402_…'; keys are shown once, rotate one that is lost";
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
    }

    /// 404: nothing of the caller's has that name.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            format!("no {what} of yours has that id"),
        )
    }

    /// 503: a part that we need is away. Logs the cause; the caller is told when to come back.
    pub fn unavailable(code: &'static str, message: &str, cause: &dyn std::error::Error) -> Self {
        tracing::error!(
            error = with_causes(cause),
            code,
            "a request could not be answered"
        );
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
        }
    }

    /// 500: our fault. Logs the cause.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = with_causes(cause), "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL",
            "the request failed on our side and was logged; try again",
        )
    }

    /// Tells when to come back.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(seconds),
            ..self
        }
    }

    /// The stable code that the caller sees.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The text that the caller sees.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status that the caller sees.
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: self.code.to_owned(),
            message: self.message,
        };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
