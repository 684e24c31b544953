//! What `x402 audit` finds and repairs, and what verified receipts prove.

use alloy::primitives::{Address, B256};
use x402_indexer::audit;
use x402_schemas::{
    index::{TRANSFER_TABLES, TransferRow},
    transfer::Transfer,
};
use x402_tests::{
    shared::run,
    world::{World, amount},
};

use crate::{
    EXE,
    index::{assert_index_equals_the_chain, config, transfers_of},
};

/// Writes rows past the indexer, as no honest program would.
async fn write_rows(world: &World, rows: &[TransferRow]) {
    for table in TRANSFER_TABLES {
        let mut insert = world
            .clickhouse()
            .insert::<TransferRow>(table)
            .await
            .unwrap();
        for row in rows {
            insert.write(row).await.unwrap();
        }
        insert.end().await.unwrap();
    }
}

/// Removes the rows of a block from one table, without a trace.
async fn delete_rows(world: &World, table: &str, block: u64) {
    let query = format!(
        "ALTER TABLE {table} DELETE WHERE block_number = {block} SETTINGS mutations_sync = 2"
    );
    world.clickhouse().query(&query).execute().await.unwrap();
}

fn audit_command(world: &World, further: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(EXE);
    command
        .args(["audit", "--rpc-url", world.chain().url.as_str()])
        .args(["--clickhouse-url", world.options.clickhouse_url.as_str()])
        .args(["--clickhouse-database", &world.options.database])
        .args(["--token", &world.token.address.to_checksum(None)])
        .args(further);
    command
}

async fn repair(world: &World) -> Result<audit::Repaired, audit::AuditError> {
    let progress = tokio::sync::watch::Sender::default();
    audit::repair(&config(world), 0, u64::MAX, &progress).await
}

/// Five mints in blocks of their own, deep enough to be final or not; the indexer is stopped.
async fn stopped_with_five_transfers(world: &World, blocks_above: u64) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    for _ in 0..5 {
        let receipt = world.token.mint(world.pay_to, amount("1")).await.unwrap();
        transfers.extend(transfers_of(world, &receipt).await);
    }
    world.chain().mine(blocks_above).await.unwrap();
    world.caught_up().await;
    world.stop().await;
    transfers
}

/// Spoils the index in every way that there is, one block each: invented, altered, removed from both tables, from one,
/// and from the other.
async fn spoil(world: &World, transfers: &[Transfer]) {
    let seq = world.index().tip().await.unwrap().unwrap().seq;
    let mut invented = transfers[0];
    invented.id.log_index = 4_000;
    invented.id.tx_hash = B256::repeat_byte(0xee);
    let mut altered = transfers[1];
    altered.to = Address::repeat_byte(0x66);
    altered.amount = amount("1000000");
    let rows = [invented, altered].map(|transfer| TransferRow::new(&transfer, 0, seq, false));
    write_rows(world, &rows).await;
    let removed = TransferRow::new(&transfers[2], 0, seq, true);
    write_rows(world, &[removed]).await;
    delete_rows(world, "transfers", transfers[3].block_number).await;
    delete_rows(world, "transfers_by_tx", transfers[4].block_number).await;
}

async fn assert_found_and_mended(world: &World, transfers: &[Transfer]) {
    let chain = |transfer: &Transfer| TransferRow {
        version: 0,
        ..TransferRow::new(transfer, 0, 0, false)
    };
    let found = x402_indexer::audit(&config(world), 0, u64::MAX)
        .await
        .unwrap();
    assert_eq!(
        (found.missing, found.stale, found.different),
        (3, 1, 1),
        "{found:?}"
    );
    let lines: Vec<String> = found.first.iter().map(ToString::to_string).collect();
    let line = |words: &str| {
        let line = lines.iter().find(|line| line.starts_with(words));
        line.unwrap_or_else(|| panic!("{words} is not in {lines:?}"))
    };
    let place = |transfer: &Transfer| {
        format!(
            "block {} log {}",
            transfer.block_number, transfer.id.log_index
        )
    };
    assert!(line("stale: ").contains("log 4000"), "{lines:?}");
    let altered = line("different: ");
    assert!(altered.contains(&place(&transfers[1])), "{altered}");
    assert!(
        altered.contains("amount is 1000000, should be 1"),
        "{altered}"
    );
    assert!(altered.contains("recipient is 0x6666"), "{altered}");
    line(&format!("missing: {}", place(&transfers[2])));
    line(&format!(
        "missing in transfers only: {}",
        place(&transfers[3])
    ));
    line(&format!(
        "missing in transfers_by_tx only: {}",
        place(&transfers[4])
    ));

    let repaired = repair(world).await.unwrap();
    assert_eq!(repaired.before, found);
    assert!(repaired.after.is_clean(), "{:?}", repaired.after);
    assert_eq!((repaired.retracted, repaired.written), (1, 5));
    for transfer in transfers {
        let found = world.index().find(&[transfer.id]).await.unwrap();
        let rows: Vec<TransferRow> = found
            .iter()
            .map(|change| chain(change.transfer()))
            .collect();
        assert_eq!(rows, [chain(transfer)]);
    }
    let again = repair(world).await.unwrap();
    assert_eq!((again.retracted, again.written), (0, 0));
}

