//! Connections that stay open: WebSocket, and the socket file of a node on this machine (IPC).
//!
//! Each carries one request at a time, so that what comes next is its reply; as many are opened as there are requests
//! at once, and some are kept. One that broke while nobody used it is replaced without a word.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, Message, Utf8Bytes, protocol::WebSocketConfig},
};
use url::Url;

use super::{
    failure::{CallError, RpcFailure},
    transport::{CONNECT_TIMEOUT, too_long},
};

/// Connections that are kept while nothing is asked.
const MAX_IDLE: usize = 8;

/// Bytes read from a socket file at a time.
const READ_BYTES: usize = 64 * 1024;

/// Connections to one endpoint.
#[derive(Debug)]
pub(super) struct Sockets {
    to: Url,
    max_reply_bytes: usize,
    idle: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
enum Connection {
    WebSocket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
    Ipc(UnixStream),
}

/// Why an exchange came to nothing.
#[derive(Debug, thiserror::Error)]
enum SocketError {
    #[error("the socket file cannot be used")]
    File(#[from] std::io::Error),
    #[error("the WebSocket cannot be used")]
    WebSocket(#[from] tungstenite::Error),
    #[error("no connection within {} s", CONNECT_TIMEOUT.as_secs())]
    ConnectTimeout(#[from] tokio::time::error::Elapsed),
    #[error("the connection was closed")]
    Closed,
    #[error("the reply is too long")]
    TooLong,
}

impl Sockets {
    pub(super) const fn to(url: Url, max_reply_bytes: usize) -> Self {
        Self {
            to: url,
            max_reply_bytes,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// One request, one reply. A future that is dropped takes its connection with it.
    pub(super) async fn exchange(&self, request: &[u8]) -> Result<Vec<u8>, CallError> {
        let kept = self.idle().pop();
        if let Some(kept) = kept {
            match self.exchange_over(kept, request).await {
                // It was closed while it was kept: nothing was asked yet, as far as we know, and asking twice is harmless.
                Err(SocketError::Closed | SocketError::File(_) | SocketError::WebSocket(_)) => (),
                outcome => return outcome.map_err(|error| self.failed(&error)),
            }
        }
        let outcome = async {
            let fresh = timeout(CONNECT_TIMEOUT, self.connect()).await??;
            self.exchange_over(fresh, request).await
        };
        outcome.await.map_err(|error| self.failed(&error))
    }

    async fn connect(&self) -> Result<Connection, SocketError> {
        if self.to.scheme() == "file" {
            let path = self.to.to_file_path();
            let path = path.unwrap_or_else(|()| PathBuf::from(self.to.path()));
            return Ok(Connection::Ipc(UnixStream::connect(path).await?));
        }
        let limits = WebSocketConfig::default()
            .max_message_size(Some(self.max_reply_bytes))
            .max_frame_size(Some(self.max_reply_bytes));
        let (socket, _) = connect_async_with_config(self.to.as_str(), Some(limits), true).await?;
        Ok(Connection::WebSocket(Box::new(socket)))
    }

    async fn exchange_over(
        &self,
        mut connection: Connection,
        request: &[u8],
    ) -> Result<Vec<u8>, SocketError> {
        let reply = match &mut connection {
            Connection::WebSocket(socket) => over_web_socket(socket, request).await,
            Connection::Ipc(stream) => over_ipc(stream, request, self.max_reply_bytes).await,
        }?;
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
        Ok(reply)
    }

    fn failed(&self, error: &SocketError) -> CallError {
        match error {
            SocketError::TooLong | SocketError::WebSocket(tungstenite::Error::Capacity(_)) => {
                too_long(self.max_reply_bytes)
            }
            SocketError::File(_)
            | SocketError::WebSocket(_)
            | SocketError::ConnectTimeout(_)
            | SocketError::Closed => CallError::NoAnswer(RpcFailure::new(&self.to, error)),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn over_web_socket(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    request: &[u8],
) -> Result<Vec<u8>, SocketError> {
    let text = Utf8Bytes::try_from(request.to_vec()).map_err(tungstenite::Error::from)?;
    socket.send(Message::Text(text)).await?;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => return Ok(text.as_bytes().to_vec()),
            Message::Binary(bytes) => return Ok(bytes.to_vec()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => (),
            Message::Close(_) => break,
        }
    }
    Err(SocketError::Closed)
}

async fn over_ipc(
    stream: &mut UnixStream,
    request: &[u8],
    max_reply_bytes: usize,
) -> Result<Vec<u8>, SocketError> {
    stream.write_all(request).await?;
    // Some nodes read lines, others values.
    stream.write_all(b"\n").await?;
    let (mut reply, mut extent) = (Vec::with_capacity(READ_BYTES), Extent::default());
    loop {
        let seen = reply.len();
        if stream.read_buf(&mut reply).await? == 0 {
            return Err(SocketError::Closed);
        }
        if reply.iter().skip(seen).any(|byte| extent.ends_with(*byte)) {
            return Ok(reply);
        }
        if reply.len() > max_reply_bytes {
            return Err(SocketError::TooLong);
        }
    }
}

/// Where a JSON object or list ends: nothing else marks the end of a reply on a socket file.
#[derive(Debug, Default)]
struct Extent {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Extent {
    /// Whether this byte, after all before it, is the last.
    const fn ends_with(&mut self, byte: u8) -> bool {
        if self.in_text {
            self.in_text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => (),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::net::{TcpListener, UnixListener};
    use tokio_tungstenite::accept_async;

    use super::{super::transport::Transport, *};

    const PATIENCE: Duration = Duration::from_secs(10);
    const REPLY: &str = r#"{"id":0,"result":"a \"}] b\\"}"#;

    async fn ask(transport: &Transport) -> Result<String, CallError> {
        let request = br#"{"id":0}"#.to_vec();
        let exchanged = transport.exchange(request, PATIENCE).await?;
        Ok(String::from_utf8(exchanged.body).unwrap().trim().to_owned())
    }

    #[tokio::test]
    async fn a_web_socket_that_the_node_closed_is_replaced_without_a_word() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut socket = accept_async(stream).await.unwrap();
                let asked = socket.next().await.unwrap().unwrap();
                assert_eq!(asked.to_text().unwrap(), r#"{"id":0}"#);
                socket.send(Message::text(REPLY)).await.unwrap();
            }
        });
        let transport = Transport::new(url.parse().unwrap(), 1_000);
        for _ in 0..3 {
            assert_eq!(ask(&transport).await.unwrap(), REPLY);
        }
        let narrow = Transport::new(url.parse().unwrap(), 10);
        assert!(matches!(ask(&narrow).await, Err(CallError::TooLong(_))));
    }

    #[tokio::test]
    async fn a_socket_files_reply_is_read_to_its_end_however_it_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.ipc");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 9];
                    while stream.read_exact(&mut request).await.is_ok() {
                        for piece in REPLY.as_bytes().chunks(7) {
                            stream.write_all(piece).await.unwrap();
                            tokio::task::yield_now().await;
                        }
                        stream.write_all(b"\n").await.unwrap();
                    }
                });
            }
        });
        let transport = Transport::new(Url::from_file_path(&path).unwrap(), 1_000);
        for _ in 0..3 {
            assert_eq!(ask(&transport).await.unwrap(), REPLY);
        }
        let narrow = Transport::new(Url::from_file_path(&path).unwrap(), 10);
        assert!(matches!(ask(&narrow).await, Err(CallError::TooLong(_))));
        let nobody = Url::from_file_path(folder.path().join("none.ipc")).unwrap();
        let nobody = ask(&Transport::new(nobody, 1_000)).await;
        assert!(matches!(nobody, Err(CallError::NoAnswer(_))));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[\\[\\]{}\"\\\\a]{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[\\[\\]{}\"\\\\a]{0,4}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_ends_at_its_last_byte_and_not_before(value in any_json()) {
            let text = serde_json::json!({ "result": value }).to_string();
            let mut extent = Extent::default();
            let ends: Vec<_> = text.bytes().map(|byte| extent.ends_with(byte)).collect();
            prop_assert_eq!(ends.iter().position(|ends| *ends), text.len().checked_sub(1));
        }
    }
}
