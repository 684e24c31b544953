use std::sync::Mutex;

use prometheus::Registry;
use tokio::sync::Semaphore;
use x402_schemas::index::IndexError;

use super::*;
use crate::samples::{BLOCK, claims, tip, transfer};

fn payment(number: u8) -> Transfer {
    transfer(&claims(number, 0))
}

fn seen(memory: &Memory, transfer: &Transfer) -> Option<Sighting> {
    memory.recall(transfer.id).map(|look| look.sighting)
}

fn memory() -> Memory {
    let memory = Memory::new(1_000);
    memory.restart(Some(tip(5, BLOCK)), &[payment(1)]);
    memory
}

fn metrics() -> Arc<VerifierMetrics> {
    Arc::new(VerifierMetrics::register(&Registry::new()).unwrap())
}

#[test]
fn a_reorg_flips_what_is_remembered_at_once() {
    let memory = memory();
    let one = payment(1);
    assert_eq!(seen(&memory, &one), Some(Sighting::Standing(one)));
    memory.advance(tip(6, BLOCK), &[Change::Removed(one)]);
    assert_eq!(seen(&memory, &one), Some(Sighting::Retracted(one)));
    memory.advance(tip(7, BLOCK + 1), &[Change::Added(one)]);
    assert_eq!(seen(&memory, &one), Some(Sighting::Standing(one)));
}

#[test]
fn a_transfer_that_a_reorg_moved_stands_in_its_new_block() {
    let memory = memory();
    let old = payment(1);
    let new = Transfer {
        block_number: BLOCK + 1,
        ..old
    };
    let moved = [Change::Removed(old), Change::Added(new)];
    memory.advance(tip(6, BLOCK + 1), &moved);
    assert_eq!(seen(&memory, &old), Some(Sighting::Standing(new)));
    assert_eq!(
        sighting(old.id, &[moved[1], moved[0]]),
        Sighting::Standing(new)
    );
}

#[test]
fn the_tail_never_puts_back_what_a_later_commit_removed() {
    let memory = memory();
    let two = payment(2);
    memory.advance(tip(8, BLOCK), &[Change::Added(two), Change::Removed(two)]);
    assert_eq!(seen(&memory, &two), Some(Sighting::Retracted(two)));
}

#[test]
fn an_answer_that_a_reorg_overtook_is_not_remembered() {
    let memory = memory();
    let two = payment(2);
    let look = Look {
        sighting: Sighting::Standing(two),
        tip: Some(tip(5, BLOCK)),
    };
    assert!(memory.nothing_removed_since(&look));
    memory.advance(tip(6, BLOCK), &[Change::Removed(two)]);
    assert!(!memory.nothing_removed_since(&look));
    memory.admit(&look);
    assert_eq!(seen(&memory, &two), Some(Sighting::Retracted(two)));
}

#[test]
fn an_absence_is_never_remembered() {
    let memory = memory();
    for sighting in [Sighting::Absent, Sighting::Retracted(payment(2))] {
        memory.admit(&Look {
            sighting,
            tip: Some(tip(5, BLOCK)),
        });
        assert_eq!(seen(&memory, &payment(2)), None);
    }
}

#[test]
fn starting_over_forgets_everything_older() {
    let memory = memory();
    let look = memory.recall(payment(1).id).unwrap();
    memory.restart(Some(tip(500, BLOCK + 400)), &[payment(2)]);
    assert_eq!(seen(&memory, &payment(1)), None);
    assert!(!memory.nothing_removed_since(&look));
    memory.admit(&look);
    assert_eq!(seen(&memory, &payment(1)), None);
    assert!(seen(&memory, &payment(2)).is_some());
}

/// An index that answers when it is let to, and counts its queries.
#[derive(Clone)]
struct Index {
    rows: Arc<Mutex<Vec<Change>>>,
    queries: Arc<Mutex<Vec<usize>>>,
    gate: Arc<Semaphore>,
}

impl Index {
    fn new(rows: Vec<Change>) -> Self {
        Self {
            rows: Arc::new(Mutex::new(rows)),
            queries: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    async fn find(self, ids: Vec<TransferId>) -> Result<Vec<Change>, IndexError> {
        self.queries.lock().unwrap().push(ids.len());
        self.gate.acquire().await.unwrap().forget();
        let rows = self.rows.lock().unwrap();
        Ok(rows
            .iter()
            .filter(|row| ids.contains(&row.transfer().id))
            .copied()
            .collect())
    }

    fn transfers(&self, memory: &Arc<Memory>) -> Transfers {
        let (look_up, task) = LookUp::new(Arc::clone(memory), metrics());
        let index = self.clone();
        tokio::spawn(task.run(move |ids| index.clone().find(ids)));
        Transfers::new(Arc::clone(memory), look_up, metrics())
    }
}

#[tokio::test]
async fn misses_that_come_together_share_queries_and_answers() {
    let rows: Vec<Change> = (10..60)
        .map(|number| Change::Added(payment(number)))
        .collect();
    let index = Index::new(rows);
    let memory = Arc::new(memory());
    let transfers = index.transfers(&memory);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..500_u32 {
        let transfers = transfers.clone();
        let wanted = payment(u8::try_from(10 + caller % 50).unwrap());
        callers.spawn(async move {
            transfers.look(&[wanted.id]).await.unwrap()[0].sighting == Sighting::Standing(wanted)
        });
    }
    tokio::task::yield_now().await;
    index.gate.add_permits(100);
    assert!(callers.join_all().await.into_iter().all(|found| found));
    let queries = index.queries.lock().unwrap().clone();
    assert!(queries.len() <= 2, "{queries:?}");
    assert_eq!(
        queries.iter().sum::<usize>(),
        50,
        "each transfer is asked for once"
    );
}

#[tokio::test]
async fn what_was_not_there_is_asked_for_again() {
    let index = Index::new(Vec::new());
    index.gate.add_permits(100);
    let memory = Arc::new(memory());
    let transfers = index.transfers(&memory);
    let late = payment(9);
    let looks = transfers.look(&[payment(1).id, late.id]).await.unwrap();
    assert_eq!(
        looks[1],
        Look {
            sighting: Sighting::Absent,
            tip: Some(tip(5, BLOCK))
        }
    );
    index.rows.lock().unwrap().push(Change::Added(late));
    let looks = transfers.look(&[late.id]).await.unwrap();
    assert_eq!(looks[0].sighting, Sighting::Standing(late));
    assert_eq!(*index.queries.lock().unwrap(), [1, 1]);
}

#[tokio::test]
async fn an_absence_is_dated_before_the_query() {
    let index = Index::new(Vec::new());
    let memory = Arc::new(memory());
    let transfers = index.transfers(&memory);
    let late = payment(9);
    let looking = tokio::spawn(async move { transfers.look(&[late.id]).await.unwrap()[0] });
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    memory.advance(tip(6, BLOCK + 50), &[]);
    index.gate.add_permits(1);
    assert_eq!(looking.await.unwrap().tip, Some(tip(5, BLOCK)));
}

#[tokio::test]
async fn before_the_index_was_read_there_is_no_answer() {
    let index = Index::new(Vec::new());
    let memory = Arc::new(Memory::new(10));
    let outcome = index.transfers(&memory).look(&[payment(1).id]).await;
    assert!(matches!(outcome, Err(LookUpError::NotYet)));
}
