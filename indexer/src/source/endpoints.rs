//! Whom to ask, and whom next.
//!
//! The first endpoint in order of health that can know the block asked for. An answer that is none, or that cannot be
//! right, is never believed before the others were asked too. Endpoints of another chain are never asked. Bounded in
//! repetitions, in time, and by a budget that all reads share.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
    time::Duration,
};

use futures::future::join_all;
use tokio::time::Instant;

use super::{
    SourceError,
    allowance::RetryBudget,
    endpoint::Endpoint,
    failure::RpcFailure,
    health::{self, Health},
};
use crate::metrics::{Method, Metrics};

/// How often all endpoints are asked again within one read; after that the loop decides.
const RETRIES: u32 = 5;

/// No repetition begins after this.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest pause within one read. A node that asks for a longer one is reported instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How old the head of an endpoint may be that nobody has asked for a while.
const HEAD_AGE: Duration = Duration::from_secs(4);

/// All endpoints.
#[derive(Debug)]
pub(super) struct Endpoints {
    all: Vec<Arc<Endpoint>>,
    chain_id: OnceLock<u64>,
    budget: Mutex<RetryBudget>,
    pub(super) metrics: Arc<Metrics>,
}

/// What an endpoint needs to be asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    /// To have seen this block.
    pub(super) head: Option<u64>,
    /// To be this one, if it may be asked.
    pub(super) first: Option<usize>,
}

impl Endpoints {
    pub(super) fn new(all: Vec<Endpoint>, metrics: Arc<Metrics>) -> Self {
        Self {
            all: all.into_iter().map(Arc::new).collect(),
            chain_id: OnceLock::new(),
            budget: Mutex::new(RetryBudget::full()),
            metrics,
        }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }

    /// How many requests met an endpoint that had too much to do, or gave no answer.
    pub(super) fn times_busy(&self) -> u64 {
        let busy = self.all.iter().map(|it| it.busy.load(Ordering::Relaxed));
        busy.fold(0, u64::wrapping_add)
    }

    /// The chain that all of them are on. One that does not answer now is asked before it is used.
    pub(super) async fn chain_id(&self) -> Result<u64, SourceError> {
        for (endpoint, admitted) in join_all(
            self.all
                .iter()
                .map(|endpoint| async move { (endpoint, self.admit(endpoint).await) }),
        )
        .await
        {
            match admitted {
                Err(error @ SourceError::OtherChain { .. }) => return Err(error),
                Err(error) => tracing::warn!(
                    endpoint = endpoint.name,
                    error = super::told(&error),
                    "does not say which chain it is on; it is asked again before it is used"
                ),
                Ok(()) => (),
            }
        }
        self.ask(Needs::default(), |endpoint| async move {
            endpoint.chain_id().await
        })
        .await
    }

    /// Refuses an endpoint of another chain than the others.
    async fn admit(&self, endpoint: &Endpoint) -> Result<(), SourceError> {
        if endpoint.on_our_chain.get().is_some() {
            return Ok(());
        }
        let chain_id = endpoint.chain_id().await?;
        let expected = *self.chain_id.get_or_init(|| chain_id);
        if *endpoint.on_our_chain.get_or_init(|| chain_id == expected) {
            return Ok(());
        }
        let error = SourceError::OtherChain {
            endpoint: endpoint.name.clone(),
            chain_id,
            expected,
        };
        tracing::error!(error = super::told(&error), "an endpoint is not used");
        Err(error)
    }

    /// Reads from the first endpoint that gives a believable answer, and repeats while none answers.
    pub(super) async fn ask<T, R, F>(&self, needs: Needs, read: R) -> Result<T, SourceError>
    where
        R: Fn(Arc<Endpoint>) -> F,
        F: Future<Output = Result<T, SourceError>>,
    {
        let began = Instant::now();
        let mut retries: u32 = 0;
        loop {
            if let Some(rest) = self.shortest_rest().filter(|rest| *rest <= LONGEST_PAUSE) {
                tokio::time::sleep(rest).await;
            }
            let error = match self.ask_each(needs, &read).await {
                Ok(value) => {
                    self.budget().earn();
                    return Ok(value);
                }
                Err(error) => error,
            };
            let again = matches!(error, SourceError::Unreachable { .. })
                && retries < RETRIES
                && began.elapsed() < PATIENCE
                && self
                    .shortest_rest()
                    .is_none_or(|rest| rest <= LONGEST_PAUSE)
                && self.budget().spend();
            if !again {
                return Err(error);
            }
            retries = retries.saturating_add(1);
        }
    }

