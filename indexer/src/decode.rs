//! One block's logs and transactions in, its transfers out.
//!
//! Pure. A log is a transfer only in the exact shape of the token's own event; anything else that carries the
//! signature (ERC-721, older forms) is passed over. What moved the tokens is decided per transaction, because
//! only there do the issuer's control events stand beside the transfers that they explain.

use std::collections::HashMap;

use alloy::primitives::{Address, B256, Bytes, U256, b256};
use smallvec::SmallVec;
use x402_schemas::{
    amount::Amount,
    network::Network,
    transfer::{Transfer, TransferId, TransferKind},
};

mod memo;

/// `Transfer(address,address,uint256)`
pub const TRANSFER: B256 =
    b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// `FundsConfiscated(address,uint256,address)`, everything indexed.
pub const FUNDS_CONFISCATED: B256 =
    b256!("0x5a592536e075e29026312219123e24de374314962469686d4c992d3c7292c1b4");

/// `HoldingsBurnt(address,uint256)`, everything indexed.
pub const HOLDINGS_BURNT: B256 =
    b256!("0x1b560ad975f2a2685fce792af7ad191c5f1c0bfbbf108c676319be3ccb014ddf");

/// The events that are asked for.
pub const EVENTS: [B256; 3] = [TRANSFER, FUNDS_CONFISCATED, HOLDINGS_BURNT];

/// Topics, without memory of their own up to the four that a log can have.
pub type Topics = SmallVec<[B256; 4]>;

/// Data, without memory of its own up to the one word that our events have.
pub type Word = SmallVec<[u8; 32]>;

/// A log of a block, complete and in order; its topics and data are whatever the contract wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of a JSON-RPC log")]
pub struct TokenLog {
    pub address: Address,
    pub topics: Topics,
    pub data: Word,
    pub block_number: u64,
    pub block_hash: B256,
    /// Not every node says it.
    pub block_time: Option<u64>,
    pub tx_hash: B256,
    pub tx_index: u32,
    pub log_index: u32,
}

/// What a transaction asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who signed it.
    pub from: Address,
    /// What it called; nothing when it created a contract.
    pub to: Option<Address>,
    /// Its calldata.
    pub input: Bytes,
}

/// Transactions by their hash.
pub type Calls = HashMap<B256, Call>;

/// The block whose logs are decoded.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The chain.
    pub network: Network,
    /// The token whose transfers count.
    pub token: Address,
    /// The block's height.
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
    /// The block's time, Unix seconds.
    pub time: u64,
}

/// A transfer and its transaction's place in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The transfer.
    pub transfer: Transfer,
    /// Its transaction's index in the block.
    pub tx_index: u32,
}

