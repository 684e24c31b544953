//! What the services answer against what their documents say.

use x402_tests::{
    schemathesis::Schemathesis,
    shared::run,
    world::{OPERATOR_TOKEN, World, secret},
};

use crate::EXE;

#[test]
fn every_answer_of_the_gateway_is_in_its_document_and_none_is_our_fault() {
    run(async {
        // Its own chain and services: the operator's and the owner's routes change them.
        let world = World::on_own_chain(EXE, "openapi-gateway").await;
        let settled = world.settled("inv_of_the_document").await;
        let payment = settled["paymentId"].as_str().unwrap();
        let mut asking = Schemathesis::default()
            .with_token("operator", OPERATOR_TOKEN)
            .with_token("owner", secret(&world.owner))
            .with_token("agent", &world.agent_key)
            .with_id("GET /payments/{id}", payment)
            // A stream without an end would be waited for.
            .with("GET /events", "follow = false")
            .with(
                "GET /payments/{id}/events",
                &format!("id = \"{payment}\", follow = false"),
            )
            .with_id("POST /payments/{id}/approve", payment)
            .with_id("POST /payments/{id}/reject", payment);
        for operation in ["PUT /agents/{id}/policy", "POST /agents/{id}/resume"] {
            asking = asking.with_id(operation, &world.agent_id);
        }
        let confirmations = "PUT /providers/{id}/confirmations";
        asking = asking.with_id(confirmations, &world.provider_id);
        let gateway = world.gateway();
        tokio::task::spawn_blocking(move || asking.run(&gateway))
            .await
            .unwrap();
        world.stop().await;
    });
}

#[test]
fn every_answer_of_the_verifier_is_in_its_document_and_none_is_our_fault() {
    run(async {
        let world = World::new(EXE).await;
        let asking = Schemathesis::default().with_token("provider_key", &world.provider_key);
        let verifier = world.verifier();
        tokio::task::spawn_blocking(move || asking.run(&verifier))
            .await
            .unwrap();
        world.stop().await;
    });
}
