//! What people and contracts do on the simulated chain: transactions, the logs they write, and what is true about each.
//!
//! The truth is written down as a transaction is made, from what it is meant to be, never by looking at its logs: the
//! indexer's decoder is judged by it.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy},
    primitives::{Address, B256, Bytes, Log, LogData, Signature, TxKind, U256, b256},
    sol,
    sol_types::{SolCall, SolEvent},
};
use fastrand::Rng;
use x402_schemas::transfer::TransferKind;

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

    /// A call of the token's own functions, with or without a memo behind the arguments.
    fn payment(&mut self) -> Draft {
        let (caller, owner, to, amount) =
            (self.person(), self.person(), self.person(), self.amount());
        let (from, mut input) = if self.rng.bool() {
            (caller, transferCall { to, amount }.abi_encode())
        } else {
            let from = owner;
            (owner, transferFromCall { from, to, amount }.abi_encode())
        };
        let mut said = None;
        match self.rng.u8(..10) {
            0..6 => {
                let memo = self.word();
                input.extend(memo);
                said = Some(memo);
            }
            // Not a memo: 31 bytes, 33, two words, or a word of zeros.
            6 => input.extend(&self.word()[1..]),
            7 => input.extend([&self.word()[..], &[7; 1]].concat()),
            8 => input.extend([&self.word()[..], &[0; 32]].concat()),
            _ => input.extend([0; 32]),
        }
        // A memo belongs to the movement that the call asked for; another amount is another movement.
        let moved = if self.rng.u8(..20) == 0 {
            said = None;
            amount ^ U256::ONE
        } else {
            amount
        };
        let paid = self.moved(from, to, moved, said, TransferKind::Payment);
        self.call(caller, input.into(), vec![paid])
    }

    /// Several movements by one contract, whose calldata is nobody's memo.
    fn through_a_contract(&mut self) -> Draft {
        let (caller, to, amount) = (self.person(), self.person(), self.amount());
        let mut input = transferCall { to, amount }.abi_encode();
        input.extend(self.word());
        let mut logs = vec![self.moved(caller, to, amount, None, TransferKind::Payment)];
        if self.rng.u8(..4) == 0 {
            // An impostor's event explains nothing.
            let event = FundsConfiscated {
                account: caller,
                amount,
                sentTo: to,
            };
            logs.push(foreign(self.stranger(), event.encode_log_data()));
        }
        for _ in 0..self.rng.u8(..5) {
            logs.push(if self.rng.bool() {
                self.pay()
            } else {
                self.foreign_log()
            });
        }
        Draft {
            to: TxKind::Call(self.stranger()),
            ..self.call(caller, input.into(), logs)
        }
    }

    fn mint(&mut self) -> Draft {
        let (account, amount) = (self.person(), self.amount());
        let logs = vec![
            self.moved(Address::ZERO, account, amount, None, TransferKind::Mint),
            self.wrote(&TokensMinted { account, amount }),
        ];
        let admin = self.person();
        self.call(admin, Bytes::from_static(&[1, 2, 3, 4]), logs)
    }

    fn burn(&mut self) -> Draft {
        let (account, amount) = (self.person(), self.amount());
        let logs = match self.rng.u8(..3) {
            0 => vec![
                self.moved(account, Address::ZERO, amount, None, TransferKind::Burn),
                self.wrote(&TokensBurnt { amount }),
            ],
            1 => vec![
                self.moved(account, Address::ZERO, amount, None, TransferKind::Burn),
                self.wrote(&HoldingsBurnt { account, amount }),
            ],
            // Burnt by sending them to a dead account, beside a payment of the same sum by another.
            _ => {
                let dead = Address::repeat_byte(0xde);
                vec![
                    self.paid(self.token_neighbour(), dead, amount),
                    self.moved(account, dead, amount, None, TransferKind::Burn),
                    self.wrote(&HoldingsBurnt { account, amount }),
                ]
            }
        };
        let admin = self.person();
        self.call(admin, Bytes::from_static(&[4, 3, 2, 1]), logs)
    }

    /// Seized funds; sometimes beside a payment that looks the same but is not next to the event.
    fn confiscation(&mut self) -> Draft {
        let (account, to, amount) = (self.person(), self.person(), self.amount());
        let mut logs = Vec::new();
        if self.rng.bool() {
            logs.push(self.paid(account, to, amount));
        }
        logs.push(self.moved(account, to, amount, None, TransferKind::Confiscation));
        logs.push(self.wrote(&FundsConfiscated {
            account,
            amount,
            sentTo: to,
        }));
        if self.rng.bool() {
            logs.push(self.pay());
        }
        let victim = account;
        let mut input = confiscateCall { victim, to, amount }.abi_encode();
        input.extend(self.word());
        let admin = self.person();
        self.call(admin, input.into(), logs)
    }

    fn rescue(&mut self) -> Draft {
        let (to, amount) = (self.person(), self.amount());
        let logs = vec![self.moved(self.token, to, amount, None, TransferKind::Rescue)];
        let admin = self.person();
        self.call(admin, Bytes::new(), logs)
    }

    /// The token writes something, but nothing moves: its address is in the bloom all the same.
    fn control(&mut self) -> Draft {
        let (owner, spender, value) = (self.person(), self.person(), self.amount());
        let log = if self.rng.bool() {
            self.wrote(&Approval {
                owner,
                spender,
                value,
            })
        } else {
            self.wrote(&AccountFrozen { account: owner })
        };
        self.call(owner, Bytes::new(), vec![log])
    }

    /// The event's first topic in shapes that are not the token's own, written by the token itself, and one real payment.
    fn odd_shapes(&mut self) -> Draft {
        let (from, to) = (self.person().into_word(), self.person().into_word());
        let mut dirty = from;
        dirty[0] = 1;
        let word = self.word();
        let mut logs = vec![
            self.odd(vec![TRANSFER, from, to, word], &[]),
            self.odd(vec![TRANSFER], &[&from[..], &to[..], &word[..]].concat()),
            self.odd(vec![TRANSFER, from, to], &word[..31]),
            self.odd(
                vec![TRANSFER, from, to],
                &[word[..].to_vec(), vec![0; 32]].concat(),
            ),
            self.odd(vec![TRANSFER, dirty, to], &word[..]),
            self.odd(vec![TRANSFER, from], &word[..]),
            self.odd(vec![], &word[..]),
        ];
        logs.push(self.pay());
        self.rng.shuffle(&mut logs);
        logs.truncate(4);
        let caller = self.person();
        self.call(caller, Bytes::new(), logs)
    }

    fn failed(&mut self) -> Draft {
        let (caller, to, amount) = (self.person(), self.person(), self.amount());
        Draft {
            success: false,
            ..self.call(
                caller,
                transferCall { to, amount }.abi_encode().into(),
                vec![],
            )
        }
    }

    /// A contract that moves tokens as it is created.
    fn creation(&mut self) -> Draft {
        let caller = self.person();
        let logs = vec![self.pay(), self.foreign_log()];
        Draft {
            to: TxKind::Create,
            ..self.call(caller, Bytes::from_static(&[0x60; 40]), logs)
        }
    }

    fn foreign(&mut self) -> Draft {
        let caller = self.person();
        let logs = (0..self.rng.usize(..4))
            .map(|_| self.foreign_log())
            .collect();
        Draft {
            to: TxKind::Call(self.stranger()),
            ..self.call(caller, Bytes::from_static(&[9; 36]), logs)
        }
    }

    /// Another token's transfer, an NFT's, or an impostor's control event.
    fn foreign_log(&mut self) -> Written {
        let (from, to, value) = (self.person(), self.person(), self.amount());
        let contract = self.stranger();
        match self.rng.u8(..3) {
            0 => foreign(contract, Transfer { from, to, value }.encode_log_data()),
            1 => {
                let topics = vec![TRANSFER, from.into_word(), to.into_word(), self.word()];
                other(contract, topics, Bytes::new())
            }
            _ => {
                let event = FundsConfiscated {
                    account: from,
                    amount: value,
                    sentTo: to,
                };
                foreign(contract, event.encode_log_data())
            }
        }
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
