//! In: a request. Out: its answer, paid for if need be.
//!
//! Redirects are never followed: a redirect would carry the proof, or the price, to somebody else. A
//! 3xx answer is handed to the caller like any other.

use std::time::Duration;

use reqwest::{Client, Request, Response, StatusCode, redirect};
use tokio::time::Instant;
use x402_schemas::{
    amount::Amount,
    api::{
        agent::{PaymentView, QuoteAllowed, QuoteRequest},
        base_url::BaseUrl,
        trace_context,
    },
    invoice::{Invoice, Resource, header},
    network::Network,
};

use crate::{
    body,
    config::{AgentConfig, ConfigError},
    errors::{FetchError, GatewayError, PayError, QuoteError},
    gateway::{Gateway, PayOutcome},
    payment_required::PaymentRequired,
    proof::PaidWith,
    redeem::redeem,
    settle::Settling,
    step::{Observer, Step},
    trace::Place,
};

const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long the gateway waits for settlement when `pay` is called by itself.
const PAY_WAIT: Duration = Duration::from_secs(15);

/// Buys from paid APIs. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct AgentClient {
    gateway: Gateway,
    http: Client,
    max_amount: Amount,
    deadline: Duration,
    observer: Observer,
}

/// An answer, and the payment that it took.
#[derive(Debug)]
pub struct Fetched {
    /// The provider's answer. Its body has not been read: should that fail, `payment` is the way
    /// to ask again with [`AgentClient::retry_with_proof`].
    pub response: Response,
    /// The payment, unless the answer was free.
    pub payment: Option<PaidWith>,
}

