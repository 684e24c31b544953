//! Before anything is paid: what is asked for, and what is refused.

use std::time::Duration;

use serde_json::json;
use x402_agent::{
    AgentClient, AgentConfig, ConfigError, Denial, FetchError, GatewayError, QuoteError, Url,
    reqwest::{Body, StatusCode},
};

use crate::stand_in::{
    KEY, Reply, StandIn, client, json_reply, key, order, payment_required, payment_required_of,
    proof_for, quoted, settled, text,
};

#[tokio::test]
async fn a_free_answer_costs_nothing() {
    for status in [200, 301, 404, 500] {
        let provider = StandIn::answering([text(status, "free")]).await;
        let gateway = StandIn::answering([]).await;
        let fetched = client(&gateway).fetch(order(&provider)).await.unwrap();
        assert_eq!(fetched.response.status(), status);
        assert_eq!(fetched.payment, None);
        assert!(gateway.seen().is_empty());
    }
}

#[tokio::test]
async fn one_unit_above_the_limit_is_refused_before_anybody_is_asked() {
    let dear = payment_required_of("0.050000000000000001", "inv_1");
    let provider = StandIn::answering([dear]).await;
    let gateway = StandIn::answering([]).await;
    let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
    assert!(
        matches!(error, FetchError::TooExpensive { .. }),
        "{error:?}"
    );
    assert!(gateway.seen().is_empty());
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_is_refused_before_the_first_send() {
    let provider = StandIn::answering([payment_required()]).await;
    let gateway = StandIn::answering([]).await;
    let mut request = order(&provider);
    *request.body_mut() = Some(Body::wrap(http_body_util::Full::new("once".as_bytes())));
    let error = client(&gateway).fetch(request).await.unwrap_err();
    assert!(matches!(error, FetchError::NotReplayable), "{error:?}");
    assert!(provider.seen().is_empty());
}

#[tokio::test]
async fn a_402_without_an_invoice_is_not_paid() {
    let provider = StandIn::answering([text(402, "insert \u{1b}[31mcoin")]).await;
    let gateway = StandIn::answering([]).await;
    let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
    let FetchError::NotAnInvoice { body, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(body, "insert  [31mcoin");
    assert!(gateway.seen().is_empty());
}

#[tokio::test]
async fn each_denial_comes_back_with_its_code_and_message() {
    for code in Denial::ALL {
        let provider = StandIn::answering([payment_required()]).await;
        let body = json!({"allowed": false, "reason": code, "message": "the limit is 1"});
        let gateway = StandIn::answering([json_reply(403, &body)]).await;
        let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
        let FetchError::Quote(QuoteError::Denied {
            code: denied,
            message,
        }) = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((denied, message.as_str()), (*code, "the limit is 1"));
        assert_eq!(gateway.lines(), ["POST /quote"]);
    }
}

#[tokio::test]
async fn a_gateway_that_talks_nonsense_is_not_believed() {
    let quote = |answer| async {
        let provider = StandIn::answering([payment_required()]).await;
        let gateway = StandIn::answering([answer]).await;
        match client(&gateway).fetch(order(&provider)).await {
            Err(FetchError::Quote(QuoteError::Gateway(error))) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(
        quote(text(200, "<html>")).await,
        GatewayError::Unreadable(StatusCode::OK)
    ));
    assert!(matches!(
        quote(text(200, &" ".repeat(70_000))).await,
        GatewayError::TooLarge
    ));
    let not_allowed = json!({
        "allowed": false, "quoteId": "q", "expiresAt": "2026-01-01T00:00:00Z",
        "remaining": {"daily": "1", "monthly": "1", "workspaceMonthly": "1"},
    });
    assert!(matches!(
        quote(json_reply(200, &not_allowed)).await,
        GatewayError::Unreadable(_)
    ));
    let limited = json!({"error": "TOO_MANY_REQUESTS", "message": "slower"});
    assert!(matches!(
        quote(json_reply(429, &limited)).await,
        GatewayError::Refused { code, .. } if code == "TOO_MANY_REQUESTS"
    ));
}

#[tokio::test]
async fn a_quote_is_asked_for_again_when_the_gateway_is_briefly_away() {
    let provider = StandIn::answering([payment_required(), text(200, "the report")]).await;
    let settled = settled(&proof_for(&provider));
    let gateway = StandIn::answering([text(503, ""), Reply::HangUp, quoted(), settled]).await;
    assert!(client(&gateway).fetch(order(&provider)).await.is_ok());
}

#[tokio::test]
async fn a_gateway_that_hears_too_much_is_asked_again_in_its_time() {
    let busy = |seconds: &str| {
        let body = json!({"error": "TOO_MANY_REQUESTS", "message": "slower"}).to_string();
        Reply::Answer(429, vec![("retry-after", seconds.to_owned())], body)
    };
    let provider = StandIn::answering([payment_required(), text(200, "the report")]).await;
    let settled = settled(&proof_for(&provider));
    let gateway = StandIn::answering([busy("1"), quoted(), busy("0"), busy("0"), settled]).await;
    assert!(client(&gateway).fetch(order(&provider)).await.is_ok());

    // Not for hours, and not for ever.
    for (script, asked) in [(vec![busy("3600")], 1), (vec![busy("0"); 4], 3)] {
        let provider = StandIn::answering([payment_required()]).await;
        let gateway = StandIn::answering(script).await;
        let refused = client(&gateway).fetch(order(&provider)).await;
        assert!(matches!(
            refused,
            Err(FetchError::Quote(QuoteError::Gateway(GatewayError::Refused { code, .. }))) if code == "TOO_MANY_REQUESTS"
        ));
        assert_eq!(gateway.seen().len(), asked);
    }
}

#[test]
fn a_gateway_that_would_show_the_key_is_refused() {
    let config = |url: &str, key: &str| {
        let key = x402_agent::SecretString::from(key);
        let url: Url = url.parse().unwrap();
        AgentClient::new(AgentConfig::new(url, key, "1".parse().unwrap()))
    };
    assert!(config("https://gateway.example.com", KEY).is_ok());
    assert!(matches!(
        config("http://gateway.example.com", KEY),
        Err(ConfigError::GatewayUrl(_))
    ));
    for key in ["", "a b", "a\nb", "é"] {
        assert!(matches!(
            config("https://gateway.example.com", key),
            Err(ConfigError::ApiKey)
        ));
    }
}

#[tokio::test]
async fn a_provider_that_falls_silent_does_not_hold_us() {
    let silent = Reply::Late(Duration::from_secs(20), Box::new(text(200, "")));
    let provider = StandIn::answering([silent]).await;
    let gateway = StandIn::answering([]).await;
    let mut config = AgentConfig::new(gateway.url.clone(), key(), "1".parse().unwrap());
    config.idle_timeout = Duration::from_millis(200);
    let client = AgentClient::new(config).unwrap();
    let error = client.fetch(order(&provider)).await.unwrap_err();
    assert!(matches!(error, FetchError::Request(_)), "{error:?}");
}
