//! While the gateway pays: failures, waiting, lost answers.

use serde_json::json;
use x402_agent::{FetchError, GatewayError, PayError, PayFailure, PaymentFailure};

use crate::stand_in::{
    Reply, StandIn, client, json_reply, order, payment_required, pending, proof_for, quoted,
    resource, settled, text, view,
};

#[tokio::test]
async fn each_payment_failure_comes_back_with_its_code_and_nothing_more_is_sent() {
    for (status, code) in PaymentFailure::ALL
        .iter()
        .zip([200, 400, 402, 409, 410, 404, 422, 503])
        .map(|(code, status)| (status, *code))
    {
        let provider = StandIn::answering([payment_required()]).await;
        let body = json!({"success": false, "error": code, "message": "why"});
        let gateway = StandIn::answering([quoted(), json_reply(status, &body)]).await;
        let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
        let FetchError::Pay(PayError::Failed { code: failed, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!(failed, PayFailure::Payment(code));
        assert_eq!(gateway.lines(), ["POST /quote", "POST /pay"]);
        assert_eq!(provider.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_pending_payment_is_asked_for_until_it_settles() {
    let provider = StandIn::answering([payment_required(), text(200, "the report")]).await;
    let (resource, proof) = (resource(&provider), proof_for(&provider));
    let gateway = StandIn::answering([
        quoted(),
        pending(100),
        view("broadcast", &resource, None),
        view("settled", &resource, Some(&proof)),
    ])
    .await;
    let fetched = client(&gateway).fetch(order(&provider)).await.unwrap();
    assert_eq!(fetched.response.status(), 200);
    assert_eq!(
        gateway.lines(),
        [
            "POST /quote",
            "POST /pay",
            "GET /payments/pay_1",
            "GET /payments/pay_1"
        ]
    );
}

#[tokio::test]
async fn a_payment_that_is_pending_at_the_deadline_can_be_resumed() {
    let provider = StandIn::answering([payment_required()]).await;
    let gateway = StandIn::answering([quoted(), pending(60_000)]).await;
    let client = client(&gateway);
    let error = client.fetch(order(&provider)).await.unwrap_err();
    let FetchError::Pending {
        payment_id,
        tx_hash,
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(payment_id, "pay_1");
    assert!(tx_hash.is_some());

    gateway.then(view(
        "settled",
        &resource(&provider),
        Some(&proof_for(&provider)),
    ));
    provider.then(text(200, "the report"));
    let fetched = client.resume(&payment_id, order(&provider)).await.unwrap();
    assert_eq!(fetched.response.status(), 200);
    assert_eq!(gateway.lines().last().unwrap(), "GET /payments/pay_1");
    assert_eq!(gateway.lines().len(), 3);
}

#[tokio::test]
async fn a_pending_payment_that_fails_is_an_error_with_its_code() {
    let provider = StandIn::answering([payment_required()]).await;
    let failed = view("failed", &resource(&provider), None);
    let gateway = StandIn::answering([quoted(), pending(100), failed]).await;
    let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
    let FetchError::Pay(PayError::Failed { code, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(code, PayFailure::Payment(PaymentFailure::TokenPaused));
}

#[tokio::test]
async fn a_lost_answer_to_pay_is_asked_for_again_with_the_same_quote() {
    for lost in [Reply::HangUp, text(502, "bad gateway"), text(200, "{")] {
        let provider = StandIn::answering([payment_required(), text(200, "the report")]).await;
        let settled = settled(&proof_for(&provider));
        let gateway = StandIn::answering([quoted(), lost, settled]).await;
        let fetched = client(&gateway).fetch(order(&provider)).await.unwrap();
        assert_eq!(fetched.response.status(), 200);
        let asked = gateway.seen();
        assert_eq!(asked.len(), 3);
        for pay in &asked[1..] {
            let body: serde_json::Value = serde_json::from_str(&pay.body).unwrap();
            assert_eq!(
                (pay.line.as_str(), &body["quoteId"]),
                ("POST /pay", &json!("quote_1"))
            );
        }
    }
}

#[tokio::test]
async fn a_payment_whose_fate_is_unknown_is_not_called_failed() {
    let unauthorized = json_reply(401, &json!({"error": "UNAUTHORIZED", "message": "m"}));
    let endings: [Vec<Reply>; 2] = [
        vec![Reply::HangUp, Reply::HangUp, text(500, ""), Reply::HangUp],
        vec![Reply::HangUp, unauthorized.clone()],
    ];
    for ending in endings {
        let provider = StandIn::answering([payment_required()]).await;
        let tries = ending.len();
        let gateway = StandIn::answering([quoted()].into_iter().chain(ending)).await;
        let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
        let FetchError::Unknown { quote_id, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(quote_id, "quote_1");
        assert_eq!(gateway.seen().len(), tries + 1);
    }
    // Refused at once, nothing was in doubt.
    let provider = StandIn::answering([payment_required()]).await;
    let gateway = StandIn::answering([quoted(), unauthorized]).await;
    let error = client(&gateway).fetch(order(&provider)).await.unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Pay(PayError::Gateway(GatewayError::Unauthorized))
        ),
        "{error:?}"
    );
}
