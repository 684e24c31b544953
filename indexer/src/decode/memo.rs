//! The memo: 32 bytes after the arguments of a direct call of the token.
//!
//! The token ignores them, so they cost nothing but calldata, and they name the invoice that a payment is for. Only
//! a call that *is* the payment counts: a contract in between could append what it likes.

use alloy::primitives::{B256, U256};

use super::{Address, Call, Movement, address};

/// `transfer(address,uint256)`
pub(super) const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// `transferFrom(address,address,uint256)`
pub(super) const TRANSFER_FROM: [u8; 4] = [0x23, 0xb8, 0x72, 0xdd];

/// A memo and the one transfer that it belongs to.
pub(super) struct Noted {
    pub(super) movement: Movement,
    pub(super) memo: B256,
}

/// The memo of a call, if it is a payment by the token's own functions with exactly 32 bytes more.
pub(super) fn noted(token: Address, call: &Call) -> Option<Noted> {
    if call.to != Some(token) {
        return None;
    }
    let (selector, arguments) = call.input.split_first_chunk::<4>()?;
    let (words, rest) = arguments.as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    let (from, to, amount, memo) = match (*selector, words) {
        (TRANSFER, [to, amount, memo]) => (call.from, to, amount, memo),
        (TRANSFER_FROM, [from, to, amount, memo]) => {
            (address(&B256::new(*from))?, to, amount, memo)
        }
        _ => return None,
    };
    let movement = Movement {
        from,
        to: address(&B256::new(*to))?,
        amount: U256::from_be_bytes(*amount),
    };
    // The index stores "no memo" as zeros.
    let memo = B256::new(*memo);
    (!memo.is_zero()).then_some(Noted { movement, memo })
}
