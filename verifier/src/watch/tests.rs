use alloy_primitives::B256;
use x402_schemas::{
    api::revocations::RevocationEvent::{Restored, Revoked},
    transfer::Transfer,
};

use super::*;
use crate::{
    samples::{self, BLOCK, PROVIDER},
    stand::Stand,
};

fn at_block(transfer: Transfer, block_number: u64) -> Transfer {
    Transfer {
        block_number,
        ..transfer
    }
}

fn events(stand: &Stand) -> Vec<x402_schemas::api::revocations::RevocationEvent> {
    let list = stand.claims.revocations(PROVIDER, 0, 100).unwrap();
    list.iter().map(|one| one.event).collect()
}

fn watch(stand: &Stand) -> Watch {
    Watch::new(stand.claims.clone(), Arc::clone(&stand.metrics))
}

/// A payment that was verified and claimed.
async fn claimed(stand: &Stand, number: u8) -> Transfer {
    let claims = stand.paid(number);
    let answer = stand.verify(&stand.body(&claims)).await;
    assert_eq!(answer["verified"], true);
    samples::transfer(&claims)
}

#[tokio::test]
async fn a_reorg_revokes_a_claim_and_its_return_restores_it() {
    let stand = Stand::new().await;
    let transfer = claimed(&stand, 1).await;
    let mut watch = watch(&stand);
    let unclaimed = samples::transfer(&stand.paid(2));
    for changes in [
        vec![Change::Removed(transfer), Change::Removed(unclaimed)],
        vec![Change::Added(at_block(transfer, BLOCK + 1))],
    ] {
        watch.follow(&changes).await.unwrap();
    }
    assert_eq!(events(&stand), [Revoked, Restored]);
}

#[tokio::test]
async fn a_reorg_that_only_moves_a_payment_revokes_nothing_and_it_is_watched_where_it_is() {
    let stand = Stand::new().await;
    let transfer = claimed(&stand, 1).await;
    let moved = at_block(transfer, BLOCK + 3);
    let changes = [Change::Removed(transfer), Change::Added(moved)];
    watch(&stand).follow(&changes).await.unwrap();
    assert_eq!(events(&stand), []);
    let marks = stand.claims.unsettled(None, u64::MAX, 10).unwrap();
    let blocks: Vec<u64> = marks.iter().map(|mark| mark.block_number).collect();
    assert_eq!(blocks, [BLOCK, BLOCK + 3]);
}

#[tokio::test]
async fn marks_of_final_blocks_go_and_those_of_missing_payments_stay() {
    let stand = Stand::new().await;
    let (_, gone) = (claimed(&stand, 1).await, claimed(&stand, 2).await);
    let mut watch = watch(&stand);
    watch.follow(&[Change::Removed(gone)]).await.unwrap();
    watch.settle(samples::tip(9, BLOCK + 64)).await.unwrap();
    let marks = stand.claims.unsettled(None, u64::MAX, 10).unwrap();
    assert_eq!(
        marks,
        [Unsettled {
            id: gone.id,
            block_number: BLOCK
        }]
    );
}

#[test]
fn what_the_index_says_of_marked_payments_is_news_of_them() {
    let transfer = |number: u8| samples::transfer(&samples::claims(number, 1_700_000_000));
    let mark = |number| Unsettled {
        id: transfer(number).id,
        block_number: BLOCK,
    };
    let moved = Transfer {
        block_hash: B256::ZERO,
        ..at_block(transfer(2), BLOCK + 1)
    };
    let found = [
        Change::Added(transfer(1)),
        Change::Removed(transfer(2)),
        Change::Added(moved),
        Change::Removed(transfer(3)),
    ];
    let marks = [mark(1), mark(2), mark(3), mark(4)];
    let expected = News {
        seen: vec![
            (transfer(1).id, Some(BLOCK)),
            (transfer(2).id, Some(BLOCK + 1)),
            (transfer(3).id, None),
            (transfer(4).id, None),
        ],
        settled: vec![mark(2)],
    };
    assert_eq!(news(&marks, &found), expected);
}
