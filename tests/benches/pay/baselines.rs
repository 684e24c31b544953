//! What nothing of ours can beat: the disk's durable commits, and the node's own pace with the same transactions.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    network::TxSignerSync,
    primitives::{B256, TxKind, U256},
    providers::Provider,
    signers::local::PrivateKeySigner,
    sol,
    sol_types::SolCall,
};
use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use x402_schemas::api::owner::TreasuryView;
use x402_tests::world::{World, amount};

use crate::quantile_ms;

const COMMIT_SECONDS: u64 = 2;
/// Transactions in a row, and each after the one before is included.
const IN_A_ROW: usize = 600;
const ONE_BY_ONE: usize = 150;
const FAR_AHEAD: u64 = 1_000_000;
const GAS: u64 = 120_000;
const FEE_WEI: u128 = 5_000_000_000;

sol! {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// The node's pace.
pub(crate) struct Raw {
    pub(crate) per_s: f64,
    pub(crate) included_ms_p50: f64,
    /// A transaction that the node takes and no block does: those before it are missing.
    pub(crate) far_ahead: Vec<u8>,
}

/// How many one-row transactions a second SQLite makes durable beside the ledger.
pub(crate) async fn durable_commits(folder: &Path) -> f64 {
    let mut conn = SqliteConnectOptions::new()
        .filename(folder.join("baseline.sqlite"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await
        .unwrap();
    let make = "CREATE TABLE t (number INTEGER PRIMARY KEY, text TEXT NOT NULL)";
    sqlx::query(make).execute(&mut conn).await.unwrap();
    let begin = Instant::now();
    let mut count = 0_u32;
    while begin.elapsed() < Duration::from_secs(COMMIT_SECONDS) {
        sqlx::query("INSERT INTO t (text) VALUES (?)")
            .bind("as long as a short row of the ledger is, more or less, so that pages fill alike")
            .execute(&mut conn)
            .await
            .unwrap();
        count += 1;
    }
    f64::from(count) / begin.elapsed().as_secs_f64()
}

/// Payments as the gateway makes them, from the same treasury, signed beforehand by an account of the bench's.
pub(crate) async fn raw_payments(world: &World, treasury: TreasuryView) -> Raw {
    let rpc = world.chain().rpc();
    let signer = PrivateKeySigner::random();
    let ether = U256::from(10).pow(U256::from(18));
    world.token.fund_gas(signer.address(), ether).await.unwrap();
    let call = transferFromCall {
        from: world.treasury.address(),
        to: world.pay_to,
        amount: amount("0.0001").base_units(),
    };
    approve(world, &signer, treasury).await;
    let mut input = call.abi_encode();
    input.extend_from_slice(B256::repeat_byte(7).as_slice());
    let chain_id = rpc.get_chain_id().await.unwrap();
    let sign = |nonce| {
        let mut transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit: GAS,
            max_fee_per_gas: FEE_WEI,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(world.token.address),
            input: input.clone().into(),
            ..TxEip1559::default()
        };
        let signature = signer.sign_transaction_sync(&mut transaction).unwrap();
        TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
    };
    let payments: Vec<Vec<u8>> = (0..).take(IN_A_ROW + ONE_BY_ONE).map(sign).collect();
    let (one_by_one, in_a_row) = payments.split_at(ONE_BY_ONE);
    let mut times = Vec::new();
    for raw in one_by_one {
        let begin = Instant::now();
        let hash = *rpc.send_raw_transaction(raw).await.unwrap().tx_hash();
        while rpc.get_transaction_receipt(hash).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(begin.elapsed());
    }
    // In the order of their nonces, as the gateway sends them: a node that takes them in any order leaves some behind.
    let begin = Instant::now();
    let mut hashes = Vec::new();
    for raw in in_a_row {
        hashes.push(*rpc.send_raw_transaction(raw).await.unwrap().tx_hash());
    }
    for hash in &hashes {
        while rpc.get_transaction_receipt(*hash).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Raw {
        per_s: hashes.len() as f64 / begin.elapsed().as_secs_f64(),
        far_ahead: sign(FAR_AHEAD),
        included_ms_p50: quantile_ms(&mut times, 0.5),
    }
}

/// Has the treasury approve the bench's account, besides the gateway's.
async fn approve(world: &World, signer: &PrivateKeySigner, mut view: TreasuryView) {
    let rpc = world.chain().rpc();
    view.spender = signer.address();
    view.nonce = rpc.get_transaction_count(view.address).await.unwrap();
    let raw = world.treasury.sign_approval(&view, amount("10")).unwrap();
    let hash = *rpc.send_raw_transaction(&raw).await.unwrap().tx_hash();
    while rpc.get_transaction_receipt(hash).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
