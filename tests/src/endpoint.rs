//! An endpoint that webhooks are sent to: a real server that answers as a test wants and keeps what it gets.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;

/// A running endpoint. It ends when it is dropped.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Received>,
    server: tokio::task::JoinHandle<()>,
}

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Message {
    /// All headers.
    pub headers: HeaderMap,
    /// The body's bytes.
    pub body: Bytes,
}

#[derive(Debug)]
struct Received {
    messages: Mutex<Vec<Message>>,
    answers: StatusCode,
    /// How many answers of 500 come first.
    failures: Mutex<u32>,
    delay: Duration,
}

impl Endpoint {
    /// One that answers 200.
    pub async fn start() -> Self {
        Self::answering(StatusCode::OK, 0, Duration::ZERO).await
    }

    /// One that answers 500 so many times first, and takes its time over each answer.
    pub async fn answering(answers: StatusCode, failures: u32, delay: Duration) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Received {
            messages: Mutex::default(),
            answers,
            failures: Mutex::new(failures),
            delay,
        });
        let routes = Router::new()
            .route("/", post(receive))
            .with_state(Arc::clone(&state));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            address,
            state,
            server,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Everything that it got, refused or not.
    pub fn messages(&self) -> Vec<Message> {
        self.state.messages.lock().unwrap().clone()
    }

    /// How often each message came, by its id.
    pub fn counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for message in self.messages() {
            let count: &mut usize = counts.entry(message.header("webhook-id")).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Message {
    /// A header's text.
    pub fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn receive(
    State(state): State<Arc<Received>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    state
        .messages
        .lock()
        .unwrap()
        .push(Message { headers, body });
    tokio::time::sleep(state.delay).await;
    let mut failures = state.failures.lock().unwrap();
    if *failures > 0 {
        *failures = failures.saturating_sub(1);
        return (StatusCode::INTERNAL_SERVER_ERROR, "on purpose".to_owned());
    }
    // Long, as nobody may wait for its end.
    (state.answers, "x".repeat(1_000_000))
}
