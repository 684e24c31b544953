//! In: a request. Out: the handler's answer, or ours.
//!
//! The handler runs only for a payment that was verified and claimed for this very request, which
//! it finds among the request's extensions. When it fails or is cut off, the payment stays usable.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response,
    header::{CACHE_CONTROL, Entry},
};
use opentelemetry::{context::FutureExt, trace::TraceContextExt};
use tower::{Layer, Service};
use x402_schemas::{api::trace_context, invoice::header};

use crate::{
    admission::{Ask, Offer, Presented},
    clock,
    paid_api::Inner,
};

/// Makes routes paid; see [`crate::PaidApi::layer`].
#[derive(Clone, Debug)]
pub struct PaidLayer {
    api: Arc<Inner>,
    offer: Arc<Offer>,
}

/// A service whose requests are paid for, one by one.
#[derive(Clone, Debug)]
pub struct PaidService<S> {
    inner: S,
    api: Arc<Inner>,
    offer: Arc<Offer>,
}

impl PaidLayer {
    pub(crate) const fn new(api: Arc<Inner>, offer: Arc<Offer>) -> Self {
        Self { api, offer }
    }
}

impl<S> Layer<S> for PaidLayer {
    type Service = PaidService<S>;

    fn layer(&self, inner: S) -> PaidService<S> {
        PaidService {
            inner,
            api: Arc::clone(&self.api),
            offer: Arc::clone(&self.offer),
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for PaidService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    ReqBody: Send + 'static,
    ResBody: From<Bytes>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResBody>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        // The clone may not be ready; the one that was asked is.
        let clone = self.inner.clone();
        let mut handler = mem::replace(&mut self.inner, clone);
        let (api, offer) = (Arc::clone(&self.api), Arc::clone(&self.offer));
        let ask = Ask {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            proof: Presented::read(request.headers()),
        };
        // The API's own span, where it makes one.
        let mut trace = opentelemetry::Context::current();
        if !trace.has_active_span()
            && let Some(callers) = trace_context::read(request.headers())
        {
            trace = callers;
        }
        Box::pin(async move {
            let admitting = api.admit(&offer, ask, clock::unix_now());
            let admitted = admitting.with_context(trace).await;
            let (payment, mut attempt) = match admitted {
                Ok(admitted) => admitted,
                Err(turned_away) => return Ok(turned_away.into_response()),
            };
            request.extensions_mut().insert(payment);
            if let Some(proof) = request.headers_mut().get_mut(header::PROOF) {
                proof.set_sensitive(true);
            }
            attempt.run();
            // Should this end here, by an error, a panic or the buyer hanging up, dropping the
            // attempt keeps it for the buyer's next try.
            let mut response = handler.call(request).await?;
            if !response.status().is_server_error() {
                attempt.answered();
            }
            keep_out_of_caches(&mut response);
            Ok(response)
        })
    }
}

/// What was bought is for its buyer: no shared cache may hand it to others, unless the handler
/// decides about caching itself.
fn keep_out_of_caches<B>(response: &mut Response<B>) {
    if let Entry::Vacant(entry) = response.headers_mut().entry(CACHE_CONTROL) {
        entry.insert(HeaderValue::from_static("private"));
    }
}
