//! JSON-RPC 2.0 as it goes over the wire: one pass over a reply, straight into what it holds. Pure.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::refusal;
use crate::metrics::Method;

/// A request.
#[derive(Debug, Serialize)]
pub(super) struct Request<P> {
    jsonrpc: &'static str,
    id: usize,
    pub(super) method: Method,
    params: P,
}

/// A reply to one request of a batch.
#[derive(Debug, Deserialize)]
struct BatchedReply<T> {
    id: usize,
    result: Option<T>,
    error: Option<ErrorReply>,
}

#[derive(Debug, Deserialize)]
struct Reply<T> {
    result: Option<T>,
    error: Option<ErrorReply>,
}

/// What a node says when it does not do what it is asked.
#[derive(Debug, Deserialize)]
struct ErrorReply {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: serde_json::Value,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoResult {
    /// The node has more to do than it can, or we ask too much of it.
    Busy(String),
    /// Something between the node and us broke the reply.
    Broken(String),
    /// The server does not let us in, or is no node at all.
    NoEntry(String),
    /// What was asked for is longer than the server sends.
    TooLong(String),
    /// The node says no.
    Refused {
        /// The node's code.
        code: i64,
        /// The node's words.
        words: String,
    },
}

impl<P: Serialize> Request<P> {
    /// The request `id` of a batch; of a single one nobody asks for the number.
    pub(super) const fn new(id: usize, method: Method, params: P) -> Self {
        Self {
            jsonrpc: "2.0",
            id,
            method,
            params,
        }
    }
}

impl ErrorReply {
    /// What it means.
    fn meaning(self) -> NoResult {
        let Self {
            code,
            message,
            data,
        } = self;
        let words = match data.as_str() {
            Some(data) => format!("{message}: {data}"),
            None => message,
        };
        if code == 429 || refusal::is_busy(&words.to_ascii_lowercase()) {
            NoResult::Busy(words)
        } else {
            NoResult::Refused { code, words }
        }
    }
}

/// The result in a reply; `None` where the node says `null`. Providers send errors with any HTTP status, so the body is
/// looked at first.
pub(super) fn result<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<Option<T>, NoResult> {
    let http = || format!("HTTP status {status}");
    if status == 429 {
        return Err(NoResult::Busy(http()));
    }
    let success = (200..300).contains(&status);
    match serde_json::from_slice::<Reply<T>>(body) {
        Ok(Reply {
            error: Some(error), ..
        }) => Err(error.meaning()),
        Ok(Reply { result, .. }) if success => Ok(result),
        Err(error) if success && error.is_data() => Err(NoResult::Refused {
            code: 0,
            words: format!("the reply is not what was asked for: {error}"),
        }),
        Err(error) if success => Err(NoResult::Broken(format!("the reply is broken: {error}"))),
        Ok(_) | Err(_) => Err(match status {
            413 => NoResult::TooLong(http()),
            500.. => NoResult::Busy(http()),
            _ => NoResult::NoEntry(http()),
        }),
    }
}

/// The answers to the requests of a batch, each in its place.
pub(super) type Answers<T> = Vec<Result<Option<T>, NoResult>>;

/// The answers to a batch of `size` requests, in their order; `None` where it was not answered request for request.
pub(super) fn results<T: DeserializeOwned>(
    status: u16,
    body: &[u8],
    size: usize,
) -> Result<Option<Answers<T>>, NoResult> {
    let replies = match serde_json::from_slice::<Vec<BatchedReply<T>>>(body) {
        Ok(replies) => replies,
        Err(error) if error.is_data() && body.trim_ascii_start().starts_with(b"[") => {
            return Ok(None);
        }
        // One reply to all: its error. One without an error is no answer to a batch.
        Err(_) => {
            return match result::<serde::de::IgnoredAny>(status, body) {
                Ok(_) => Ok(None),
                // Its way to say that it takes no lists.
                Err(NoResult::NoEntry(words)) => Err(NoResult::Refused { code: 0, words }),
                Err(why) => Err(why),
            };
        }
    };
    let mut answers: Vec<_> = std::iter::repeat_with(|| None).take(size).collect();
    for reply in replies {
        let answer = match reply.error.map(ErrorReply::meaning) {
            // One of them was refused, not all.
            Some(why @ NoResult::Refused { .. }) => Err(why),
            Some(why) => return Err(why),
            None => Ok(reply.result),
        };
        if let Some(place) = answers.get_mut(reply.id) {
            *place = Some(answer);
        }
    }
    Ok(answers.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_an_answer_and_an_error_is_none() {
        assert_eq!(result(200, br#"{"id":0,"result":7}"#), Ok(Some(7)));
        assert_eq!(result::<u8>(200, br#"{"id":"x","result":null}"#), Ok(None));
        let refused = |status| {
            result::<u8>(
                status,
                br#"{"id":0,"result":null,"error":{"code":-32000,"message":"no","data":"why"}}"#,
            )
        };
        let expected = Err(NoResult::Refused {
            code: -32_000,
            words: "no: why".to_owned(),
        });
        for status in [200, 400, 500] {
            assert_eq!(refused(status), expected);
        }
    }

    #[test]
    fn a_reply_that_is_none_tells_who_is_to_blame() {
        let case = |status, body: &str| result::<u8>(status, body.as_bytes()).unwrap_err();
        assert!(matches!(case(429, "{}"), NoResult::Busy(_)));
        assert!(matches!(case(503, "sorry"), NoResult::Busy(_)));
        assert!(matches!(case(401, "who?"), NoResult::NoEntry(_)));
        assert!(matches!(case(413, ""), NoResult::TooLong(_)));
        assert!(matches!(case(200, r#"{"result":"#), NoResult::Broken(_)));
        assert!(matches!(case(200, "<html>"), NoResult::Broken(_)));
        assert!(matches!(
            case(200, r#"{"result":[]}"#),
            NoResult::Refused { .. }
        ));
        let limited = r#"{"error":{"code":-32005,"message":"Request rate limited"}}"#;
        assert!(matches!(case(200, limited), NoResult::Busy(_)));
    }

    #[test]
    fn a_batch_counts_only_when_every_request_is_answered() {
        let case = |body: &str| results::<u8>(200, body.as_bytes(), 2);
        assert_eq!(
            case(r#"[{"id":1,"result":8},{"id":0,"result":null}]"#),
            Ok(Some(vec![Ok(None), Ok(Some(8))]))
        );
        let refused = NoResult::Refused {
            code: -32_000,
            words: "no".to_owned(),
        };
        assert_eq!(
            case(r#"[{"id":0,"result":1},{"id":1,"error":{"code":-32000,"message":"no"}}]"#),
            Ok(Some(vec![Ok(Some(1)), Err(refused)]))
        );
        for partial in [
            "[]",
            r#"[{"id":0,"result":1},{"id":0,"result":1}]"#,
            r#"[{"id":0,"result":1},{"id":9,"result":1}]"#,
            r#"{"id":0,"result":1}"#,
        ] {
            assert_eq!(case(partial), Ok(None), "{partial}");
        }
        assert!(matches!(
            case(r#"{"error":{"code":-32600,"message":"no batches"}}"#),
            Err(NoResult::Refused { .. })
        ));
        assert!(matches!(
            results::<u8>(405, b"no lists", 2),
            Err(NoResult::Refused { .. })
        ));
        assert!(matches!(
            case(r#"[{"id":0,"error":{"code":429,"message":""}}]"#),
            Err(NoResult::Busy(_))
        ));
    }
}
