//! Every way in which a proof is refused. Each starts from a proof that holds and breaks one thing.

use alloy::primitives::{Address, B256};
use serde_json::{Value, json};
use x402_schemas::{
    api::{
        keys::RotateKey,
        owner::{CreateProvider, Payee},
    },
    proof::{ProofSigner, read::read_unchecked},
};
use x402_tests::{shared::run, world::World};

use crate::EXE;

#[track_caller]
fn assert_refused(answer: &Value, code: &str) {
    assert_eq!(answer["verified"], false, "{answer}");
    assert_eq!(answer["errorCode"], code, "{answer}");
    assert!(!answer["message"].as_str().unwrap().is_empty());
}

async fn paid(world: &World) -> String {
    world.settled("inv_1").await["proof"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn verification_compares_invoice_amount_payee_asset_network() {
    run(async {
        let world = World::new(EXE).await;
        let proof = paid(&world).await;
        let asked = |invoice_id: &'static str, terms: Value| {
            let (world, proof) = (&world, &proof);
            async move {
                let mut terms = terms;
                terms["claim"] = json!(false);
                world.verify(proof, invoice_id, terms).await
            }
        };
        let good = json!({
            "amount": "0.05", "payTo": world.pay_to.to_checksum(None), "network": "devnet",
            "resource": "GET http://127.0.0.1:1/report",
        });
        assert_eq!(asked("inv_1", good).await["verified"], true);
        assert_refused(&asked("inv_2", json!({})).await, "INVOICE_MISMATCH");
        assert_refused(
            &asked(
                "inv_1",
                json!({ "resource": "GET http://127.0.0.1:1/other" }),
            )
            .await,
            "INVOICE_MISMATCH",
        );
        // One base unit short, and one too many.
        assert_refused(
            &asked("inv_1", json!({ "amount": "0.050000000000000001" })).await,
            "AMOUNT_MISMATCH",
        );
        assert_refused(
            &asked("inv_1", json!({ "amount": "0.049999999999999999" })).await,
            "AMOUNT_MISMATCH",
        );
        let stranger = Address::repeat_byte(0x11).to_checksum(None);
        assert_refused(
            &asked("inv_1", json!({ "payTo": stranger })).await,
            "RECIPIENT_MISMATCH",
        );
        assert_refused(
            &asked("inv_1", json!({ "network": "mainnet" })).await,
            "NETWORK_MISMATCH",
        );
        world.stop().await;
    });
}

#[test]
fn a_replayed_proof_is_refused_and_the_callers_own_retry_is_not() {
    run(async {
        let world = World::new(EXE).await;
        let proof = paid(&world).await;
        let first = world
            .verify(&proof, "inv_1", json!({ "attempt": "a" }))
            .await;
        assert_eq!(first["verified"], true, "{first}");
        let again = world
            .verify(&proof, "inv_1", json!({ "attempt": "a" }))
            .await;
        assert_eq!(
            (&again["verified"], &again["claimedAt"]),
            (&json!(true), &first["claimedAt"])
        );
        assert_refused(
            &world
                .verify(&proof, "inv_1", json!({ "attempt": "b" }))
                .await,
            "ALREADY_CLAIMED",
        );
        world.stop().await;
    });
}

#[test]
fn a_transfer_is_claimed_by_at_most_one_attempt_of_many() {
    run(async {
        let world = World::new(EXE).await;
        let proof = paid(&world).await;
        let attempts: Vec<String> = (0..50)
            .map(|attempt| format!("attempt-{attempt}"))
            .collect();
        let answers = attempts
            .iter()
            .map(|attempt| world.verify(&proof, "inv_1", json!({ "attempt": attempt })));
        let answers = futures::future::join_all(answers).await;
        let verified = answers
            .iter()
            .filter(|answer| answer["verified"] == true)
            .count();
        assert_eq!(verified, 1);
        for answer in answers.iter().filter(|answer| answer["verified"] == false) {
            assert_refused(answer, "ALREADY_CLAIMED");
        }
        world.stop().await;
    });
}

#[test]
fn a_forged_proof_is_refused() {
    run(async {
        let world = World::new(EXE).await;
        let proof = paid(&world).await;
        let claims = read_unchecked(&proof).unwrap();
        let forged = ProofSigner::from_seed(&[7; 32])
            .unwrap()
            .sign(&claims)
            .unwrap();
        let (head, tail) = proof.rsplit_once('.').unwrap();
        let changed = format!("{head}.{}", tail.chars().rev().collect::<String>());
        for forgery in [
            forged.as_str(),
            &changed,
            "",
            "not a proof",
            &proof[..proof.len() - 4],
        ] {
            assert_refused(
                &world.verify(forgery, "inv_1", json!({})).await,
                "INVALID_PROOF",
            );
        }
        world.stop().await;
    });
}

#[test]
fn no_provider_verifies_anothers_proofs() {
    run(async {
        let world = World::new(EXE).await;
        let proof = paid(&world).await;
        let payees = vec![Payee(Address::repeat_byte(0x22))];
        let other = world
            .owner
            .create_provider(&CreateProvider {
                name: "other".into(),
                payees,
                hosts: Vec::new(),
            })
            .await
            .unwrap();
        let claimed_payee = json!({ "payTo": world.pay_to.to_checksum(None) });
        let thief = World {
            provider_key: other.api_key,
            ..world
        };
        assert_refused(
            &thief.verify(&proof, "inv_1", claimed_payee).await,
            "RECIPIENT_MISMATCH",
        );
        // The attempt used nothing up.
        let rightful = World {
            provider_key: thief
                .owner
                .rotate_provider(&thief.provider_id, RotateKey::default())
                .await
                .unwrap()
                .api_key,
            ..thief
        };
        assert_eq!(
            rightful.verify(&proof, "inv_1", json!({})).await["verified"],
            true
        );
        rightful.stop().await;
    });
}

#[test]
fn a_batch_answers_each_item_in_order() {
    run(async {
        let world = World::new(EXE).await;
        let proof = paid(&world).await;
        let items = json!({ "items": [
            { "proof": "nonsense", "invoiceId": "inv_1" },
            { "proof": proof, "invoiceId": "inv_2" },
            { "proof": proof, "invoiceId": "inv_1", "attempt": "a" },
            { "proof": proof, "invoiceId": "inv_1", "attempt": "b" },
        ]});
        let (status, body) = world.provider_post("verify/batch", &items).await;
        assert_eq!(status, 200, "{body}");
        let results = body["results"].as_array().unwrap();
        assert_eq!(results.len(), 4);
        assert_refused(&results[0], "INVALID_PROOF");
        assert_refused(&results[1], "INVOICE_MISMATCH");
        assert_eq!(results[2]["verified"], true, "{}", results[2]);
        assert_refused(&results[3], "ALREADY_CLAIMED");
        world.stop().await;
    });
}

#[test]
fn mint_burn_confiscation_and_rescue_are_never_payments() {
    run(async {
        let world = World::new(EXE).await;
        let proof = paid(&world).await;
        let real = read_unchecked(&proof).unwrap();
        let seized = Address::repeat_byte(0x33);
        world.token.mint(seized, real.amount).await.unwrap();
        let receipts = [
            world.token.mint(world.pay_to, real.amount).await.unwrap(),
            world
                .token
                .confiscate(seized, world.pay_to, real.amount)
                .await
                .unwrap(),
        ];
        world.caught_up().await;
        let found = world
            .index()
            .find_by_tx(&receipts.map(|receipt| receipt.transaction_hash))
            .await
            .unwrap();
        let mut kinds: Vec<_> = found
            .iter()
            .map(|change| change.transfer().kind.as_str())
            .collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["confiscation", "mint"]);
        assert!(
            found
                .iter()
                .all(|change| change.transfer().to == world.pay_to
                    && change.transfer().id.tx_hash != B256::ZERO)
        );
        world.stop().await;
    });
}
