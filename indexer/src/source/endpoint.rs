//! One endpoint: requests within its limits, counted, and each outcome remembered in its health.
//!
//! Asks once; who asks again, and whom, is decided by [`super::endpoints`]. A failure is told without the URL, which
//! often carries a key. A reply is read only up to a limit, and before it is parsed.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use url::Url;
use x402_service::metrics::whole;

use super::{
    SourceError,
    allowance::Rate,
    failure::{CallError, RpcFailure, host},
    health::Health,
    transport::{Exchanged, Transport},
    wire::{self, Answers, NoResult, Request},
};
use crate::{
    config::IndexerConfig,
    metrics::{EndpointMetrics, Method, Metrics, Outcome},
};

/// The longest wait for a reply that is no range of logs, so that a node that hangs is left soon.
const SMALL_REPLY_PATIENCE: Duration = Duration::from_secs(10);

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Its place in the settings.
    pub(super) index: usize,
    /// As logs and errors call it.
    pub(super) name: String,
    /// Whether it is on our chain, once that is known.
    pub(super) on_our_chain: OnceLock<bool>,
    /// It is being looked at in the background.
    pub(super) probed: AtomicBool,
    transport: Transport,
    /// The longest wait for a whole reply.
    patience: Duration,
    health: Mutex<Health>,
    rate: Option<Mutex<Rate>>,
    refuses_batches: AtomicBool,
    /// It has said that it does not know which block is final.
    pub(super) knows_no_finality: AtomicBool,
    /// Requests that it had too much to do for, or gave no answer to.
    pub(super) busy: AtomicU64,
    pub(super) metrics: Arc<Metrics>,
    own_metrics: EndpointMetrics,
}

impl Endpoint {
    pub(super) fn new(
        index: usize,
        url: Url,
        config: &IndexerConfig,
        metrics: Arc<Metrics>,
    ) -> Self {
        let max_reply_bytes = usize::try_from(config.rpc_max_reply_bytes).unwrap_or(usize::MAX);
        let own_metrics = metrics.endpoint(index);
        own_metrics.ready.set(1);
        Self {
            index,
            name: format!("{index} ({})", host(&url)),
            on_our_chain: OnceLock::new(),
            probed: AtomicBool::new(false),
            transport: Transport::new(url, max_reply_bytes),
            patience: Duration::from_millis(config.rpc_timeout_ms),
            health: Mutex::default(),
            rate: config
                .rpc_rate
                .map(|rate| Mutex::new(Rate::per_second(rate))),
            refuses_batches: AtomicBool::new(false),
            knows_no_finality: AtomicBool::new(false),
            busy: AtomicU64::new(0),
            metrics,
            own_metrics,
        }
    }