#[test]
fn a_repair_mends_an_invented_an_altered_and_a_removed_row_above_the_finalized_block() {
    run(async {
        let mut world = World::on_own_chain(EXE, "repair-tail").await;
        let transfers = stopped_with_five_transfers(&world, 2).await;
        spoil(&world, &transfers).await;
        assert_found_and_mended(&world, &transfers).await;
        // The indexer goes on from there as if nothing had been.
        world.restart().await;
        world.token.mint(world.pay_to, amount("1")).await.unwrap();
        world.chain().reorg(3).await.unwrap();
        world.chain().mine(1).await.unwrap();
        assert_index_equals_the_chain(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_repair_mends_an_invented_an_altered_and_a_removed_row_among_final_blocks() {
    run(async {
        let mut world = World::on_own_chain(EXE, "repair-final").await;
        let transfers = stopped_with_five_transfers(&world, 80).await;
        spoil(&world, &transfers).await;
        assert_found_and_mended(&world, &transfers).await;
        world.restart().await;
        world.token.mint(world.pay_to, amount("1")).await.unwrap();
        assert_index_equals_the_chain(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_repair_that_died_between_rows_and_commit_is_finished_by_the_next() {
    run(async {
        let mut world = World::on_own_chain(EXE, "repair-died").await;
        let transfers = stopped_with_five_transfers(&world, 80).await;
        let seq = world.index().tip().await.unwrap().unwrap().seq;
        // Tombstones of a repair that never committed: unseen, until a later commit would show them.
        let rows = [0, 1].map(|at| TransferRow::new(&transfers[at], 0, seq + 3, true));
        write_rows(&world, &rows).await;
        let clean = x402_indexer::audit(&config(&world), 0, u64::MAX)
            .await
            .unwrap();
        assert!(clean.is_clean(), "{clean:?}");
        let repaired = repair(&world).await.unwrap();
        assert!(repaired.after.is_clean(), "{repaired:?}");
        assert!(world.index().tip().await.unwrap().unwrap().seq > seq + 3);
        world.restart().await;
        world.token.mint(world.pay_to, amount("1")).await.unwrap();
        assert_index_equals_the_chain(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_repair_that_is_killed_once_its_tombstones_are_there_is_finished_by_the_next() {
    run(async {
        let mut world = World::on_own_chain(EXE, "repair-killed").await;
        let transfers = stopped_with_five_transfers(&world, 2).await;
        spoil(&world, &transfers).await;
        let seq = world.index().tip().await.unwrap().unwrap().seq;
        let mut repairing = tokio::process::Command::from(audit_command(&world, &["--repair"]))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let newer = format!("SELECT count() FROM transfers WHERE version > {seq}");
        while world
            .clickhouse()
            .query(&newer)
            .fetch_one::<u64>()
            .await
            .unwrap()
            == 0
        {
            assert_eq!(repairing.try_wait().unwrap(), None);
        }
        repairing.kill().await.unwrap();
        let repaired = repair(&world).await.unwrap();
        assert!(repaired.after.is_clean(), "{repaired:?}");
        for transfer in &transfers {
            assert_eq!(world.index().find(&[transfer.id]).await.unwrap().len(), 1);
        }
        world.restart().await;
        world.token.mint(world.pay_to, amount("1")).await.unwrap();
        assert_index_equals_the_chain(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_repair_is_refused_while_the_indexer_writes_and_on_a_branch_that_the_chain_left() {
    run(async {
        let world = World::on_own_chain(EXE, "repair-refused").await;
        let transfers = {
            let receipt = world.token.mint(world.pay_to, amount("1")).await.unwrap();
            transfers_of(&world, &receipt).await
        };
        let (refused, ()) = futures::future::join(repair(&world), async {
            for _ in 0..30 {
                world.chain().mine(1).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        })
        .await;
        assert!(
            matches!(refused, Err(audit::AuditError::IndexerRunning)),
            "{refused:?}"
        );
        world.caught_up().await;
        world.stop().await;
        delete_rows(&world, "transfers", transfers[0].block_number).await;
        world.chain().reorg(2).await.unwrap();
        let refused = repair(&world).await;
        assert!(
            matches!(refused, Err(audit::AuditError::EndsOffChain)),
            "{refused:?}"
        );
    });
}

#[test]
fn an_indexer_halts_when_somebody_else_has_published() {
    run(async {
        let world = World::on_own_chain(EXE, "two-writers").await;
        let transfers = stopped_with_five_transfers(&world, 1).await;
        let indexer = tokio::process::Command::new(EXE)
            .args(["indexer", "--admin-listen", "127.0.0.1:0"])
            .args(["--poll-ms", "50", "--rpc-url", world.chain().url.as_str()])
            .args(["--clickhouse-url", world.options.clickhouse_url.as_str()])
            .args(["--clickhouse-database", &world.options.database])
            .args(["--token", &world.token.address.to_checksum(None)])
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        world.chain().mine(1).await.unwrap();
        world.caught_up().await;
        // It has nothing to do now, so that nobody can see that it is there.
        delete_rows(&world, "transfers", transfers[4].block_number).await;
        let repaired = repair(&world).await.unwrap();
        assert!(repaired.after.is_clean(), "{repaired:?}");
        world.chain().mine(1).await.unwrap();
        let ended = indexer.wait_with_output().await.unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success(), "{told}");
        assert!(told.contains("published by another process"), "{told}");
    });
}

#[test]
fn the_audit_command_exits_one_names_what_differs_and_repairs() {
    run(async {
        let world = World::on_own_chain(EXE, "repair-command").await;
        let transfers = stopped_with_five_transfers(&world, 80).await;
        delete_rows(&world, "transfers_by_tx", transfers[4].block_number).await;
        let audit = |further: &[&str]| {
            let output = audit_command(&world, further).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            (
                output.status.code(),
                text + &String::from_utf8_lossy(&output.stderr),
            )
        };
        let line = format!(
            "missing in transfers_by_tx only: block {}",
            transfers[4].block_number
        );
        let (code, told) = audit(&[]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(&line), "{told}");
        let below = (transfers[4].block_number - 1).to_string();
        let (code, told) = audit(&["--to", &below]);
        assert_eq!(code, Some(0), "{told}");
        let (code, told) = audit(&["--repair"]);
        assert_eq!(code, Some(0), "{told}");
        assert!(
            told.contains(&line) && told.contains("repaired: 0 rows taken away, 1 rows written"),
            "{told}"
        );
        assert_eq!(audit(&[]).0, Some(0));
    });
}

#[test]
fn with_verified_receipts_the_index_equals_the_chain_after_backfill_reorgs_and_restarts() {
    run(async {
        let mut world = World::on_own_chain(EXE, "verified").await;
        let flag = ("indexer", "verify-receipts", "true".to_owned());
        world.options.flags.push(flag);
        world.stop().await;
        for _ in 0..3 {
            world.token.mint(world.pay_to, amount("1")).await.unwrap();
        }
        world.chain().mine(150).await.unwrap();
        world.restart().await;
        world.token.mint(world.pay_to, amount("1")).await.unwrap();
        world.caught_up().await;
        world.chain().reorg(3).await.unwrap();
        world.token.mint(world.pay_to, amount("2")).await.unwrap();
        assert_index_equals_the_chain(&world).await;
        let metrics = reqwest::get(format!("http://{}/metrics", world.stack.admin))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(
            metrics.contains("x402_indexer_receipts_mismatch_total 0"),
            "{metrics}"
        );
        assert!(
            !metrics.contains("x402_indexer_receipts_verified_total 0"),
            "{metrics}"
        );
        world.stop().await;
    });
}
