use alloy_primitives::B256;
use prometheus::HistogramOpts;
use tokio::task::{JoinHandle, JoinSet};
use x402_schemas::{
    api::revocations::RevocationEvent::{Restored, Revoked},
    network::Network,
};

use super::*;

fn histogram() -> Histogram {
    Histogram::with_opts(HistogramOpts::new("seconds", "Seconds.")).unwrap()
}

async fn open(folder: &Path) -> (Claims, JoinHandle<Result<(), ClaimError>>) {
    let (claims, writer) = Claims::open(folder, 100, histogram()).await.unwrap();
    (claims, tokio::spawn(writer.run()))
}

fn id(number: u8) -> TransferId {
    TransferId {
        network: Network::DEVNET,
        tx_hash: B256::repeat_byte(number),
        log_index: 0,
    }
}

fn claim(provider: u32, invoice: u32) -> Arc<Claim> {
    Arc::new(Claim {
        provider_id: format!("prov_{provider}"),
        invoice_id: format!("inv_{invoice}").parse().unwrap(),
        attempt: Some(format!("attempt_{invoice}")),
        claimed_at: noon(),
    })
}

fn noon() -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_123).unwrap()
}

fn wanted(id: TransferId, claim: Arc<Claim>) -> Wanted {
    Wanted {
        id,
        claim,
        unsettled: None,
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
            let asked = claim(racer % 50, racer);
            let claimed = claims
                .claim(vec![wanted(id(transfer), Arc::clone(&asked))])
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
            claims.standing(&[id(transfer)]).unwrap(),
            [Some(Arc::clone(&winners[0].1))]
        );
    }
}

#[tokio::test]
async fn the_same_callers_retry_gets_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let first = claims
        .claim(vec![wanted(id(1), claim(1, 1))])
        .await
        .unwrap();
    // From the disk, and then from memory.
    for _ in 0..2 {
        let later = Claim {
            claimed_at: Timestamp::from_millisecond(1_800_000_000_000).unwrap(),
            ..Claim::clone(&claim(1, 1))
        };
        let again = wanted(id(1), Arc::new(later));
        let second = claims.claim(vec![again]).await.unwrap();
        assert!(first[0].granted && !second[0].granted);
        assert_eq!(first[0].claim, second[0].claim);
    }
}

#[tokio::test]
async fn of_two_claims_in_one_call_the_first_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let both = vec![
        wanted(id(1), claim(1, 1)),
        wanted(id(1), claim(1, 2)),
        wanted(id(2), claim(1, 2)),
    ];
    let claimed = claims.claim(both).await.unwrap();
    assert_eq!(
        claimed.iter().map(|one| one.granted).collect::<Vec<_>>(),
        [true, false, true]
    );
    assert_eq!(claimed[1].claim, claim(1, 1));
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
        assert_eq!(claims.standing(&[transfer]).unwrap(), [None]);
        assert!(
            claims
                .claim(vec![wanted(transfer, claim(1, 1))])
                .await
                .unwrap()[0]
                .granted
        );
    }
}

/// What a kill leaves behind is what is in the files at that instant: they are copied while the
/// store is open and busy, with nothing flushed for the occasion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_answered_survives_a_kill() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (claims, _writer) = open(folder.path()).await;
    for number in 0..20 {
        let one = wanted(id(number), claim(1, u32::from(number)));
        claims.claim(vec![one]).await.unwrap();
    }
    copy_folder(folder.path(), copy.path());
    let (reopened, _writer) = open(copy.path()).await;
    for number in 0..20 {
        let other = wanted(id(number), claim(2, 99));
        let claimed = reopened.claim(vec![other]).await.unwrap();
        assert!(!claimed[0].granted);
        assert_eq!(claimed[0].claim, claim(1, u32::from(number)));
    }
}

/// The journal's end is cut off at every length: what is left is whole claims, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_cut_off_leaves_nothing_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let both = vec![wanted(id(1), claim(1, 1)), wanted(id(2), claim(1, 2))];
    claims.claim(both).await.unwrap();
    for cut in [1, 7, 40, 120, 200] {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        shorten_journal(&copy.path().join("claims"), cut);
        let (reopened, _writer) = open(copy.path()).await;
        let standing = reopened.standing(&[id(1), id(2)]).unwrap();
        assert_eq!(standing, [None, None], "{cut} bytes were cut off");
        assert!(
            reopened
                .claim(vec![wanted(id(1), claim(2, 3))])
                .await
                .unwrap()[0]
                .granted
        );
    }
}