    /// Asks once; `None` where the node says `null`.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        params: impl Serialize,
    ) -> Result<Option<T>, CallError> {
        let request = Request::new(0, method, params);
        self.exchange(&[method], &request, |exchanged| {
            wire::result(exchanged.status, &exchanged.body)
        })
        .await
    }

    /// The same as part of a read, whose errors name the method.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        params: impl Serialize,
    ) -> Result<Option<T>, SourceError> {
        let answer = self.call(method, params).await;
        answer.map_err(|error| error.answering(method))
    }

    /// Asks for several things at once, of one node even behind a balancer; the answers in the order of the requests.
    /// `None` when the endpoint does not take, or does not fully answer, several requests at a time.
    pub(super) async fn batch<T: DeserializeOwned>(
        &self,
        requests: &[Request<impl Serialize>],
    ) -> Result<Option<Answers<T>>, CallError> {
        self.batch_read(requests, wire::results).await
    }

    /// The same with a reader of one's own for the reply: given its status, its bytes and the number of requests.
    pub(super) async fn batch_read<T>(
        &self,
        requests: &[Request<impl Serialize>],
        read: impl FnOnce(u16, &[u8], usize) -> Result<Option<Answers<T>>, NoResult>,
    ) -> Result<Option<Answers<T>>, CallError> {
        if self.refuses_batches.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let methods: Vec<_> = requests.iter().map(|request| request.method).collect();
        let outcome = self
            .exchange(&methods, &requests, |exchanged| {
                read(exchanged.status, &exchanged.body, requests.len())
            })
            .await;
        match outcome {
            Err(CallError::Refused { code, failure }) if failure.refuses_batches(code) => {
                if !self.refuses_batches.swap(true, Ordering::Relaxed) {
                    tracing::info!(
                        endpoint = self.name,
                        reply = %failure,
                        "refuses several requests in one; asked one by one from now on, so it must be one node and no balancer"
                    );
                }
                Ok(None)
            }
            outcome => outcome,
        }
    }

    /// What the node refused within a batch, as if it had been asked alone.
    pub(super) fn refusal(&self, why: NoResult) -> CallError {
        CallError::from_reply(why, self.transport.url())
    }

    /// Sends, receives, judges, and remembers how it went.
    async fn exchange<T>(
        &self,
        methods: &[Method],
        request: &impl Serialize,
        judge: impl FnOnce(&Exchanged) -> Result<T, NoResult>,
    ) -> Result<T, CallError> {
        let method = methods.first().copied().unwrap_or(Method::ChainId);
        let requests = u32::try_from(methods.len()).unwrap_or(u32::MAX);
        self.wait_for_turn(requests).await;
        let timer = self.metrics.rpc_seconds(method).start_timer();
        let sent = Instant::now();
        let exchanged = match serde_json::to_vec(request) {
            Ok(request) => {
                self.transport
                    .exchange(request, self.patience_with(method))
                    .await
            }
            Err(error) => Err(CallError::NoAnswer(RpcFailure::new(
                self.transport.url(),
                &error,
            ))),
        };
        timer.observe_duration();
        let mut asked_rest = None;
        let outcome = exchanged.and_then(|exchanged| {
            asked_rest = exchanged.retry_after;
            judge(&exchanged).map_err(|why| CallError::from_reply(why, self.transport.url()))
        });
        let label = outcome
            .as_ref()
            .map_or_else(CallError::label, |_| Outcome::Ok);
        for method in methods {
            self.metrics.count_rpc(*method, label);
        }
        match &outcome {
            Ok(_) => self.health().answered(),
            // It answers, only not with this.
            Err(CallError::Refused { .. } | CallError::TooLong(_)) => (),
            Err(CallError::NoAnswer(_) | CallError::Busy(_) | CallError::Late(_)) => {
                self.busy.fetch_add(1, Ordering::Relaxed);
                if matches!(outcome, Err(CallError::Late(_))) {
                    // At most half of the time is spent on waiting in vain.
                    asked_rest = Some(sent.elapsed());
                    self.health().late();
                }
                let jitter = fastrand::u32(0..=1_000);
                self.health().failed(Instant::now(), asked_rest, jitter);
            }
        }
        let ready = self.rest().is_none();
        self.own_metrics.ready.set(i64::from(ready));
        outcome
    }

    /// What is small comes soon or not at all.
    fn patience_with(&self, method: Method) -> Duration {
        if method == Method::GetLogs {
            self.patience
        } else {
            self.patience.min(SMALL_REPLY_PATIENCE)
        }
    }

    async fn wait_for_turn(&self, requests: u32) {
        let wait = self.rate.as_ref().map(|rate| {
            rate.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(requests, Instant::now())
        });
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            tokio::time::sleep(wait).await;
        }
    }

    /// How much longer it is to be left alone.
    pub(super) fn rest(&self) -> Option<Duration> {
        self.health().rest(Instant::now())
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reply of it contradicted itself, or another endpoint.
    pub(super) fn contradicted(&self) {
        self.metrics.contradictions_total.inc();
        self.health().contradicted();
    }

    /// Its newest block, and how long it took to say so.
    pub(super) fn saw_head(&self, number: u64, took: Duration) {
        self.own_metrics.head.set(whole(number));
        self.health().saw_head(number, took, Instant::now());
    }

    pub(super) fn saw_finalized(&self, number: u64) {
        self.own_metrics.finalized.set(whole(number));
    }
}
