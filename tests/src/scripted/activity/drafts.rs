//! The kinds of transactions, the odd ones among them: each with the logs that it writes and what they mean.

use alloy::{
    primitives::{Address, Bytes, TxKind, U256},
    sol_types::{SolCall, SolEvent},
};
use x402_schemas::transfer::TransferKind;

use super::{
    AccountFrozen, Approval, Author, Draft, FundsConfiscated, HoldingsBurnt, TRANSFER, TokensBurnt,
    TokensMinted, Transfer, Written, confiscateCall, foreign, other, transferCall,
    transferFromCall,
};

impl Author {
    /// A call of the token's own functions, with or without a memo behind the arguments.
    pub(super) fn payment(&mut self) -> Draft {
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
    pub(super) fn through_a_contract(&mut self) -> Draft {
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

    pub(super) fn mint(&mut self) -> Draft {
        let (account, amount) = (self.person(), self.amount());
        let logs = vec![
            self.moved(Address::ZERO, account, amount, None, TransferKind::Mint),
            self.wrote(&TokensMinted { account, amount }),
        ];
        let admin = self.person();
        self.call(admin, Bytes::from_static(&[1, 2, 3, 4]), logs)
    }

    pub(super) fn burn(&mut self) -> Draft {
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
    pub(super) fn confiscation(&mut self) -> Draft {
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

    pub(super) fn rescue(&mut self) -> Draft {
        let (to, amount) = (self.person(), self.amount());
        let logs = vec![self.moved(self.token, to, amount, None, TransferKind::Rescue)];
        let admin = self.person();
        self.call(admin, Bytes::new(), logs)
    }

    /// The token writes something, but nothing moves: its address is in the bloom all the same.
    pub(super) fn control(&mut self) -> Draft {
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
    pub(super) fn odd_shapes(&mut self) -> Draft {
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

    pub(super) fn failed(&mut self) -> Draft {
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
    pub(super) fn creation(&mut self) -> Draft {
        let caller = self.person();
        let logs = vec![self.pay(), self.foreign_log()];
        Draft {
            to: TxKind::Create,
            ..self.call(caller, Bytes::from_static(&[0x60; 40]), logs)
        }
    }

    pub(super) fn foreign(&mut self) -> Draft {
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
}
