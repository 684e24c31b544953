//! Recorded mainnet blocks through the whole indexer: hundreds of contracts' logs, of which one token's transfers count.
//!
//! USDT, WETH and others stand in for MNEE. The indexer refuses tokens that have not 18 decimals, so the node says that
//! whatever token is asked about has 18; everything else is as it was recorded.

use std::path::Path;

use alloy::{
    primitives::{Address, B256, U256, address, b256},
    rpc::types::Log,
};
use x402_schemas::{
    amount::Amount,
    network::Network,
    transfer::{Transfer, TransferId, TransferKind},
};
use x402_tests::{
    scripted::{
        block::Block, chain::Chain, fuse::Fuse, indexer::Indexer, node::Node, recorded,
        replica::Replica, rows::Rows,
    },
    shared::{run, shared},
    world::eventually,
};

use crate::EXE;

const USDT: Address = address!("0xdac17f958d2ee523a2206206994597c13d831ec7");
const WETH: Address = address!("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2");
/// Its `Transfer` names the token in a fourth topic and has no data.
const NFT: Address = address!("0x4ad8a7406caac3457981a1b3c88b8aab00d6e13d");
/// Its `Transfer` has one topic and everything in the data.
const CRYPTO_KITTIES: Address = address!("0x06012c8cf97bead5deae237070f9587f8e7a266d");

const TRANSFER: B256 = b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// How the recorded block is reached.
#[derive(Clone, Copy, Debug)]
enum Lane {
    /// It is the chain's head.
    Live,
    /// It is final, and the head is far away.
    Backfill,
}

#[test]
fn every_erc20_transfer_of_the_token_on_mainnet_is_indexed_and_no_other() {
    let found: Vec<usize> = run(async {
        let mut found = Vec::new();
        for file in recorded::files() {
            for token in [USDT, WETH] {
                for lane in [Lane::Live, Lane::Backfill] {
                    found.push(index(&file, token, lane).await);
                }
            }
        }
        found
    });
    // So many USDT transfers and WETH transfers have three blocks of these heights.
    assert_eq!(found, [14, 14, 0, 0, 14, 14, 23, 23, 44, 44, 56, 56]);
}

#[test]
fn a_token_whose_transfers_have_another_shape_has_none() {
    let found: Vec<usize> = run(async {
        let mut found = Vec::new();
        for file in recorded::files() {
            for token in [NFT, CRYPTO_KITTIES] {
                found.push(index(&file, token, Lane::Live).await);
            }
        }
        found
    });
    assert!(found.iter().all(|transfers| *transfers == 0), "{found:?}");
}

/// Indexes one recorded block and compares; returns how many transfers it has.
async fn index(file: &Path, token: Address, lane: Lane) -> usize {
    let line = recorded::read(file, |block| transfers(block, token));
    let recorded = line[1].number;
    let mut chain = Chain::recorded(Network::MAINNET.chain_id(), token, line);
    if matches!(lane, Lane::Backfill) {
        chain.extend_empty(100);
        chain.finalize(20);
    }
    let (head, truth) = (chain.head().clone(), chain.canonical_rows());
    let shared = shared(EXE).await;
    let node = Node::start(0, chain, vec![Replica::default()], Fuse::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let database = format!("mainnet_{recorded}_{token:x}_{lane:?}").to_lowercase();
    let flags = [
        ("rpc-url", node.url.to_string()),
        ("clickhouse-url", shared.clickhouse.url.to_string()),
        ("clickhouse-database", database.clone()),
        ("token", token.to_string()),
        ("from-block", recorded.to_string()),
        ("poll-ms", "5".into()),
        ("admin-listen", "127.0.0.1:0".into()),
    ];
    let mut indexer = Indexer::new(&shared.launcher, folder.path(), &flags);
    indexer.start().await;
    let clickhouse = clickhouse::Client::default()
        .with_url(shared.clickhouse.url.as_str())
        .with_database(&database);
    let rows = Rows::new(clickhouse, Network::MAINNET);
    eventually("the recorded block is indexed", async || {
        // The database may not be there yet.
        let tip = rows.reader().tip().await.ok().flatten();
        tip.is_some_and(|tip| tip.block_hash == head.hash)
    })
    .await;
    let differences = rows.differences(&truth).await.unwrap();
    assert_eq!(differences, None, "{lane:?} {token} {}", file.display());
    indexer.stop().await;
    truth.len()
}

/// The truth by the standard's own words: three topics, 32 bytes of data.
fn transfers(block: &Block, token: Address) -> Vec<(Transfer, u32)> {
    let erc20 = |log: &&Log| {
        log.address() == token
            && log.topics().len() == 3
            && log.topics()[0] == TRANSFER
            && log.data().data.len() == 32
    };
    let logs = block.logs.iter().filter(erc20);
    logs.map(|log| {
        let party = |topic: usize| Address::from_word(log.topics()[topic]);
        let (from, to) = (party(1), party(2));
        let kind = if from.is_zero() {
            TransferKind::Mint
        } else if to.is_zero() {
            TransferKind::Burn
        } else if from == token {
            TransferKind::Rescue
        } else {
            TransferKind::Payment
        };
        let transfer = Transfer {
            id: TransferId {
                network: Network::MAINNET,
                tx_hash: log.transaction_hash.unwrap(),
                log_index: u32::try_from(log.log_index.unwrap()).unwrap(),
            },
            block_number: block.number,
            block_hash: block.hash,
            block_time: block.time,
            token,
            from,
            to,
            amount: Amount::from_base_units(U256::from_be_slice(&log.data().data)),
            memo: None,
            kind,
        };
        (
            transfer,
            u32::try_from(log.transaction_index.unwrap()).unwrap(),
        )
    })
    .collect()
}
