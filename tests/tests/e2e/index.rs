//! The index against the chain: kinds, memos, reorgs, restarts. `x402 audit` is the judge.

use alloy::{
    primitives::{Address, U256},
    providers::Provider,
};
use clap::FromArgMatches;
use x402_indexer::{AuditReport, IndexerConfig, config::endpoint_url, stored::Stored};
use x402_schemas::{
    index::Change,
    network::Network,
    transfer::{Transfer, TransferKind},
};
use x402_tests::{
    shared::{run, shared},
    world::{World, amount, eventually},
};

use crate::EXE;

/// Compares every block with the node.
async fn audited(world: &World) -> AuditReport {
    world.caught_up().await;
    let head = world.chain().rpc().get_block_number().await.unwrap();
    x402_indexer::audit(&config(world), 0, head).await.unwrap()
}

pub(crate) async fn assert_index_equals_the_chain(world: &World) {
    let report = audited(world).await;
    assert!(report.is_clean(), "{report:?}");
}

pub(crate) fn config(world: &World) -> IndexerConfig {
    let tree = x402::command_tree();
    let command = tree.find_subcommand("indexer").unwrap().clone();
    let token = world.token.address.to_checksum(None);
    let matches = command
        .try_get_matches_from([
            "indexer",
            "--rpc-url",
            world.chain().url.as_str(),
            "--clickhouse-url",
            world.options.clickhouse_url.as_str(),
            "--clickhouse-database",
            &world.options.database,
            "--token",
            &token,
        ])
        .unwrap();
    IndexerConfig::from_arg_matches(&matches).unwrap()
}

pub(crate) async fn transfers_of(
    world: &World,
    receipt: &alloy::rpc::types::TransactionReceipt,
) -> Vec<Transfer> {
    world.caught_up().await;
    let changes = world
        .index()
        .find_by_tx(&[receipt.transaction_hash])
        .await
        .unwrap();
    changes
        .iter()
        .map(|change| match change {
            Change::Added(transfer) => *transfer,
            Change::Removed(transfer) => panic!("retracted without a reorg: {transfer:?}"),
        })
        .collect()
}

#[test]
fn every_kind_of_transfer_is_indexed_as_what_it_is() {
    run(async {
        let world = World::new(EXE).await;
        let (anyone, issuer) = (Address::repeat_byte(0x44), Address::repeat_byte(0x55));
        let token = &world.token;
        let mint = token.mint(anyone, amount("5")).await.unwrap();
        let confiscation = token.confiscate(anyone, issuer, amount("1")).await.unwrap();
        token.mint(token.address, amount("2")).await.unwrap();
        let rescue = token.rescue(issuer, amount("2")).await.unwrap();
        let burn = token.burn_holdings(anyone).await.unwrap();
        for (receipt, kind, value) in [
            (mint, TransferKind::Mint, "5"),
            (confiscation, TransferKind::Confiscation, "1"),
            (rescue, TransferKind::Rescue, "2"),
            (burn, TransferKind::Burn, "4"),
        ] {
            let transfers = transfers_of(&world, &receipt).await;
            assert_eq!(transfers.len(), 1, "{kind:?}");
            assert_eq!(
                (transfers[0].kind, transfers[0].amount),
                (kind, amount(value))
            );
            assert_eq!(transfers[0].memo, None);
            assert_eq!(Some(transfers[0].block_number), receipt.block_number);
        }
        assert_index_equals_the_chain(&world).await;
        world.stop().await;
    });
}

#[test]
fn a_payments_memo_is_the_hash_of_its_invoice() {
    run(async {
        let world = World::new(EXE).await;
        let paid = world.settled("inv_memo").await;
        let invoice = x402_schemas::invoice::Invoice {
            id: "inv_memo".parse().unwrap(),
            pay_to: world.pay_to,
            amount: amount("0.05"),
            resource: "GET http://127.0.0.1:1/report".parse().unwrap(),
        };
        let tx_hash = paid["txHash"].as_str().unwrap().parse().unwrap();
        let found = world.index().find_by_tx(&[tx_hash]).await.unwrap();
        let memo = found[0].transfer().memo;
        assert_eq!(
            memo,
            Some(invoice.hash(world.stack.network, world.token.address))
        );
        world.stop().await;
    });
}

#[test]
fn the_index_equals_the_chain_after_reorgs_live_and_while_down() {
    run(async {
        let mut world = World::on_own_chain(EXE, "reorgs").await;
        for round in 0_u64..20 {
            for step in 0_u8..4 {
                let account = Address::repeat_byte(step.wrapping_add(1));
                world.token.mint(account, amount("1")).await.unwrap();
            }
            world.caught_up().await;
            if round % 2 == 0 {
                world.chain().reorg(3).await.unwrap();
            } else {
                world.stop().await;
                world.chain().reorg(1 + round % 7).await.unwrap();
                world
                    .token
                    .mint(Address::repeat_byte(9), amount("1"))
                    .await
                    .unwrap();
                world.restart().await;
            }
            world.chain().mine(1).await.unwrap();
            assert_index_equals_the_chain(&world).await;
        }
        world.stop().await;
    });
}

