//! Recorded mainnet blocks through the whole indexer: hundreds of contracts' logs, of which one token's transfers count.
//!
//! USDT, WETH and others stand in for MNEE. The indexer refuses tokens that have not 18 decimals, so the node says that
//! whatever token is asked about has 18; everything else is as it was recorded. Receipts are checked against headers.

use std::path::Path;

use alloy::primitives::{Address, B256, U256, address, b256};
use tempfile::TempDir;
use x402_schemas::{
    amount::Amount,
    network::Network,
    transfer::{Transfer, TransferId, TransferKind},
};
use x402_tests::{
    scripted::{
        block::Block, chain::Chain, fuse::Fuse, indexer::Indexer, node::Node, recorded,
        replica::Replica, rows::Rows, tamper::Tampering,
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

#[test]
fn a_forged_log_is_caught_by_the_receipts_root_and_its_node_named() {
    run(async {
        let files = recorded::files();
        for (file, lane) in files
            .iter()
            .zip([Lane::Live, Lane::Backfill].iter().cycle())
        {
            for tampering in [Tampering::Hide, Tampering::Invent, Tampering::Alter] {
                let recorded = recorded_block(file, USDT);
                let forged = recorded.tampered(tampering, USDT).unwrap();
                let named = format!("is not to be believed on block {}", recorded.number);
                let mut indexing = Indexing::start(file, USDT, *lane, Some(forged)).await;
                eventually("the forgery is told", async || {
                    indexing.indexer.last_words(usize::MAX).contains(&named)
                })
                .await;
                let believed = indexing.rows.differences(&[]).await.unwrap();
                assert_eq!(believed, None, "{tampering:?} {lane:?} {}", file.display());
                indexing.node.with(|reins| reins.chain.forge(recorded));
                indexing.equals_the_chain().await;
                indexing.indexer.stop().await;
            }
        }
    });
}

/// Indexes one recorded block and compares; returns how many transfers it has.
async fn index(file: &Path, token: Address, lane: Lane) -> usize {
    let mut indexing = Indexing::start(file, token, lane, None).await;
    indexing.equals_the_chain().await;
    indexing.indexer.stop().await;
    indexing
        .node
        .with(|reins| reins.chain.canonical_transfers().len())
}

/// An indexer that reads one recorded block from a node that forges it, or does not.
struct Indexing {
    node: Node,
    indexer: Indexer,
    rows: Rows,
    case: String,
    _folder: TempDir,
}

impl Indexing {
    async fn start(file: &Path, token: Address, lane: Lane, forged: Option<Block>) -> Self {
        let recorded = recorded_block(file, token);
        let number = recorded.number;
        let blocks = vec![recorded::before(&recorded), recorded];
        let mut chain = Chain::recorded(Network::MAINNET.chain_id(), token, blocks);
        if matches!(lane, Lane::Backfill) {
            chain.extend_empty(100);
            chain.finalize(20);
        }
        let forgery = forged.is_some();
        if let Some(forged) = forged {
            chain.forge(forged);
        }
        let shared = shared(EXE).await;
        let node = Node::start(0, chain, vec![Replica::default()], Fuse::default()).await;
        let folder = tempfile::tempdir().unwrap();
        // Named after the port too: several nodes serve the same block.
        let port = node.url.port().unwrap();
        let database = format!("mainnet_{number}_{port}");
        let flags = [
            ("rpc-url", node.url.to_string()),
            ("clickhouse-url", shared.clickhouse.url.to_string()),
            ("clickhouse-database", database.clone()),
            ("token", token.to_string()),
            ("from-block", number.to_string()),
            ("verify-receipts", "true".into()),
            ("poll-ms", "5".into()),
            ("admin-listen", "127.0.0.1:0".into()),
        ];
        let mut indexer = Indexer::new(&shared.launcher, folder.path(), &flags);
        indexer.start().await;
        let clickhouse = clickhouse::Client::default()
            .with_url(shared.clickhouse.url.as_str())
            .with_database(&database);
        Self {
            node,
            indexer,
            rows: Rows::new(clickhouse, Network::MAINNET),
            case: format!("{} {token} {lane:?} forged: {forgery}", file.display()),
            _folder: folder,
        }
    }

    /// Waits until the index has reached the head, and compares.
    async fn equals_the_chain(&self) {
        let (head, truth) = self
            .node
            .with(|reins| (reins.chain.head().hash, reins.chain.canonical_rows()));
        eventually("the recorded block is indexed", async || {
            // The database may not be there yet.
            let tip = self.rows.reader().tip().await.ok().flatten();
            tip.is_some_and(|tip| tip.block_hash == head)
        })
        .await;
        let differences = self.rows.differences(&truth).await.unwrap();
        assert_eq!(differences, None, "{}", self.case);
    }
}

fn recorded_block(file: &Path, token: Address) -> Block {
    let mut block = recorded::read(file);
    block.transfers = transfers(&block, token);
    block
}

/// The truth by the standard's own words: three topics, 32 bytes of data.
fn transfers(block: &Block, token: Address) -> Vec<(Transfer, u32)> {
    let erc20 = |log: &&alloy::rpc::types::Log| {
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
