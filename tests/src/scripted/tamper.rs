//! Blocks whose logs and receipts were tampered with under their own, unchanged header.
//!
//! The forgery is consistent: every answer of the node agrees with every other. Only who computes the receipts' root and
//! compares it with the header finds it.

use alloy::primitives::{Address, U64};
use serde_json::{Value, json};

use super::block::Block;

/// What is done to the logs of one contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// The last one is taken out.
    Hide,
    /// The first one is there once more, as the block's last log.
    Invent,
    /// The first one says another amount.
    Alter,
}

impl Block {
    /// The forged block, or nothing if the contract wrote no log that could be forged so.
    pub fn tampered(&self, tampering: Tampering, contract: Address) -> Option<Self> {
        let mut forged = self.clone();
        let mut own = (0..self.logs.len()).filter(|log| self.logs[*log].address() == contract);
        match tampering {
            Tampering::Hide => drop(forged.logs.remove(own.next_back()?)),
            Tampering::Invent => {
                let mut invented = self.logs[own.next()?].clone();
                invented.log_index = self.logs.last()?.log_index.map(|index| index + 1);
                // In the block's last transaction, so that logs stay in order.
                invented.transaction_hash = self.tx_hashes.last().copied();
                invented.transaction_index = u64::try_from(self.tx_hashes.len() - 1).ok();
                forged.logs.push(invented);
            }
            Tampering::Alter => {
                let altered = own.find(|log| !self.logs[*log].data().data.is_empty())?;
                let mut data = self.logs[altered].data().data.to_vec();
                *data.last_mut()? ^= 1;
                forged.logs[altered].inner.data.data = data.into();
            }
        }
        forged.retell_receipts();
        Some(forged)
    }

    /// Makes the receipts say what the logs say.
    fn retell_receipts(&mut self) {
        for receipt in &mut self.receipts {
            let position = receipt["transactionIndex"].take();
            let number: U64 = serde_json::from_value(position.clone()).unwrap();
            let own = self.logs.iter();
            let number = u64::try_from(number).unwrap();
            let own = own.filter(|log| log.transaction_index == Some(number));
            receipt["logs"] = own.map(|log| json!(log)).collect::<Vec<Value>>().into();
            receipt["transactionIndex"] = position;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::{
        consensus::{ReceiptEnvelope, proofs},
        primitives::B256,
        rpc::types::{Log, TransactionReceipt},
    };

    use super::*;
    use crate::scripted::chain::Chain;

    const TOKEN: Address = Address::repeat_byte(0x77);

    fn root_of(receipts: &[Value]) -> B256 {
        let receipts: Vec<ReceiptEnvelope> = receipts
            .iter()
            .map(|receipt| {
                let receipt: TransactionReceipt = serde_json::from_value(receipt.clone()).unwrap();
                receipt.inner.map_logs(|log: Log| log.inner)
            })
            .collect();
        proofs::calculate_receipt_root(&receipts)
    }

    #[test]
    fn honest_receipts_have_the_headers_root_and_forged_ones_have_not() {
        let mut chain = Chain::new(1, 31_337, TOKEN);
        chain.extend(60);
        let mut forgeries = 0;
        for block in chain.canonical().iter() {
            let header: B256 =
                serde_json::from_value(block.header["receiptsRoot"].clone()).unwrap();
            assert_eq!(root_of(&block.receipts), header);
            for tampering in [Tampering::Hide, Tampering::Invent, Tampering::Alter] {
                let Some(forged) = block.tampered(tampering, TOKEN) else {
                    continue;
                };
                forgeries += 1;
                assert_ne!(root_of(&forged.receipts), header, "{tampering:?}");
                assert_eq!(forged.hash, block.hash);
            }
        }
        assert!(forgeries > 30);
    }
}