impl AgentClient {
    /// A client for one agent.
    pub fn new(config: AgentConfig) -> Result<Self, ConfigError> {
        let base = BaseUrl::try_from(config.gateway_url).map_err(ConfigError::GatewayUrl)?;
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIME)
            .read_timeout(config.idle_timeout)
            .build()
            .map_err(ConfigError::Http)?;
        Ok(Self {
            gateway: Gateway::new(base, &config.api_key)?,
            http,
            max_amount: config.max_amount,
            deadline: config.deadline,
            observer: Observer::default(),
        })
    }

    /// Shows each step of every purchase to `observer`, as it happens.
    #[must_use]
    pub fn on_step(mut self, observer: impl Fn(Step) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(observer);
        self
    }

    /// Sends the request; pays and sends it again when it is answered 402. Pays at most once.
    pub async fn fetch(&self, request: Request) -> Result<Fetched, FetchError> {
        Place::of(&request).run(self.buy(request)).await
    }

    async fn buy(&self, request: Request) -> Result<Fetched, FetchError> {
        let again = replayable(&request)?;
        if request.headers().contains_key(header::PROOF) {
            return Err(FetchError::CarriesProof);
        }
        let response = self.ask(request).await?;
        if response.status() != StatusCode::PAYMENT_REQUIRED {
            return Ok(Fetched {
                response,
                payment: None,
            });
        }
        let required = self.read_402(&again, response).await?;
        let deadline = self.deadline_from_now();
        let asked = Instant::now();
        let quote = self
            .quote(&required.quote_request())
            .await
            .map_err(FetchError::Quote)?;
        self.observer.see(|| Step::Quoted {
            quote: Box::new(quote.clone()),
            took: asked.elapsed(),
        });
        let paid = self
            .settling(required.invoice, required.network, deadline)
            .pay(&quote.quote_id)
            .await?;
        self.redeem(paid, again, deadline).await
    }

    /// Goes on with a payment that was pending: waits for its proof, then sends the request with it.
    pub async fn resume(&self, payment_id: &str, request: Request) -> Result<Fetched, FetchError> {
        Place::of(&request)
            .run(self.go_on(payment_id, request))
            .await
    }

    async fn go_on(&self, payment_id: &str, request: Request) -> Result<Fetched, FetchError> {
        replayable(&request)?;
        let lookup = self.payment(payment_id).await;
        let view = lookup.map_err(|source| FetchError::Lookup {
            payment_id: payment_id.to_owned(),
            source,
        })?;
        let asked_for = Resource::of(request.method().as_str(), request.url());
        if asked_for != Ok(view.resource.clone()) {
            return Err(FetchError::OtherResource);
        }
        let deadline = self.deadline_from_now();
        let invoice = Invoice {
            id: view.invoice_id.clone(),
            pay_to: view.pay_to,
            amount: view.amount,
            resource: view.resource.clone(),
        };
        let settling = self.settling(invoice, view.network, deadline);
        let paid = settling.resume(view).await?;
        self.redeem(paid, request, deadline).await
    }

    /// Sends the request with the proof of a payment that was made for it. Never pays.
    pub async fn retry_with_proof(
        &self,
        paid: PaidWith,
        request: Request,
    ) -> Result<Fetched, FetchError> {
        let redeeming = Place::of(&request);
        let deadline = self.deadline_from_now();
        redeeming.run(self.redeem(paid, request, deadline)).await
    }

    /// Asks the gateway whether the invoice may be paid. Asks again, up to three times, when the
    /// gateway is away.
    pub async fn quote(&self, request: &QuoteRequest) -> Result<QuoteAllowed, QuoteError> {
        self.gateway.quote(request).await
    }

    /// Asks the gateway, once, to pay a quote. Repeating it never pays twice.
    pub async fn pay(&self, quote_id: &str) -> Result<PayOutcome, PayError> {
        self.gateway.pay(quote_id, PAY_WAIT).await
    }

    /// Asks the gateway how a payment stands.
    pub async fn payment(&self, payment_id: &str) -> Result<PaymentView, GatewayError> {
        self.gateway.payment(payment_id).await
    }

    async fn ask(&self, mut request: Request) -> Result<Response, FetchError> {
        trace_context::write(request.headers_mut());
        let (method, url) = (request.method().clone(), request.url().clone());
        let asked = Instant::now();
        let response = self.http.execute(request).await;
        let response = response.map_err(|error| FetchError::Request(error.without_url()))?;
        self.observer.see(|| Step::Requested {
            method,
            url,
            status: response.status(),
            took: asked.elapsed(),
        });
        Ok(response)
    }

    /// The invoice of a 402 answer, if it is one and the caller allows its price.
    async fn read_402(
        &self,
        request: &Request,
        response: Response,
    ) -> Result<PaymentRequired, FetchError> {
        let asked = Instant::now();
        let read = PaymentRequired::read(request.method(), request.url(), response.headers());
        // Read even when it is not needed: a connection with an unread body cannot be used again.
        let body = body::refusal(response).await;
        let required = read.map_err(|source| FetchError::NotAnInvoice { source, body })?;
        if required.invoice.amount > self.max_amount {
            return Err(FetchError::TooExpensive {
                required: Box::new(required),
                max_amount: self.max_amount,
            });
        }
        self.observer.see(|| Step::PaymentRequired {
            required: Box::new(required.clone()),
            took: asked.elapsed(),
        });
        Ok(required)
    }

    const fn settling(
        &self,
        invoice: Invoice,
        network: Network,
        deadline: Instant,
    ) -> Settling<'_> {
        Settling {
            gateway: &self.gateway,
            observer: &self.observer,
            invoice,
            network,
            deadline,
        }
    }

    async fn redeem(
        &self,
        paid: PaidWith,
        request: Request,
        deadline: Instant,
    ) -> Result<Fetched, FetchError> {
        let (response, paid) = redeem(&self.http, &self.observer, paid, request, deadline).await?;
        Ok(Fetched {
            response,
            payment: Some(paid),
        })
    }

    fn deadline_from_now(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.deadline).unwrap_or(now)
    }
}

/// A copy of the request, which may have to be sent again.
fn replayable(request: &Request) -> Result<Request, FetchError> {
    request.try_clone().ok_or(FetchError::NotReplayable)
}
