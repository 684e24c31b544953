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
async fn the_docs_page_is_served() {
    let house = House::new().await;
    assert_eq!(house.send("GET", "/docs", "", Value::Null).await.0, 200);
}
