//! How a request can go wrong, and for how long: bad weather always ends, so that a correct indexer must arrive.

use fastrand::Rng;

/// One way in which a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The body ends before its announced length, and the connection with it.
    Truncated,
    /// A whole reply whose JSON is cut off.
    BrokenJson,
    /// A proxy's error page.
    ErrorPage,
    /// HTTP 429, with a time to wait or without.
    TooManyRequests {
        /// Whether the time to wait is said.
        retry_after: bool,
    },
    /// HTTP 503.
    Unavailable,
    /// The connection is reset before a reply.
    Reset,
    /// No reply for a while, then the connection ends.
    Hang,
    /// A reply that takes its time.
    Slow,
    /// A JSON-RPC error that asks for patience.
    RateLimited,
    /// A JSON-RPC error of the node's own making.
    InternalError,
    /// `null` where there is something.
    Null,
    /// `[]` where there are logs, as a replica says that has not yet seen the block.
    EmptyLogs,
    /// A log twice.
    RepeatedLog,
    /// Two logs with one index.
    RepeatedIndex,
    /// A log that says it is of another block.
    LogOfOtherBlock,
    /// A log of another contract.
    LogOfOtherContract,
    /// Logs in another order.
    Disorder,
    /// A log that says a reorg removed it.
    RemovedLog,
    /// A log without its block.
    PendingLog,
    /// Another block than asked for.
    OtherBlock,
    /// A finalized block lower than before.
    FinalizedGoesBack,
    /// A transaction of another block, or of none.
    TransactionElsewhere,
    /// A log is missing among others.
    HiddenLog,
    /// A log with another content.
    AlteredLog,
    /// A log that nobody wrote.
    InventedLog,
    /// A bloom that denies every log.
    EmptyBloom,
    /// Receipts without one of their logs.
    ForgedReceipt,
}

impl Fault {
    /// Those that anyone can see through.
    pub const PLAIN: [Self; 23] = [
        Self::Truncated,
        Self::BrokenJson,
        Self::ErrorPage,
        Self::TooManyRequests { retry_after: false },
        Self::TooManyRequests { retry_after: true },
        Self::Unavailable,
        Self::Reset,
        Self::Hang,
        Self::Slow,
        Self::RateLimited,
        Self::InternalError,
        Self::Null,
        Self::EmptyLogs,
        Self::RepeatedLog,
        Self::RepeatedIndex,
        Self::LogOfOtherBlock,
        Self::LogOfOtherContract,
        Self::Disorder,
        Self::RemovedLog,
        Self::PendingLog,
        Self::OtherBlock,
        Self::FinalizedGoesBack,
        Self::TransactionElsewhere,
    ];

    /// Those that only the receipts' root and the header's hash show.
    pub const FORGERIES: [Self; 5] = [
        Self::HiddenLog,
        Self::AlteredLog,
        Self::InventedLog,
        Self::EmptyBloom,
        Self::ForgedReceipt,
    ];
}

/// What requests meet for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Of a thousand requests, how many go wrong.
    pub per_mille: u32,
    /// How many more go wrong at most.
    pub left: u32,
    /// In which ways.
    pub faults: Vec<Fault>,
}

impl Weather {
    /// Nothing goes wrong.
    pub fn fair() -> Self {
        Self::default()
    }

    /// A storm of refusals: nearly nothing comes through.
    pub fn storm(requests: u32) -> Self {
        Self {
            per_mille: 950,
            left: requests,
            faults: vec![Fault::TooManyRequests { retry_after: false }],
        }
    }

    /// Several kinds of fault now and then; forgeries only for those who check receipts.
    pub fn mixed(rng: &mut Rng, forgeries: bool) -> Self {
        let kinds = rng.usize(1..5);
        let mut faults = rng.choose_multiple(Fault::PLAIN, kinds);
        if forgeries {
            faults.extend(rng.choose_multiple(Fault::FORGERIES, 2));
        }
        Self {
            per_mille: rng.u32(50..500),
            left: rng.u32(2..9),
            faults,
        }
    }

    /// What goes wrong with the next request, if anything. It counts once [`Self::struck`] says so.
    pub fn next(&self, rng: &mut Rng) -> Option<Fault> {
        if self.left == 0 || rng.u32(..1_000) >= self.per_mille {
            return None;
        }
        rng.choice(&self.faults).copied()
    }

    /// A fault did occur.
    pub const fn struck(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}
