//! The gateway's routes: quote, pay, look up.
//!
//! The only place that knows the API key, and it sends it to the gateway's own URL alone: redirects
//! are not followed, and a gateway on this machine is never reached through a proxy. Answers are
//! judged by their body first, since a refusal with a code is a refusal whatever its status.

use std::time::Duration;

use reqwest::{
    Client, Method, RequestBuilder, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use x402_schemas::api::{
    agent::{
        PayFailed, PayPending, PayRequest, PaySettled, PaymentView, QuoteAllowed, QuoteDenied,
        QuoteRequest,
    },
    base_url::BaseUrl,
    trace_context,
};

use crate::{
    body::{self, Partial},
    config::ConfigError,
    errors::{GatewayError, PayError, QuoteError},
};

/// The largest answer that is read, in bytes. A proof has at most 8 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1_024;

/// How long one exchange may take, on top of the wait that it asks for.
const EXCHANGE_TIME: Duration = Duration::from_secs(15);

const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How often a question that changes nothing is asked again when the gateway is away.
const MAX_TRIES: u32 = 3;

/// The pause before the second try; each further one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// How often a question is put to a gateway that says when to come back.
const MAX_TURNS: u32 = 3;

/// The longest that is waited for a turn. A gateway that asks for more is not asked again.
const MAX_TURN: Duration = Duration::from_secs(15);

/// How a payment stands after `POST /pay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayOutcome {
    /// The money has moved; here is the proof.
    Settled(PaySettled),
    /// Under way.
    Pending(PayPending),
}

/// The gateway, as one agent reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    base: BaseUrl,
    authorization: HeaderValue,
    http: Client,
}

struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    /// When the gateway listens again, if it did not this time.
    turn: Option<Duration>,
}

/// The code and words of any refusal, under each name that a code goes by.
#[derive(Deserialize)]
struct Refusal {
    #[serde(alias = "reason", alias = "errorCode")]
    error: String,
    message: String,
}

impl Gateway {
    pub(crate) fn new(base: BaseUrl, api_key: &SecretString) -> Result<Self, ConfigError> {
        let key = api_key.expose_secret();
        let visible = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible {
            return Err(ConfigError::ApiKey);
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| ConfigError::ApiKey)?;
        authorization.set_sensitive(true);
        let mut http = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIME);
        if !base.is_encrypted() {
            http = http.no_proxy();
        }
        Ok(Self {
            base,
            authorization,
            http: http.build().map_err(ConfigError::Http)?,
        })
    }

    /// May I pay this?
    pub(crate) async fn quote(&self, request: &QuoteRequest) -> Result<QuoteAllowed, QuoteError> {
        let ask = || self.post(&["quote"]).json(request);
        let answer = self.ask_again(ask).await.map_err(QuoteError::Gateway)?;
        if answer.status.is_success() {
            let quote: QuoteAllowed = answer.read().map_err(QuoteError::Gateway)?;
            if quote.allowed {
                return Ok(quote);
            }
        } else if let Ok(denied) = answer.read::<QuoteDenied>()
            && !denied.allowed
        {
            return Err(QuoteError::Denied {
                code: denied.reason,
                message: denied.message,
            });
        }
        Err(QuoteError::Gateway(answer.refusal()))
    }

    /// Pay what was quoted. One try: only the caller knows whether an earlier one may have arrived.
    pub(crate) async fn pay(&self, quote_id: &str, wait: Duration) -> Result<PayOutcome, PayError> {
        let request = PayRequest {
            quote_id: quote_id.to_owned(),
            wait_ms: u64::try_from(wait.as_millis()).ok(),
        };
        let time = EXCHANGE_TIME.saturating_add(wait);
        let ask = self.post(&["pay"]).json(&request).timeout(time);
        let answer = self.ask_once(ask).await.map_err(PayError::Gateway)?;
        if answer.status == StatusCode::ACCEPTED {
            let pending = answer.read().map_err(PayError::Gateway)?;
            return Ok(PayOutcome::Pending(pending));
        }
        if let Ok(failed) = answer.read::<PayFailed>()
            && !failed.success
        {
            return Err(PayError::Failed {
                code: failed.error.into(),
                message: failed.message,
            });
        }
        if answer.status.is_success() {
            let settled: PaySettled = answer.read().map_err(PayError::Gateway)?;
            if settled.success {
                return Ok(PayOutcome::Settled(settled));
            }
        }
        Err(PayError::Gateway(answer.refusal()))
    }

    /// How does this payment stand?
    pub(crate) async fn payment(&self, payment_id: &str) -> Result<PaymentView, GatewayError> {
        let ask = || self.request(Method::GET, &["payments", payment_id]);
        let answer = self.ask_again(ask).await?;
        if answer.status.is_success() {
            answer.read()
        } else {
            Err(answer.refusal())
        }
    }

    fn post(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        trace_context::write(&mut headers);
        self.http
            .request(method, self.base.endpoint(path))
            .headers(headers)
            .timeout(EXCHANGE_TIME)
    }

    /// For questions that change nothing when asked twice.
    async fn ask_again(&self, ask: impl Fn() -> RequestBuilder) -> Result<Answer, GatewayError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..MAX_TRIES {
            match self.ask_once(ask()).await {
                Err(error) if error.is_transient() => tokio::time::sleep(pause).await,
                outcome => return outcome,
            }
            pause = pause.saturating_mul(4);
        }
        self.ask_once(ask()).await
    }

    /// Waits for a turn where the gateway has heard too much: it has decided nothing then, so that is no second question.
    async fn ask_once(&self, mut ask: RequestBuilder) -> Result<Answer, GatewayError> {
        for _ in 1..MAX_TURNS {
            let again = ask.try_clone();
            let answer = Self::exchange(ask).await?;
            let (Some(turn), Some(again)) = (answer.turn, again) else {
                return Ok(answer);
            };
            tokio::time::sleep(turn).await;
            ask = again;
        }
        Self::exchange(ask).await
    }

    async fn exchange(ask: RequestBuilder) -> Result<Answer, GatewayError> {
        let unreachable = |error: reqwest::Error| GatewayError::Unreachable(error.without_url());
        let response = ask.send().await.map_err(unreachable)?;
        let status = response.status();
        let turn = turn(status, response.headers());
        let body = match body::whole(response, MAX_ANSWER_BYTES).await {
            Ok(body) => body,
            Err(Partial::TooLarge) => return Err(GatewayError::TooLarge),
            Err(Partial::Broken(error)) => return Err(unreachable(error)),
        };
        let answer = Answer { status, body, turn };
        if status.is_server_error() && !answer.is_verdict() {
            return Err(GatewayError::Trouble(status));
        }
        Ok(answer)
    }
}

fn turn(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|turn| *turn <= MAX_TURN)
}

impl Answer {
    fn read<T: DeserializeOwned>(&self) -> Result<T, GatewayError> {
        serde_json::from_slice(&self.body).map_err(|_| GatewayError::Unreadable(self.status))
    }

    /// Whether it decides something, rather than failing to.
    fn is_verdict(&self) -> bool {
        self.read::<QuoteDenied>().is_ok() || self.read::<PayFailed>().is_ok()
    }

    fn refusal(&self) -> GatewayError {
        if self.status == StatusCode::UNAUTHORIZED {
            return GatewayError::Unauthorized;
        }
        match self.read::<Refusal>() {
            Ok(refusal) => GatewayError::Refused {
                status: self.status,
                code: refusal.error,
                message: refusal.message,
            },
            Err(unreadable) => unreadable,
        }
    }
}
