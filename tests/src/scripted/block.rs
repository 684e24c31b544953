//! Transactions in, a block out: header hash, parent link, logs bloom, receipts and transactions roots are real.
//!
//! A block keeps what a node would answer about it, and beside it the truth: which transfers it holds.

use std::sync::Arc;

use alloy::{
    consensus::{
        Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, TxEnvelope, proofs,
        transaction::Recovered,
    },
    primitives::{Address, B256, Bloom, Bytes, U256},
    rpc::types::{Header as RpcHeader, Log, Transaction, TransactionReceipt},
};
use serde_json::Value;
use x402_schemas::{
    amount::Amount,
    network::Network,
    transfer::{Transfer, TransferId},
};

use super::activity::{Moved, Tx};

/// Gas of every transaction.
const GAS: u64 = 50_000;

/// A block as a node knows it.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent_hash: B256,
    /// Its time, Unix seconds.
    pub time: u64,
    /// The fields of `eth_getBlockByNumber` except the transactions.
    pub header: Value,
    /// Their hashes, in order.
    pub tx_hashes: Vec<B256>,
    /// What `eth_getTransactionByHash` answers for each.
    pub transactions: Vec<Value>,
    /// What `eth_getBlockReceipts` answers.
    pub receipts: Vec<Value>,
    /// All its logs, in order.
    pub logs: Vec<Log>,
    /// The truth: the token's transfers, each with its transaction's place in the block.
    pub transfers: Vec<(Transfer, u32)>,
    /// What it was made of, so that another block can be made of the same.
    pub txs: Vec<Arc<Tx>>,
}

/// Where a new block goes.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The chain.
    pub chain_id: u64,
    /// The token whose transfers are the truth.
    pub token: Address,
    /// Height.
    pub number: u64,
    /// The block before it.
    pub parent_hash: B256,
    /// Unix seconds.
    pub time: u64,
    /// Tells blocks of the same content apart.
    pub salt: u64,
}

impl Block {
    /// Makes a block of transactions.
    pub fn seal(site: &Site, txs: Vec<Arc<Tx>>) -> Self {
        let receipts: Vec<ReceiptEnvelope> = (1_u64..)
            .zip(&txs)
            .map(|(position, tx)| receipt(tx, position * GAS))
            .collect();
        let signed: Vec<TxEnvelope> = txs.iter().map(|tx| tx.signed.clone()).collect();
        let header = Header {
            parent_hash: site.parent_hash,
            number: site.number,
            timestamp: site.time,
            transactions_root: proofs::calculate_transaction_root(&signed),
            receipts_root: proofs::calculate_receipt_root(&receipts),
            logs_bloom: receipts
                .iter()
                .fold(Bloom::ZERO, |all, receipt| all | *receipt.logs_bloom()),
            gas_limit: 30_000_000,
            gas_used: GAS * count(txs.len()),
            base_fee_per_gas: Some(7),
            extra_data: Bytes::copy_from_slice(&site.salt.to_be_bytes()),
            ..Header::default()
        };
        let header = RpcHeader::new(header);
        let mut block = Self {
            number: site.number,
            hash: header.hash,
            parent_hash: site.parent_hash,
            time: site.time,
            header: serde_json::to_value(&header).unwrap(),
            tx_hashes: signed.iter().map(|tx| *tx.tx_hash()).collect(),
            transactions: Vec::new(),
            receipts: Vec::new(),
            logs: Vec::new(),
            transfers: Vec::new(),
            txs,
        };
        for (position, receipt) in (0_u32..).zip(receipts) {
            block.include(site, position, receipt);
        }
        block
    }

    /// Adds one transaction's answers and truths.
    fn include(&mut self, site: &Site, position: u32, receipt: ReceiptEnvelope) {
        let tx = Arc::clone(&self.txs[usize::try_from(position).unwrap()]);
        let transaction_hash = *tx.signed.tx_hash();
        let transaction = Transaction {
            inner: Recovered::new_unchecked(tx.signed.clone(), tx.from),
            block_hash: Some(self.hash),
            block_number: Some(self.number),
            transaction_index: Some(position.into()),
            effective_gas_price: Some(1_000_000_000),
            block_timestamp: None,
        };
        self.transactions
            .push(serde_json::to_value(transaction).unwrap());
        for written in &tx.logs {
            let log_index = u32::try_from(self.logs.len()).unwrap();
            if let Some(moved) = &written.moved {
                let transfer = self.transfer(site, transaction_hash, log_index, moved);
                self.transfers.push((transfer, position));
            }
            self.logs.push(Log {
                inner: written.log.clone(),
                block_hash: Some(self.hash),
                block_number: Some(self.number),
                // Nodes differ in this; here a block's logs all have it or all lack it.
                block_timestamp: self.number.is_multiple_of(2).then_some(self.time),
                transaction_hash: Some(transaction_hash),
                transaction_index: Some(position.into()),
                log_index: Some(log_index.into()),
                removed: false,
            });
        }
        let own = self.logs.len() - tx.logs.len();
        self.receipts
            .push(self.receipt(&tx, position, receipt, own));
    }

    fn transfer(&self, site: &Site, tx_hash: B256, log_index: u32, moved: &Moved) -> Transfer {
        Transfer {
            id: TransferId {
                network: Network::from_chain_id(site.chain_id),
                tx_hash,
                log_index,
            },
            block_number: self.number,
            block_hash: self.hash,
            block_time: self.time,
            token: site.token,
            from: moved.from,
            to: moved.to,
            amount: Amount::from_base_units(moved.amount),
            memo: moved.memo,
            kind: moved.kind,
        }
    }

    fn receipt(&self, tx: &Tx, position: u32, receipt: ReceiptEnvelope, first_log: usize) -> Value {
        let mut logs = self.logs[first_log..].iter().cloned();
        let receipt = TransactionReceipt {
            inner: receipt.map_logs(|_| logs.next().unwrap()),
            transaction_hash: *tx.signed.tx_hash(),
            transaction_index: Some(position.into()),
            block_hash: Some(self.hash),
            block_number: Some(self.number),
            gas_used: GAS,
            effective_gas_price: 1_000_000_000,
            blob_gas_used: None,
            blob_gas_price: None,
            from: tx.from,
            to: alloy::consensus::Transaction::to(&tx.signed),
            contract_address: None,
        };
        serde_json::to_value(receipt).unwrap()
    }

    /// What `eth_getBlockByNumber` answers, with whole transactions or their hashes.
    pub fn answer(&self, whole_transactions: bool) -> Value {
        let mut answer = self.header.clone();
        answer["uncles"] = Value::Array(Vec::new());
        answer["size"] = serde_json::to_value(U256::from(1_000)).unwrap();
        answer["transactions"] = if whole_transactions {
            self.transactions.clone().into()
        } else {
            serde_json::to_value(&self.tx_hashes).unwrap()
        };
        answer
    }
}

fn receipt(tx: &Tx, cumulative_gas_used: u64) -> ReceiptEnvelope {
    let receipt: ReceiptWithBloom<Receipt> = Receipt {
        status: tx.success.into(),
        cumulative_gas_used,
        logs: tx.logs.iter().map(|written| written.log.clone()).collect(),
    }
    .with_bloom();
    match tx.signed {
        TxEnvelope::Eip1559(_) => ReceiptEnvelope::Eip1559(receipt),
        _ => ReceiptEnvelope::Legacy(receipt),
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap()
}