    /// Asks one after the other until one answer can be believed.
    async fn ask_each<T, R, F>(&self, needs: Needs, read: &R) -> Result<T, SourceError>
    where
        R: Fn(Arc<Endpoint>) -> F,
        F: Future<Output = Result<T, SourceError>>,
    {
        let mut doubted: Vec<Arc<Endpoint>> = Vec::new();
        let mut failed: Option<SourceError> = None;
        for endpoint in self.in_order(needs.first) {
            if failed.is_some() {
                self.metrics.failovers_total.inc();
            }
            let error = match self.make_ready(&endpoint, needs.head).await {
                Err(error) => error,
                Ok(()) => match read(Arc::clone(&endpoint)).await {
                    Ok(value) => {
                        // Another one knew better.
                        for endpoint in doubted {
                            endpoint.contradicted();
                        }
                        return Ok(value);
                    }
                    Err(error @ SourceError::RangeRefused { .. }) => return Err(error),
                    Err(error) => {
                        if matches!(
                            error,
                            SourceError::Inconsistent(_) | SourceError::Disproved { .. }
                        ) {
                            endpoint.contradicted();
                        } else if matches!(error, SourceError::UnknownBlock(_)) {
                            doubted.push(endpoint);
                        }
                        error
                    }
                },
            };
            failed = Some(match failed {
                // What an endpoint said counts more than that another one said nothing.
                Some(before) if !before.is_silence() => before,
                Some(_) | None => error,
            });
        }
        Err(failed.unwrap_or_else(|| SourceError::Unreachable {
            method: Method::ChainId,
            failure: RpcFailure::of_ours("every endpoint failed or asked for a pause".to_owned()),
        }))
    }

    /// An endpoint may be asked once it is known to be on our chain and to have seen the block.
    async fn make_ready(&self, endpoint: &Endpoint, head: Option<u64>) -> Result<(), SourceError> {
        self.admit(endpoint).await?;
        let has_seen = |number| endpoint.health().head().is_some_and(|head| head >= number);
        match head {
            Some(number) if !has_seen(number) => {
                let newest = endpoint.newest().await?.header.number;
                if newest < number {
                    return Err(SourceError::UnknownBlock(format!(
                        "{number}: endpoint {} is at {newest}",
                        endpoint.name
                    )));
                }
                Ok(())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Those that may be asked now, the first one first.
    fn in_order(&self, first: Option<usize>) -> Vec<Arc<Endpoint>> {
        let healths: Vec<Health> = self.all.iter().map(|it| it.health().clone()).collect();
        let mut order = health::order(&healths, Instant::now());
        // Stable: the others keep their order.
        order.sort_by_key(|index| Some(*index) != first);
        order
            .into_iter()
            .filter_map(|index| self.all.get(index))
            .filter(|it| it.on_our_chain.get() != Some(&false) && it.rest().is_none())
            .cloned()
            .collect()
    }

    /// How long it takes until one of them may be asked again; `None` if one may be now.
    fn shortest_rest(&self) -> Option<Duration> {
        let usable = self
            .all
            .iter()
            .filter(|endpoint| endpoint.on_our_chain.get() != Some(&false));
        let rests: Option<Vec<Duration>> = usable.map(|endpoint| endpoint.rest()).collect();
        rests?.into_iter().min()
    }

    /// Looks in the background at the heads of those that were not asked for a while, so that one that lags or is back
    /// is known before it is needed. One look at a time for each; it ends by itself.
    pub(super) fn look_at_others(self: &Arc<Self>) {
        let now = Instant::now();
        for endpoint in &self.all {
            let old = endpoint.health().head_is_older_than(HEAD_AGE, now);
            let usable = endpoint.on_our_chain.get() != Some(&false) && endpoint.rest().is_none();
            if !(old && usable && endpoint.begin_probe()) {
                continue;
            }
            let (endpoints, endpoint) = (Arc::clone(self), Arc::clone(endpoint));
            tokio::spawn(async move {
                let looked = async {
                    endpoints.admit(&endpoint).await?;
                    endpoint.newest().await
                };
                if let Err(error) = looked.await {
                    tracing::debug!(
                        endpoint = endpoint.name,
                        error = super::told(&error),
                        "an endpoint does not say where it is"
                    );
                }
                endpoint.end_probe();
            });
        }
    }

    /// A reply of this endpoint was proven wrong by another one.
    pub(super) fn contradicted(&self, index: usize) {
        if let Some(endpoint) = self.all.get(index) {
            endpoint.contradicted();
        }
    }

    fn budget(&self) -> std::sync::MutexGuard<'_, RetryBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
