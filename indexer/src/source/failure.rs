//! Why an endpoint gave no result, and what that means to who asked.

use url::Url;

use super::{refusal, reply::Inconsistency, wire::NoResult};
use crate::{
    metrics::{Method, Outcome},
    receipts::Mismatch,
};

/// The longest piece of a failure's text that is kept: a reply that is no JSON may be megabytes. The hints of providers
/// come at the end of three hundred characters.
const FAILURE_TEXT: usize = 1_000;

/// What a node or the way to it said, with the URL taken out.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct RpcFailure(String);

/// Why the node's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection, or the node is too busy; asked several times.
    #[error("the node does not answer {}; is the RPC URL right?", method.as_str())]
    Unreachable {
        /// What was asked.
        method: Method,
        /// What came back.
        #[source]
        failure: RpcFailure,
    },
    /// The node answered with an error, or with something that is no answer.
    #[error("the node refuses {}", method.as_str())]
    Refused {
        /// What was asked.
        method: Method,
        /// What came back.
        #[source]
        failure: RpcFailure,
    },
    /// The range of logs is too wide for the node: it has too many blocks, or too much in them.
    #[error("the node refuses so wide a range of logs")]
    RangeRefused {
        /// How many blocks would pass, if the node says it: at least one and fewer than were asked for.
        fits: Option<u64>,
        /// What came back.
        #[source]
        failure: RpcFailure,
    },
    /// The node does not know a block that must exist: it lags behind, or a reorg took the block away.
    #[error("the node does not know block {0}")]
    UnknownBlock(String),
    /// The node contradicts itself.
    #[error("the node's replies do not fit together")]
    Inconsistent(#[from] Inconsistency),
    /// An endpoint's logs are not those that the block's header vouches for.
    #[error("endpoint {endpoint} is not to be believed on block {block}")]
    Disproved {
        /// Which: its place in the settings and its host.
        endpoint: String,
        /// The block's number.
        block: u64,
        /// What differs.
        #[source]
        mismatch: Mismatch,
    },
    /// An endpoint is on another chain than the ones before it.
    #[error("endpoint {endpoint} is on chain {chain_id} and not on {expected}; check --rpc-url")]
    OtherChain {
        /// Which: its place in the settings and its host.
        endpoint: String,
        /// Its chain.
        chain_id: u64,
        /// The chain of the others.
        expected: u64,
    },
}

/// Why one request has no result.
#[derive(Debug)]
pub(super) enum CallError {
    /// No connection, or the reply broke off.
    NoAnswer(RpcFailure),
    /// Too many requests, for now.
    Busy(RpcFailure),
    /// Not within the time that we wait.
    Late(RpcFailure),
    /// A reply longer than we, or the server, allow.
    TooLong(RpcFailure),
    /// The node says no.
    Refused { code: i64, failure: RpcFailure },
}

impl SourceError {
    /// Whether it only says that nothing was said.
    pub(super) const fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// The result of a method that never answers with `null`.
pub(super) fn there<T>(result: Option<T>, method: Method) -> Result<T, SourceError> {
    result.ok_or_else(|| SourceError::Refused {
        method,
        failure: RpcFailure::of_ours("the reply is null".to_owned()),
    })
}

impl CallError {
    /// Of a reply from the endpoint at `url`.
    pub(super) fn from_reply(why: NoResult, url: &Url) -> Self {
        let told = |words: &str| RpcFailure(without(url, words));
        match why {
            NoResult::Busy(words) => Self::Busy(told(&words)),
            NoResult::Broken(words) | NoResult::NoEntry(words) => Self::NoAnswer(told(&words)),
            NoResult::TooLong(words) => Self::TooLong(told(&words)),
            NoResult::Refused { code, words } => Self::Refused {
                code,
                failure: told(&words),
            },
        }
    }

    /// Whether the node says that it does not know a tag, as opposed to having trouble.
    pub(super) const fn knows_no_tag(&self) -> bool {
        const INTERNAL_ERROR: i64 = -32_603;
        matches!(self, Self::Refused { code, .. } if *code != INTERNAL_ERROR)
    }

    pub(super) const fn label(&self) -> Outcome {
        match self {
            Self::NoAnswer(_) | Self::Late(_) => Outcome::Unreachable,
            Self::Busy(_) => Outcome::Busy,
            Self::TooLong(_) => Outcome::TooLong,
            Self::Refused { .. } => Outcome::Refused,
        }
    }

    /// As the answer to `method`.
    pub(super) fn answering(self, method: Method) -> SourceError {
        match self {
            Self::NoAnswer(failure) | Self::Busy(failure) | Self::Late(failure) => {
                SourceError::Unreachable { method, failure }
            }
            Self::TooLong(failure) | Self::Refused { failure, .. } => {
                SourceError::Refused { method, failure }
            }
        }
    }

    /// As the answer to a request for the logs of so many blocks: what is too long or takes too long is so because there
    /// is too much in them, most likely. Asking the same again would be no better.
    pub(super) fn answering_range(self, blocks: u64) -> SourceError {
        match self {
            Self::TooLong(failure) => SourceError::RangeRefused {
                fits: None,
                failure,
            },
            Self::Refused { code, failure } => match refusal::too_wide(code, &failure.0, blocks) {
                Some(wide) => SourceError::RangeRefused {
                    fits: wide.fits,
                    failure,
                },
                None => Self::Refused { code, failure }.answering(Method::GetLogs),
            },
            Self::Late(failure) => SourceError::Refused {
                method: Method::GetLogs,
                failure,
            },
            Self::NoAnswer(_) | Self::Busy(_) => self.answering(Method::GetLogs),
        }
    }
}

impl RpcFailure {
    /// In our own words.
    pub(super) const fn of_ours(words: String) -> Self {
        Self(words)
    }

    /// Whether a contract refused the call, as opposed to a node that could not make it.
    pub(super) fn is_revert(&self) -> bool {
        self.0.to_ascii_lowercase().contains("revert")
    }

    /// Whether the server says that it takes one request at a time, as opposed to refusing what was asked.
    pub(super) fn refuses_batches(&self, code: i64) -> bool {
        // 0: refused by HTTP, before anybody read what was asked.
        matches!(code, 0 | -32_600 | -32_601 | -32_700)
            || self.0.to_ascii_lowercase().contains("batch")
    }

    /// The error and its causes in one line.
    pub(super) fn new(url: &Url, error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            let deeper_text = deeper.to_string();
            if !text.contains(&deeper_text) {
                text = format!("{text}: {deeper_text}");
            }
            cause = deeper.source();
        }
        Self(without(url, &text))
    }
}

/// What of a URL may be told: its host; of a socket file that it is one.
pub(super) fn host(url: &Url) -> &str {
    let host = url.host_str().filter(|host| !host.is_empty());
    host.unwrap_or("a socket file")
}

/// The text, shortened, with every trace of the URL beyond its host taken out.
fn without(url: &Url, text: &str) -> String {
    let host = host(url);
    let mut text = text.replace(url.as_str(), host);
    let path = url.path();
    for part in [
        path,
        path.trim_start_matches('/'),
        url.query().unwrap_or(""),
        url.password().unwrap_or(""),
    ] {
        if part.len() > 1 {
            text = text.replace(part, "…");
        }
    }
    text.chars().take(FAILURE_TEXT).collect()
}
