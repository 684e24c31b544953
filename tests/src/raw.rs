//! Requests below the SDKs, for what the SDKs would never send.

use reqwest::{Method, StatusCode};
use serde_json::Value;

/// A status and a JSON body; `null` when the body is none.
pub type Answer = (StatusCode, Value);

/// Sends JSON with a bearer key.
pub async fn send(method: Method, url: &str, key: Option<&str>, body: &Value) -> Answer {
    send_text(method, url, key, body.to_string()).await
}

/// Sends a body as it is, said to be JSON.
pub async fn send_text(method: Method, url: &str, key: Option<&str>, body: String) -> Answer {
    let mut request = reqwest::Client::new()
        .request(method, url)
        .header("content-type", "application/json")
        .body(body);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    answer(request).await
}

/// Asks with a bearer key.
pub async fn get(url: &str, key: Option<&str>) -> Answer {
    let mut request = reqwest::Client::new().get(url);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    answer(request).await
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("the service answers");
    let status = response.status();
    let body = response.bytes().await.expect("the answer arrives");
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}
