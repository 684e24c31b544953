use super::*;

#[tokio::test]
async fn a_payment_is_found_by_any_transaction_it_ever_had_until_it_is_final() {
    let house = House::new().await;
    let mut conn = house.gateway.ledger.write().await.unwrap();
    prepare(&mut conn).await;
    for number in 0..3 {
        reserve(&mut conn, &payment(number, noon())).await;
        assert!(sign(&mut conn, &format!("pay_{number}"), number).await);
    }
    let hash = |nonce: u64| B256::from(U256::from(nonce + 1));
    let mut found = async |hashes: &[B256]| -> Vec<String> {
        let watched = under_way::watched_of(&mut conn, hashes).await.unwrap();
        watched.into_iter().map(|one| one.payment.id).collect()
    };
    assert_eq!(found(&[hash(1), B256::repeat_byte(0xee)]).await, ["pay_1"]);
    assert_eq!(found(&[hash(2), hash(0)]).await.len(), 2);
    assert!(found(&[]).await.is_empty());

    let id = "pay_1";
    transitions::broadcast(&mut conn, id, noon()).await.unwrap();
    let before = payments::find(&mut conn, id).await.unwrap().unwrap();
    let transaction = SignedTransaction {
        raw: Bytes::from(vec![4]),
        hash: B256::repeat_byte(9),
    };
    let replacement = Replacement {
        transaction: &transaction,
        gas_wei: Amount::ZERO,
        max_fee_per_gas: 1,
    };
    transitions::replace(&mut conn, &before, replacement, noon())
        .await
        .unwrap();
    for hash in [hash(1), B256::repeat_byte(9)] {
        let watched = under_way::watched_of(&mut conn, &[hash]).await.unwrap();
        assert_eq!(watched[0].payment.id, id);
        assert_eq!(watched[0].hashes.len(), 2);
    }
    transitions::settle(&mut conn, id, PLACE, "proof", noon())
        .await
        .unwrap();
    let above = PLACE.block_number - 1;
    let final_by = async |conn: &mut SqliteConnection, number| {
        under_way::final_by(conn, number, 10).await.unwrap()
    };
    assert!(final_by(&mut conn, above).await.is_empty());
    assert_eq!(final_by(&mut conn, PLACE.block_number).await, [id]);
    transitions::finalize(&mut conn, id, noon()).await.unwrap();
    assert!(final_by(&mut conn, PLACE.block_number).await.is_empty());
    let left = under_way::watched_of(&mut conn, &[hash(1)]).await.unwrap();
    assert!(left.is_empty(), "nothing can happen to it any more");
}
