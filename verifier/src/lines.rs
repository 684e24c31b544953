//! `POST /verify/batch` as lines: a request a line in, an answer a line out, in order and without end.
//!
//! Lines that have arrived are answered together, up to 1,000 of them with one look and one commit.
//! Nothing more is read until the answers are taken, so memory is bounded whatever is sent. A line
//! that cannot be answered gets an error with its number, and the rest goes on.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{FutureExt, StreamExt, stream};
use serde::Serialize;
use thiserror::Error;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use x402_schemas::api::provider::{MAX_BATCH, VerifyRequest, VerifyResponse};
use x402_service::{api_key::ApiKey, clock};

use crate::{
    Verifier,
    batch::check_item,
    cases::answer,
    limits::LimitError,
    principal::{Admitted, Principal},
    verify::VerifyError,
};

/// How lines are told from a batch.
pub(crate) const MEDIA_TYPE: &str = "application/x-ndjson";

/// The longest line: a proof has at most 8 KiB, the rest of a request is small.
const MAX_LINE_BYTES: usize = 32 * 1024;

/// How long the next bytes may take. A connection that is kept open for nothing ends.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// The longest that a group of lines waits for its turn before it is refused.
const MAX_TURN: Duration = Duration::from_secs(5);

/// Between two tries for a turn.
const TURN_POLL: Duration = Duration::from_millis(20);

/// One connection's lines.
struct Lines {
    body: BodyDataStream,
    splitter: Splitter,
    /// Whether the body has more.
    open: bool,
}

/// Who asks on that connection, and whom.
struct Asker {
    verifier: Arc<Verifier>,
    key: ApiKey,
    _slot: OwnedSemaphorePermit,
}

/// Bytes to lines.
#[derive(Debug, Default)]
struct Splitter {
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Whether that line is too long already; the rest of it is thrown away.
    overlong: bool,
    /// What came after the lines that were taken.
    rest: Bytes,
    /// The number of the line that is read next.
    number: u64,
}

/// A line as it was read.
#[derive(Debug)]
struct Line {
    number: u64,
    request: Result<VerifyRequest, LineError>,
}

/// Why a line has no verdict.
#[derive(Clone, Debug, Error)]
enum LineError {
    #[error("a line has at most {MAX_LINE_BYTES} bytes")]
    TooLong,
    #[error("{0}")]
    Unreadable(String),
    #[error("{message}")]
    NoVerdict { code: &'static str, message: String },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Verdict(VerifyResponse),
    Error {
        line: u64,
        error: &'a str,
        message: String,
    },
}

/// Answers a body line by line.
pub(crate) fn answer_lines(verifier: Arc<Verifier>, admitted: Admitted, body: Body) -> Response {
    let asker = Asker {
        verifier,
        key: admitted.key,
        _slot: admitted.slot,
    };
    let lines = Lines {
        body: body.into_data_stream(),
        splitter: Splitter::default(),
        open: true,
    };
    // One group after the other, each when the one before has been taken.
    let answers = stream::unfold((lines, asker), |(mut lines, asker)| async move {
        let group = lines.next_group().await;
        if group.is_empty() {
            return None;
        }
        let answers = asker.answer(group).await;
        Some((Ok::<_, std::convert::Infallible>(answers), (lines, asker)))
    });
    let content_type = HeaderValue::from_static(MEDIA_TYPE);
    (
        [(header::CONTENT_TYPE, content_type)],
        Body::from_stream(answers),
    )
        .into_response()
}

impl Lines {
    /// The next lines that have arrived, at least one unless there are no more.
    async fn next_group(&mut self) -> Vec<Line> {
        let mut group = Vec::new();
        loop {
            self.splitter.take(&mut group);
            if group.len() >= MAX_BATCH || !self.open {
                return group;
            }
            let chunk = if group.is_empty() {
                timeout(IDLE_TIMEOUT, self.body.next()).await.ok().flatten()
            } else {
                // What has arrived is answered before more is waited for.
                match self.body.next().now_or_never() {
                    Some(chunk) => chunk,
                    None => return group,
                }
            };
            match chunk {
                Some(Ok(chunk)) => self.splitter.rest = chunk,
                // Ended, cut off or silent: what is complete is answered.
                Some(Err(_)) => self.open = false,
                None => {
                    self.open = false;
                    self.splitter.end(&mut group);
                }
            }
        }
    }
}

impl Asker {
    async fn answer(&self, group: Vec<Line>) -> Bytes {
        let _timer = self.verifier.metrics.batch_duration_seconds.start_timer();
        let mut requests = Vec::with_capacity(group.len());
        let outlines: Vec<(u64, Option<LineError>)> = group
            .into_iter()
            .map(|line| match line.request {
                Ok(request) => {
                    requests.push(request);
                    (line.number, None)
                }
                Err(error) => (line.number, Some(error)),
            })
            .collect();
        let (mut verdicts, failure) = match self.judge(&requests).await {
            Ok(verdicts) => (verdicts.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(LineError::from(error))),
        };
        let mut out = Vec::new();
        for (number, error) in outlines {
            let answer = match error.as_ref().or(failure.as_ref()) {
                Some(error) => error.answer(number),
                None => match verdicts.next() {
                    Some(verdict) => Answer::Verdict(verdict),
                    None => break,
                },
            };
            // Answers are plain data; should one not be writable, its line stays empty.
            drop(serde_json::to_writer(&mut out, &answer));
            out.push(b'\n');
        }
        out.into()
    }

