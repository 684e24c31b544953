//! What a provider refuses: ranges too wide or too full, in the words of several providers, some with a hint.

use alloy::rpc::types::Log;
use fastrand::Rng;

use super::replica::{Refusal, refusal};

/// A replica's limits on one request for logs. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most blocks.
    pub blocks: Option<u64>,
    /// Most logs.
    pub logs: Option<usize>,
    /// Whose words are used.
    pub wording: Wording,
}

/// How a refusal is worded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after who words it so")]
pub enum Wording {
    #[default]
    Infura,
    Alchemy,
    QuickNode,
    Ankr,
    Geth,
    Plain,
    Timeout,
    TooLarge,
}

impl Wording {
    const ALL: [Self; 8] = [
        Self::Infura,
        Self::Alchemy,
        Self::QuickNode,
        Self::Ankr,
        Self::Geth,
        Self::Plain,
        Self::Timeout,
        Self::TooLarge,
    ];
}

impl Limits {
    /// Some provider's limits.
    pub fn any(rng: &mut Rng) -> Self {
        Self {
            blocks: rng.bool().then(|| rng.u64(1..120)),
            // One block's logs always go through, or nobody could read them.
            logs: rng.bool().then(|| rng.usize(1..60)),
            wording: *rng.choice(&Wording::ALL).unwrap(),
        }
    }

    /// Refuses a range that is too wide or holds too many logs.
    pub fn check(&self, from: u64, to: u64, logs: &[Log]) -> Result<(), Refusal> {
        let blocks = to.saturating_sub(from) + 1;
        let too_wide = self.blocks.is_some_and(|most| blocks > most);
        let too_full = blocks > 1 && self.logs.is_some_and(|most| logs.len() > most);
        if !too_wide && !too_full {
            return Ok(());
        }
        let good = self.blocks.unwrap_or(blocks / 2).clamp(1, blocks);
        Err(self.worded(from, good))
    }

    fn worded(&self, from: u64, blocks: u64) -> Refusal {
        let to = from + blocks - 1;
        match self.wording {
            Wording::Infura => refusal(
                -32005,
                &format!(
                    "query returned more than 10000 results. Try with this block range [{from:#x}, {to:#x}]."
                ),
            ),
            Wording::Alchemy => refusal(
                -32602,
                &format!(
                    "Log response size exceeded. You can make eth_getLogs requests with up to a {blocks} block range and \
                     no limit on the response size, or you can request any block range with a cap of 10K logs in the \
                     response. Based on your parameters and the response size limit, this block range should work: \
                     [{from:#x}, {to:#x}]"
                ),
            ),
            Wording::QuickNode => refusal(
                -32614,
                &format!("eth_getLogs is limited to a {blocks} range"),
            ),
            Wording::Ankr => refusal(-32000, "block range is too wide"),
            Wording::Geth => refusal(-32000, &format!("exceed maximum block range: {blocks}")),
            Wording::Plain => refusal(-32602, &format!("query exceeds max block range {blocks}")),
            Wording::Timeout => refusal(-32000, "query timeout exceeded"),
            Wording::TooLarge => refusal(-32008, "backend response too large"),
        }
    }
}
