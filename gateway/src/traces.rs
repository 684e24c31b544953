//! Which trace a payment goes on in when it settles, which is later than the request that asked for it and is found out
//! for many payments at once.
//!
//! Kept in memory, and only for payments whose trace is recorded: after a restart a payment settles in no trace.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Payments whose traces are remembered at once; those that never settle stay among them.
const MAX_REMEMBERED: usize = 10_000;

/// Places in traces, by payment.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    remembered: Mutex<HashMap<String, SpanContext>>,
}

impl Traces {
    /// The payment is being made here.
    pub(crate) fn remember(&self, payment_id: &str) {
        let here = Context::current().span().span_context().clone();
        if !here.is_sampled() {
            return;
        }
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            // What is lost is a step in the traces of payments that are under way, and nothing else.
            remembered.clear();
        }
        remembered.insert(payment_id.to_owned(), here);
    }

    /// The payment's settlement, as a step of its trace, if that is remembered.
    pub(crate) fn settling(&self, payment_id: &str) -> Span {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(paid_in) = remembered.remove(payment_id) else {
            return Span::none();
        };
        drop(remembered);
        let span = tracing::info_span!("settle", payment_id);
        drop(span.set_parent(Context::new().with_remote_span_context(paid_in)));
        span
    }
}
