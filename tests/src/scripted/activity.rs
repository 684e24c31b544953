//! What people and contracts do on the simulated chain: transactions, the logs they write, and what is true about each.
//!
//! The truth is written down as a transaction is made, from what it is meant to be, never by looking at its logs: the
//! indexer's decoder is judged by it.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy},
    primitives::{Address, B256, Bytes, Log, LogData, Signature, TxKind, U256, b256},
    sol,
    sol_types::SolEvent,
};
use fastrand::Rng;
use x402_schemas::transfer::TransferKind;

/// What each kind of transaction does.
mod drafts;

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event TokensMinted(address indexed account, uint256 indexed amount);
    event TokensBurnt(uint256 indexed amount);
    event HoldingsBurnt(address indexed account, uint256 indexed amount);
    event FundsConfiscated(address indexed account, uint256 indexed amount, address indexed sentTo);
    event AccountFrozen(address indexed account);
    function transfer(address to, uint256 amount);
    function transferFrom(address from, address to, uint256 amount);
    function confiscate(address victim, address to, uint256 amount);
}

/// The first topic of every kind of `Transfer` event.
const TRANSFER: B256 = b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// People who move tokens; few, so that the same pairs come up again.
const PEOPLE: u8 = 12;

/// Foreign logs of a busy transaction: they fill the block's bloom until it names addresses that are not there.
const BUSY_LOGS: usize = 160;

/// A transaction, the same in whatever block it lands.
#[derive(Clone, Debug)]
pub struct Tx {
    /// With a signature that nobody checks; the hash is that of its bytes.
    pub signed: TxEnvelope,
    /// Who is said to have signed it.
    pub from: Address,
    /// What it writes.
    pub logs: Vec<Written>,
    /// Whether it succeeded.
    pub success: bool,
}

/// A log and what is true about it.
#[derive(Clone, Debug)]
pub struct Written {
    /// As the contract writes it.
    pub log: Log,
    /// The movement of our token that it records, if it does.
    pub moved: Option<Moved>,
}

/// A movement of our token.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields of a transfer")]
pub struct Moved {
    pub from: Address,
    pub to: Address,
    pub amount: U256,
    pub memo: Option<B256>,
    pub kind: TransferKind,
}

/// Makes transactions, each different from all before.
#[derive(Clone, Debug)]
pub struct Author {
    rng: Rng,
    token: Address,
    chain_id: u64,
    nonce: u64,
}

struct Draft {
    from: Address,
    to: TxKind,
    input: Bytes,
    logs: Vec<Written>,
    success: bool,
}

impl Author {
    /// An author of transactions around `token`.
    pub const fn new(rng: Rng, token: Address, chain_id: u64) -> Self {
        Self {
            rng,
            token,
            chain_id,
            nonce: 0,
        }
    }

    /// The chain that they are for.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The token that they are about.
    pub const fn token(&self) -> Address {
        self.token
    }

    /// Some transaction.
    pub fn transaction(&mut self) -> Tx {
        let draft = match self.rng.u8(..100) {
            0..45 => self.payment(),
            45..57 => self.through_a_contract(),
            57..61 => self.mint(),
            61..66 => self.burn(),
            66..71 => self.confiscation(),
            71..74 => self.rescue(),
            74..79 => self.control(),
            79..84 => self.odd_shapes(),
            84..86 => self.failed(),
            86..89 => self.creation(),
            _ => self.foreign(),
        };
        self.sign(draft)
    }

    /// A transaction of other contracts with very many logs.
    pub fn busy(&mut self) -> Tx {
        let logs = (0..BUSY_LOGS)
            .map(|_| {
                let topics = (0..3).map(|_| self.word()).collect();
                other(self.stranger(), topics, Bytes::new())
            })
            .collect();
        let draft = Draft {
            from: self.person(),
            to: TxKind::Call(self.stranger()),
            input: Bytes::new(),
            logs,
            success: true,
        };
        self.sign(draft)
    }

    fn call(&self, from: Address, input: Bytes, logs: Vec<Written>) -> Draft {
        Draft {
            from,
            to: TxKind::Call(self.token),
            input,
            logs,
            success: true,
        }
    }

    fn pay(&mut self) -> Written {
        let (from, to, amount) = (self.person(), self.person(), self.amount());
        self.paid(from, to, amount)
    }

    fn paid(&self, from: Address, to: Address, amount: U256) -> Written {
        self.moved(from, to, amount, None, TransferKind::Payment)
    }

    fn moved(
        &self,
        from: Address,
        to: Address,
        value: U256,
        memo: Option<B256>,
        kind: TransferKind,
    ) -> Written {
        let moved = Moved {
            from,
            to,
            amount: value,
            memo,
            kind,
        };
        Written {
            moved: Some(moved),
            ..self.wrote(&Transfer { from, to, value })
        }
    }

    fn wrote<E: SolEvent>(&self, event: &E) -> Written {
        foreign(self.token, event.encode_log_data())
    }

    fn odd(&self, topics: Vec<B256>, data: &[u8]) -> Written {
        other(self.token, topics, Bytes::copy_from_slice(data))
    }

    fn person(&mut self) -> Address {
        Address::repeat_byte(self.rng.u8(1..=PEOPLE))
    }

    /// Nobody whom [`Self::person`] may return.
    const fn token_neighbour(&self) -> Address {
        let mut bytes = self.token.into_array();
        bytes[19] ^= 1;
        Address::new(bytes)
    }

    fn stranger(&mut self) -> Address {
        let mut bytes = [0; 20];
        self.rng.fill(&mut bytes);
        Address::new(bytes)
    }

    fn word(&mut self) -> B256 {
        let mut word = B256::ZERO;
        self.rng.fill(&mut word.0);
        word
    }

    fn amount(&mut self) -> U256 {
        match self.rng.u8(..20) {
            0 => U256::ZERO,
            1 => U256::MAX,
            2..8 => U256::from(50_000_000_000_000_000_u64),
            _ => U256::from(self.rng.u128(..)),
        }
    }

    fn sign(&mut self, draft: Draft) -> Tx {
        self.nonce += 1;
        let signature = Signature::new(U256::from(self.nonce), U256::from(1), false);
        let signed: TxEnvelope = if self.rng.bool() {
            let transaction = TxLegacy {
                chain_id: Some(self.chain_id),
                nonce: self.nonce,
                gas_price: 1_000_000_000,
                gas_limit: 100_000,
                to: draft.to,
                value: U256::ZERO,
                input: draft.input,
            };
            transaction.into_signed(signature).into()
        } else {
            let transaction = TxEip1559 {
                chain_id: self.chain_id,
                nonce: self.nonce,
                gas_limit: 100_000,
                max_fee_per_gas: 2_000_000_000,
                max_priority_fee_per_gas: 1,
                to: draft.to,
                value: U256::ZERO,
                access_list: vec![].into(),
                input: draft.input,
            };
            transaction.into_signed(signature).into()
        };
        Tx {
            signed,
            from: draft.from,
            logs: draft.logs,
            success: draft.success,
        }
    }
}

fn foreign(address: Address, data: LogData) -> Written {
    Written {
        log: Log { address, data },
        moved: None,
    }
}

fn other(address: Address, topics: Vec<B256>, data: Bytes) -> Written {
    foreign(address, LogData::new_unchecked(topics, data))
}