#[test]
fn a_web_socket_and_a_socket_file_serve_as_endpoints() {
    run(async {
        let mut world = World::on_own_chain(EXE, "sockets").await;
        let http = world.chain().url.clone();
        let mut web_socket = http.clone();
        web_socket.set_scheme("ws").unwrap();
        let file = shared(EXE).await.socket_file("sockets");
        let file = endpoint_url(file.to_str().unwrap()).unwrap();
        for endpoint in [web_socket, file] {
            world.stop().await;
            world.options.rpc_urls = vec![endpoint, http.clone()];
            world.restart().await;
            let paid = world.token.mint(world.pay_to, amount("1")).await.unwrap();
            assert_eq!(transfers_of(&world, &paid).await.len(), 1);
            let config = IndexerConfig {
                rpc_url: world.options.rpc_urls[..1].to_vec(),
                ..config(&world)
            };
            let head = world.chain().rpc().get_block_number().await.unwrap();
            let report = x402_indexer::audit(&config, 0, head).await.unwrap();
            assert!(report.is_clean(), "{report:?}");
        }
        world.stop().await;
    });
}

#[test]
fn a_restart_continues_where_the_last_commit_ended() {
    run(async {
        let mut world = World::new(EXE).await;
        world.token.mint(world.pay_to, amount("1")).await.unwrap();
        world.caught_up().await;
        world.stop().await;
        let before = world.index().tip().await.unwrap().unwrap();
        for _ in 0..5 {
            world.token.mint(world.pay_to, amount("1")).await.unwrap();
        }
        world.restart().await;
        assert_index_equals_the_chain(&world).await;
        let commits = world
            .index()
            .commits_after(before.seq, 1_000)
            .await
            .unwrap();
        // The first takes a number for the new run and changes nothing.
        let (first, others) = commits.split_first().unwrap();
        assert_eq!((first.rows, first.tip_number), (0, before.block_number));
        assert!(
            others
                .iter()
                .all(|commit| commit.from_block > before.block_number),
            "{commits:?}"
        );
        world.stop().await;
    });
}

#[test]
fn an_audit_names_a_row_that_is_not_on_the_chain() {
    run(async {
        let world = World::new(EXE).await;
        let receipt = world.token.mint(world.pay_to, amount("1")).await.unwrap();
        let mut invented = transfers_of(&world, &receipt).await[0];
        invented.id.log_index = 4_000;
        let tip = world.index().tip().await.unwrap().unwrap();
        let client = world.clickhouse();
        let row = x402_schemas::index::TransferRow::new(&invented, 0, tip.seq, false);
        let mut insert = client
            .insert::<x402_schemas::index::TransferRow>("transfers")
            .await
            .unwrap();
        insert.write(&row).await.unwrap();
        insert.end().await.unwrap();
        let report = audited(&world).await;
        assert!(!report.is_clean());
        world.stop().await;
    });
}

#[test]
fn a_token_with_other_decimals_is_refused_at_start() {
    run(async {
        let world = World::new(EXE).await;
        world.stop().await;
        let tasks = x402_service::lifecycle::Tasks::new();
        let options = x402::stack::StackOptions {
            token: Some(Address::repeat_byte(0x77)),
            database: format!("{}_none", world.options.database),
            ..world.options.clone()
        };
        let error = x402::stack::Stack::start(&x402::command_tree(), &options, &tasks)
            .await
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("token"), "{text}");
    });
}

#[test]
fn a_block_is_visible_soon_after_it_is_mined() {
    run(async {
        let world = World::new(EXE).await;
        let receipt = world.token.mint(world.pay_to, amount("1")).await.unwrap();
        let index = world.index();
        eventually("the transfer is visible", async || {
            !index
                .find_by_tx(&[receipt.transaction_hash])
                .await
                .unwrap()
                .is_empty()
        })
        .await;
        assert!(
            world
                .token
                .balance_of(world.pay_to)
                .await
                .unwrap()
                .base_units()
                > U256::ZERO
        );
        world.stop().await;
    });
}

#[test]
fn blocks_that_no_commit_covers_are_counted() {
    run(async {
        let world = World::new(EXE).await;
        world.caught_up().await;
        let stored = Stored::new(world.clickhouse(), Network::DEVNET);
        assert_eq!(stored.gap_blocks().await.unwrap(), 0);
        // An index of another chain: a reorg, a commit that changes nothing, and one that was lost before block 20.
        let lost = Network::from_chain_id(7);
        for (seq, from, to) in [
            (1, 9, 9),
            (2, 10, 12),
            (3, 12, 12),
            (4, 12, 13),
            (5, 13, 13),
            (6, 20, 24),
        ] {
            let insert = format!(
                "INSERT INTO commits (chain_id, seq, from_block, to_block, tip_number) VALUES (7, {seq}, {from}, {to}, {to})"
            );
            world.clickhouse().query(&insert).execute().await.unwrap();
        }
        let stored = Stored::new(world.clickhouse(), lost);
        assert_eq!(stored.gap_blocks().await.unwrap(), 6);
        let nothing = Stored::new(world.clickhouse(), Network::from_chain_id(8));
        assert_eq!(nothing.gap_blocks().await.unwrap(), 0);
        world.stop().await;
    });
}