/// What a log of the token says, if it is one of ours.
enum Event {
    Transfer(Movement),
    Confiscated(Movement),
    HoldingsBurnt { account: Address, amount: U256 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Movement {
    from: Address,
    to: Address,
    amount: U256,
}

/// Adds the transfers of one block to `found`, in order. `calls` holds the transactions of [`noteworthy`]; one that is
/// missing costs its transfer the memo, nothing else.
pub fn decode(place: &Place, logs: &[TokenLog], calls: &Calls, found: &mut Vec<Found>) {
    // A transaction's logs are next to each other, since logs are in order.
    for of_tx in logs.chunk_by(|a, b| a.tx_hash == b.tx_hash) {
        let start = found.len();
        let mut explained = false;
        for (log, event) in of_tx
            .iter()
            .filter_map(|log| Some((log, event(place.token, log)?)))
        {
            match event {
                Event::Transfer(movement) => found.push(plain(place, log, movement)),
                Event::Confiscated(_) | Event::HoldingsBurnt { .. } => explained = true,
            }
        }
        let Some(transfers) = found.get_mut(start..) else {
            continue;
        };
        match transfers {
            _ if explained => {
                for (log, event) in of_tx
                    .iter()
                    .filter_map(|log| Some((log, event(place.token, log)?)))
                {
                    explain(transfers, log.log_index, &event);
                }
            }
            [Found { transfer, .. }] => {
                let noted = calls.get(&transfer.id.tx_hash);
                let noted = noted.and_then(|call| memo::noted(place.token, call));
                transfer.memo = noted
                    .filter(|noted| Movement::of(transfer) == noted.movement)
                    .map(|noted| noted.memo);
            }
            _ => (),
        }
    }
}

/// The transactions whose calldata can hold a memo. A call of the token itself makes one transfer, so a transaction with
/// several, or with a control event beside it, went through another contract or is the issuer's: its calldata is no
/// payment's, and nobody needs to fetch it.
pub fn noteworthy(token: Address, logs: &[TokenLog]) -> Vec<B256> {
    logs.chunk_by(|a, b| a.tx_hash == b.tx_hash)
        .filter_map(|of_tx| {
            let mut events = of_tx.iter().filter_map(|log| event(token, log));
            match (events.next(), events.next()) {
                (Some(Event::Transfer(_)), None) => of_tx.first(),
                _ => None,
            }
        })
        .map(|log| log.tx_hash)
        .collect()
}

/// A transfer by what its own log says; control events may still explain it otherwise.
fn plain(place: &Place, log: &TokenLog, movement: Movement) -> Found {
    let kind = if movement.from.is_zero() {
        TransferKind::Mint
    } else if movement.to.is_zero() {
        TransferKind::Burn
    } else if movement.from == place.token {
        TransferKind::Rescue
    } else {
        TransferKind::Payment
    };
    let transfer = Transfer {
        id: TransferId {
            network: place.network,
            tx_hash: log.tx_hash,
            log_index: log.log_index,
        },
        block_number: place.number,
        block_hash: place.hash,
        block_time: place.time,
        token: place.token,
        from: movement.from,
        to: movement.to,
        amount: Amount::from_base_units(movement.amount),
        memo: None,
        kind,
    };
    Found {
        transfer,
        tx_index: log.tx_index,
    }
}

/// A control event explains the nearest transfer of its transaction that it describes and that nothing explains yet;
/// of two that are equally near, the one before it.
fn explain(transfers: &mut [Found], at: u32, event: &Event) {
    let (kind, describes): (_, &dyn Fn(&Transfer) -> bool) = match event {
        Event::Confiscated(seized) => (TransferKind::Confiscation, &|transfer| {
            Movement::of(transfer) == *seized
        }),
        Event::HoldingsBurnt { account, amount } => (TransferKind::Burn, &|transfer| {
            transfer.from == *account && transfer.amount.base_units() == *amount
        }),
        Event::Transfer(_) => return,
    };
    let nearest = transfers
        .iter_mut()
        .map(|found| &mut found.transfer)
        .filter(|transfer| transfer.kind == TransferKind::Payment && describes(transfer))
        .min_by_key(|transfer| transfer.id.log_index.abs_diff(at));
    if let Some(transfer) = nearest {
        transfer.kind = kind;
    }
}

fn event(token: Address, log: &TokenLog) -> Option<Event> {
    if log.address != token {
        return None;
    }
    match (log.topics.as_slice(), log.data.as_slice()) {
        ([TRANSFER, from, to], data) => Some(Event::Transfer(Movement {
            from: address(from)?,
            to: address(to)?,
            amount: U256::from_be_bytes(<[u8; 32]>::try_from(data).ok()?),
        })),
        ([FUNDS_CONFISCATED, account, amount, to], []) => Some(Event::Confiscated(Movement {
            from: address(account)?,
            to: address(to)?,
            amount: U256::from_be_bytes(amount.0),
        })),
        ([HOLDINGS_BURNT, account, amount], []) => Some(Event::HoldingsBurnt {
            account: address(account)?,
            amount: U256::from_be_bytes(amount.0),
        }),
        _ => None,
    }
}

/// The address in a word, which is right-aligned and has nothing above it.
fn address(word: &B256) -> Option<Address> {
    (Address::from_word(*word).into_word() == *word).then(|| Address::from_word(*word))
}

impl Movement {
    fn of(transfer: &Transfer) -> Self {
        Self {
            from: transfer.from,
            to: transfer.to,
            amount: transfer.amount.base_units(),
        }
    }
}

#[cfg(test)]
mod tests;
