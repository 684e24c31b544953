use super::*;

#[tokio::test]
async fn the_document_describes_every_public_route_and_code() {
    let house = House::new().await;
    let (status, document) = house.send("GET", "/openapi.json", "", Value::Null).await;
    assert_eq!(status, 200);
    let described = document["paths"].as_object().unwrap();
    let undescribed = [
        "/internal/directory",
        "/internal/proofs",
        "/internal/key-uses",
        "/verify",
        "/verify/batch",
        "/openapi.json",
        "/docs",
        "other",
    ];
    for route in routes::ALL {
        assert_eq!(
            described.contains_key(route),
            !undescribed.contains(&route),
            "{route}"
        );
    }
    let text = document.to_string();
    for denial in x402_schemas::codes::Denial::ALL {
        assert!(text.contains(denial.as_str()), "{denial}");
    }
    for failure in x402_schemas::codes::PaymentFailure::ALL {
        assert!(text.contains(failure.as_str()), "{failure}");
    }
    for code in [
        "UNAUTHORIZED",
        "PAYEE_TAKEN",
        "TREASURY_TAKEN",
        "LEDGER_UNAVAILABLE",
        "CHAIN_UNAVAILABLE",
    ] {
        assert!(text.contains(code), "{code}");
    }
}

#[tokio::test]
async fn every_request_in_the_document_is_shown_and_is_one_that_can_be_read() {
    let house = House::new().await;
    let owner = house.workspace("100").await;
    let agent = house.agent(&owner, policy("1", "1", "1")).await;
    let (_, document) = house.send("GET", "/openapi.json", "", Value::Null).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(content) = operation.pointer("/requestBody/content/application~1json") else {
                continue;
            };
            let key = match operation["tags"][0].as_str().unwrap() {
                "agent" => &agent.key,
                "operator" => OPERATOR,
                _ => &owner.key,
            };
            let example = content["example"].clone();
            assert!(example.is_object(), "{method} {path}");
            let (status, answer) = house
                .send(
                    &method.to_uppercase(),
                    &path.replace("{id}", "some_1"),
                    key,
                    example,
                )
                .await;
            // What the example names is not there, but nothing is wrong with its form.
            let code = answer["error"].as_str().unwrap_or_default();
            assert!(
                status != 400 || !["INVALID_REQUEST"].contains(&code),
                "{method} {path}: {status} {answer}"
            );
        }
    }
}

#[tokio::test]
async fn every_refusal_in_the_document_is_shown() {
    let house = House::new().await;
    let (_, document) = house.send("GET", "/openapi.json", "", Value::Null).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let shown = response.pointer("/content/application~1json/examples");
                assert!(
                    status.starts_with('2') || shown.is_some(),
                    "{status} of {method} {path} names no code: {}",
                    response["description"]
                );
            }
        }
    }
}

#[tokio::test]
async fn the_docs_page_is_served() {
    let house = House::new().await;
    assert_eq!(house.send("GET", "/docs", "", Value::Null).await.0, 200);
}
