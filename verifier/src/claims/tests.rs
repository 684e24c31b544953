use alloy_primitives::B256;
use prometheus::HistogramOpts;
use tokio::task::{JoinHandle, JoinSet};
use x402_schemas::network::Network;

use super::*;

fn histogram() -> Histogram {
    Histogram::with_opts(HistogramOpts::new("seconds", "Seconds.")).unwrap()
}

async fn open(folder: &Path) -> (Claims, JoinHandle<()>) {
    let (claims, writer) = Claims::open(folder, histogram()).await.unwrap();
    (claims, tokio::spawn(writer.run()))
}

fn id(number: u8) -> TransferId {
    TransferId {
        network: Network::DEVNET,
        tx_hash: B256::repeat_byte(number),
        log_index: 0,
    }
}

fn wanted(provider: u32, invoice: u32) -> Claim {
    Claim {
        provider_id: format!("prov_{provider}"),
        invoice_id: format!("inv_{invoice}").parse().unwrap(),
        attempt: Some(format!("attempt_{invoice}")),
        claimed_at: Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_is_claimed_by_at_most_one_provider_and_invoice() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let mut racers = JoinSet::new();
    for racer in 0..400_u32 {
        let claims = claims.clone();
        racers.spawn(async move {
            let transfer = u8::try_from(racer % 8).unwrap();
            let asked = wanted(racer % 50, racer);
            let claimed = claims
                .claim(vec![(id(transfer), asked.clone())])
                .await
                .unwrap();
            (transfer, asked, claimed[0].clone())
        });
    }
    let outcomes = racers.join_all().await;
    for transfer in 0..8 {
        let of_it: Vec<_> = outcomes
            .iter()
            .filter(|(raced, ..)| *raced == transfer)
            .collect();
        let winners: Vec<_> = of_it
            .iter()
            .filter(|(.., claimed)| claimed.granted)
            .collect();
        assert_eq!(winners.len(), 1, "transfer {transfer}");
        for (_, _, claimed) in &of_it {
            assert_eq!(claimed.claim, winners[0].1);
        }
        assert_eq!(
            claims.standing(&[id(transfer)]).await.unwrap(),
            [Some(winners[0].1.clone())]
        );
    }
}

#[tokio::test]
async fn the_same_callers_retry_gets_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let first = claims.claim(vec![(id(1), wanted(1, 1))]).await.unwrap();
    let later = Claim {
        claimed_at: Timestamp::from_millisecond(1_800_000_000_000).unwrap(),
        ..wanted(1, 1)
    };
    let second = claims.claim(vec![(id(1), later)]).await.unwrap();
    assert!(first[0].granted && !second[0].granted);
    assert_eq!(first[0].claim, second[0].claim);
}

#[tokio::test]
async fn of_two_claims_in_one_call_the_first_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let both = vec![
        (id(1), wanted(1, 1)),
        (id(1), wanted(1, 2)),
        (id(2), wanted(1, 2)),
    ];
    let claimed = claims.claim(both).await.unwrap();
    assert_eq!(
        claimed.iter().map(|one| one.granted).collect::<Vec<_>>(),
        [true, false, true]
    );
    assert_eq!(claimed[1].claim, wanted(1, 1));
}

#[tokio::test]
async fn transfers_of_one_transaction_and_of_other_chains_are_claimed_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let other_log = TransferId {
        log_index: 1,
        ..id(1)
    };
    let other_chain = TransferId {
        network: Network::from_chain_id(u64::MAX),
        ..id(1)
    };
    for transfer in [id(1), other_log, other_chain] {
        assert_eq!(claims.standing(&[transfer]).await.unwrap(), [None]);
        assert!(claims.claim(vec![(transfer, wanted(1, 1))]).await.unwrap()[0].granted);
    }
}

/// What a kill leaves behind is what is in the files at that instant: they are copied while the
/// store is open and busy, with nothing flushed for the occasion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_answered_survives_a_kill() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (claims, _writer) = open(folder.path()).await;
    for number in 0..20 {
        claims
            .claim(vec![(id(number), wanted(1, u32::from(number)))])
            .await
            .unwrap();
    }
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        // The shared-memory file is lost with the process.
        if path
            .extension()
            .is_some_and(|extension| extension == "sqlite-shm")
        {
            continue;
        }
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let (reopened, _writer) = open(copy.path()).await;
    for number in 0..20 {
        let claimed = reopened
            .claim(vec![(id(number), wanted(2, 99))])
            .await
            .unwrap();
        assert!(!claimed[0].granted);
        assert_eq!(claimed[0].claim, wanted(1, u32::from(number)));
    }
}

#[tokio::test]
async fn a_failed_commit_grants_nothing_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let other = SqliteConnectOptions::new().filename(folder.path().join(FILE));
    let mut other = SqliteConnection::connect_with(&other).await.unwrap();
    sqlx::query("ALTER TABLE claims RENAME TO hidden")
        .execute(&mut other)
        .await
        .unwrap();
    let outcome = claims.claim(vec![(id(1), wanted(1, 1))]).await;
    assert!(matches!(outcome, Err(ClaimError::Store(_))), "{outcome:?}");
    sqlx::query("ALTER TABLE hidden RENAME TO claims")
        .execute(&mut other)
        .await
        .unwrap();
    assert!(claims.claim(vec![(id(1), wanted(2, 2))]).await.unwrap()[0].granted);
}

#[tokio::test]
async fn the_writer_ends_when_nobody_can_ask_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, writer) = open(folder.path()).await;
    claims.claim(vec![(id(1), wanted(1, 1))]).await.unwrap();
    drop(claims);
    writer.await.unwrap();
}
