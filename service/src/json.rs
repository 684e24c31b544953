//! JSON bodies that are read strictly: right content type, within the limit, known fields only.

use axum::{
    Json,
    body::{Bytes, HttpBody},
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// A body of type `T`, or a 4xx that says what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct StrictJson<T>(pub T);

/// A body of type `T`, or none or `null`, which are like an empty `T`.
#[derive(Clone, Copy, Debug)]
pub struct OptionalJson<T>(pub T);

/// A query string of type `T`, or a 400 that says what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct StrictQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for StrictJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                "send the body as 'Content-Type: application/json'",
            ));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        if let Ok(read) = serde_json::from_slice(&body) {
            return Ok(Self(read));
        }
        // Read again, slowly, to say where the fault is.
        match Json::<T>::from_bytes(&body) {
            Ok(Json(read)) => Ok(Self(read)),
            Err(rejection) => Err(Problem::invalid(rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        let StrictJson(read) = StrictJson::<Option<T>>::from_request(request, state).await?;
        Ok(Self(read.unwrap_or_default()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Problem::invalid(rejection.body_text())),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

fn unread(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            "the body is larger than this route accepts",
        ),
        _ => Problem::invalid(rejection.body_text()),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, extract::DefaultBodyLimit, http::Request, routing::post};
    use http_body_util::BodyExt;
    use serde::Deserialize;
    use tower::ServiceExt;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Price {
        #[expect(dead_code, reason = "only its reading matters")]
        amount: x402_schemas::amount::Amount,
    }

    async fn send(content_type: &str, body: impl Into<Body>) -> (u16, String) {
        let router = Router::new()
            .route("/", post(|_: StrictJson<Price>| async { "read" }))
            .layer(DefaultBodyLimit::max(1_000));
        let request = Request::post("/")
            .header("content-type", content_type)
            .body(body.into())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let error = serde_json::from_slice(&body)
            .map(|body: serde_json::Value| body["error"].as_str().unwrap().to_owned());
        (status, error.unwrap_or_default())
    }

    #[tokio::test]
    async fn a_body_that_may_be_absent_is_read_strictly_when_it_is_there() {
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Grace {
            seconds: u32,
        }
        let router = Router::new().route(
            "/",
            post(async |OptionalJson(grace): OptionalJson<Grace>| grace.seconds.to_string()),
        );
        for (body, read) in [
            ("", "0"),
            ("null", "0"),
            ("{}", "0"),
            (r#"{"seconds":7}"#, "7"),
        ] {
            let request = Request::post("/").header("content-type", "application/json");
            let request = request.body(Body::from(body)).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let answer = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(answer, read, "{body:?}");
        }
        for body in ["x", "7", r#"{"second":7}"#, r#"{"seconds":"7"}"#] {
            let request = Request::post("/").header("content-type", "application/json");
            let request = request.body(Body::from(body)).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 400, "{body:?}");
        }
    }

    #[tokio::test]
    async fn bad_input_gets_a_clear_4xx() {
        let json = "application/json";
        assert_eq!(
            send(json, r#"{"amount":"0.05"}"#).await,
            (200, String::new())
        );
        for amount in ["", "_", "1e18", "0x10", "-1", "0.1234567890123456789"] {
            let body = format!(r#"{{"amount":"{amount}"}}"#);
            assert_eq!(
                send(json, body).await,
                (400, "INVALID_REQUEST".into()),
                "{amount:?}"
            );
        }
        for body in [
            "",
            "not json",
            "[]",
            r#"{"amount":"1","more":1}"#,
            r#"{"amount":1}"#,
            "\u{0}",
            "{\"amount\":\"1\"}x",
        ] {
            assert_eq!(
                send(json, body).await,
                (400, "INVALID_REQUEST".into()),
                "{body:?}"
            );
        }
        assert_eq!(
            send("text/plain", r#"{"amount":"1"}"#).await,
            (415, "UNSUPPORTED_MEDIA_TYPE".into())
        );
        assert_eq!(
            send(json, "x".repeat(10_000_000)).await,
            (413, "PAYLOAD_TOO_LARGE".into())
        );
    }
}