#[tokio::test]
async fn a_failed_commit_grants_nothing_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    *claims.disk().lock().unwrap() = true;
    let outcome = claims.claim(vec![wanted(id(1), claim(1, 1))]).await;
    assert!(matches!(outcome, Err(ClaimError::Store(_))), "{outcome:?}");
    assert!(
        claims
            .claim(vec![wanted(id(1), claim(2, 2))])
            .await
            .unwrap()[0]
            .granted
    );
}

#[tokio::test]
async fn one_verifier_at_a_time_has_the_claims() {
    let folder = tempfile::tempdir().unwrap();
    let (_claims, _writer) = open(folder.path()).await;
    let second = Claims::open(folder.path(), 100, histogram()).await;
    assert!(matches!(
        second,
        Err(OpenError::Files(fjall::Error::Locked))
    ));
}

#[tokio::test]
async fn the_writer_ends_when_nobody_can_ask_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, writer) = open(folder.path()).await;
    claims
        .claim(vec![wanted(id(1), claim(1, 1))])
        .await
        .unwrap();
    drop(claims);
    writer.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_provider_is_told_what_was_revoked_and_restored_and_only_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let both = vec![wanted(id(1), claim(1, 1)), wanted(id(2), claim(2, 2))];
    claims.claim(both).await.unwrap();
    let note = async |number: u8, block: Option<u64>| {
        let news = News {
            seen: vec![(id(number), block)],
            settled: Vec::new(),
        };
        claims.note(news, noon()).await.unwrap()
    };
    assert_eq!(note(1, Some(5)).await, [], "it was never gone");
    assert_eq!(note(1, None).await, [Revoked]);
    assert_eq!(note(1, None).await, [], "told once");
    assert_eq!(note(2, None).await, [Revoked]);
    assert_eq!(note(3, None).await, [], "nobody's claim");
    assert_eq!(note(1, Some(6)).await, [Restored]);
    let of = |provider: &str, after, limit| {
        let list = claims.revocations(provider, after, limit).unwrap();
        list.iter()
            .map(|one| (one.number, one.event, one.invoice_id.to_string()))
            .collect::<Vec<_>>()
    };
    let first = (1, Revoked, "inv_1".to_owned());
    let last = (3, Restored, "inv_1".to_owned());
    assert_eq!(of("prov_1", 0, 10), [first.clone(), last.clone()]);
    assert_eq!(of("prov_1", 0, 1), [first]);
    assert_eq!(of("prov_1", 1, 10), [last]);
    assert_eq!(of("prov_2", 0, 10), [(2, Revoked, "inv_2".to_owned())]);
    assert_eq!(of("prov", 0, 10), []);
}

#[tokio::test]
async fn a_claim_of_a_block_that_is_not_final_is_marked_until_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, _writer) = open(folder.path()).await;
    let marked = |number: u8, block_number| Wanted {
        unsettled: Some(block_number),
        ..wanted(id(number), claim(1, u32::from(number)))
    };
    let all = vec![marked(1, 12), marked(2, 11), wanted(id(3), claim(1, 3))];
    claims.claim(all).await.unwrap();
    let mark = |number, block_number| Unsettled {
        id: id(number),
        block_number,
    };
    assert_eq!(
        claims.unsettled(None, 12, 10).unwrap(),
        [mark(2, 11), mark(1, 12)]
    );
    assert_eq!(claims.unsettled(None, 11, 10).unwrap(), [mark(2, 11)]);
    assert_eq!(
        claims.unsettled(Some(mark(2, 11)), u64::MAX, 10).unwrap(),
        [mark(1, 12)]
    );
    let news = News {
        seen: Vec::new(),
        settled: vec![mark(2, 11)],
    };
    claims.note(news, noon()).await.unwrap();
    assert_eq!(claims.unsettled(None, 12, 10).unwrap(), [mark(1, 12)]);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Takes the last bytes that were written away; the file is longer than what was written.
fn shorten_journal(folder: &Path, cut: usize) {
    let journal = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .unwrap();
    let mut bytes = std::fs::read(&journal).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes.truncate(written.saturating_sub(cut));
    std::fs::write(&journal, bytes).unwrap();
}