    async fn judge(&self, requests: &[VerifyRequest]) -> Result<Vec<VerifyResponse>, VerifyError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        // A key that was revoked since the last group answers nothing more.
        let principal = Principal::of(&self.verifier, &self.key)?;
        let _in_hand = self.turn(&principal, requests.len()).await?;
        answer(&self.verifier, &principal, requests, clock::now()).await
    }

    /// Waits for the provider's rate and for room: lines are slowed down rather than refused.
    async fn turn(
        &self,
        principal: &Principal,
        count: usize,
    ) -> Result<OwnedSemaphorePermit, LimitError> {
        let lane = &principal.provider.lane;
        let turn = async {
            while lane.take(count).is_err() {
                tokio::time::sleep(TURN_POLL).await;
            }
            loop {
                match self.verifier.in_hand.take(count) {
                    Ok(permit) => return permit,
                    Err(_) => tokio::time::sleep(TURN_POLL).await,
                }
            }
        };
        timeout(MAX_TURN, turn).await.map_err(|_| {
            let error = LimitError::Overloaded;
            self.verifier.metrics.count_refused(error.counted_as());
            error
        })
    }
}

impl Splitter {
    /// Takes lines out of what has come, up to a full group.
    fn take(&mut self, group: &mut Vec<Line>) {
        while group.len() < MAX_BATCH {
            let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') else {
                let rest = std::mem::take(&mut self.rest);
                return self.keep(&rest);
            };
            let line = self.rest.split_to(end);
            let _newline = self.rest.split_to(1);
            if self.partial.is_empty() && !self.overlong && line.len() <= MAX_LINE_BYTES {
                self.read(&line, group);
            } else {
                self.keep(&line);
                self.end(group);
            }
        }
    }

    fn keep(&mut self, part: &[u8]) {
        let fits = self.partial.len().saturating_add(part.len()) <= MAX_LINE_BYTES;
        if fits && !self.overlong {
            self.partial.extend_from_slice(part);
        } else {
            self.overlong = true;
            self.partial = Vec::new();
        }
    }

    /// What is kept is a whole line.
    fn end(&mut self, group: &mut Vec<Line>) {
        let line = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.overlong) {
            self.number = self.number.saturating_add(1);
            group.push(Line {
                number: self.number,
                request: Err(LineError::TooLong),
            });
        } else {
            self.read(&line, group);
        }
    }

    fn read(&mut self, line: &[u8], group: &mut Vec<Line>) {
        self.number = self.number.saturating_add(1);
        if line.trim_ascii().is_empty() {
            return;
        }
        let request = serde_json::from_slice(line)
            .map_err(|error| LineError::Unreadable(error.to_string()))
            .and_then(|request: VerifyRequest| {
                check_item(&request)?;
                Ok(request)
            });
        group.push(Line {
            number: self.number,
            request,
        });
    }
}

impl LineError {
    fn answer(&self, line: u64) -> Answer<'static> {
        let (error, message) = match self {
            Self::TooLong | Self::Unreadable(_) => ("INVALID_REQUEST", self.to_string()),
            Self::NoVerdict { code, message } => (*code, message.clone()),
        };
        Answer::Error {
            line,
            error,
            message,
        }
    }
}

impl From<VerifyError> for LineError {
    fn from(error: VerifyError) -> Self {
        let (code, message) = error.code_and_message();
        Self::NoVerdict { code, message }
    }
}

#[cfg(test)]
mod tests;
