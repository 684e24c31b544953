//! What happens, step by step, out of a seed. Pure.

use fastrand::Rng;
use x402_tests::scripted::{
    chain::Fate, fuse::Moment, gate::Trouble, limits::Limits, replica::Replica, weather::Weather,
};

/// Every so manieth seed has a ClickHouse of its own, which can be killed.
const OWN_CLICKHOUSE: u64 = 12;

/// The deepest reorg.
const DEEPEST: u64 = 64;

/// A whole play.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) seed: u64,
    pub(super) setup: Setup,
    pub(super) steps: Vec<Step>,
    /// Whether the chain grows once more at the end.
    pub(super) last_block: bool,
}

/// How it begins.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) replicas: Vec<Replica>,
    /// Whether the indexer is given one endpoint before all replicas, or one for each.
    pub(super) balanced: bool,
    pub(super) verify_receipts: bool,
    pub(super) says_finalized: bool,
    pub(super) blocks: u64,
    /// Newest blocks that are not final.
    pub(super) unfinal: u64,
    pub(super) from_block: u64,
    pub(super) max_range: u64,
    pub(super) max_reply_bytes: u64,
    pub(super) fetch_concurrency: u64,
    pub(super) own_clickhouse: bool,
}

/// Something happens, sooner or later after what happened before.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) after: After,
    pub(super) event: Event,
}

/// When a step begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum After {
    /// The indexer has asked so many more times: it is in the middle of something.
    Requests(u64),
    /// The index has reached the chain's head.
    Arrival,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Chain(Turn),
    Weather(Weather),
    Trouble(Trouble),
    /// A replica stands still, so many blocks behind the head, and later goes on.
    LeaveBehind {
        replica: usize,
        lag: u64,
    },
    CatchUp,
    /// The indexer dies, and the chain goes on without it.
    Crash {
        moment: Moment,
        count: u32,
        meanwhile: Vec<Turn>,
    },
    /// The indexer is stopped in order, and the chain goes on without it.
    Stop {
        meanwhile: Vec<Turn>,
    },
    /// ClickHouse is killed and started again; only where it is this play's own.
    ClickHouseDies,
}

/// What the chain does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    Extend { blocks: u64 },
    Reorg { depth: u64, blocks: u64, fate: Fate },
    ComeBack { further: u64 },
    Finalize { keep: u64 },
}

impl Script {
    pub(super) fn from_seed(seed: u64) -> Self {
        // Neighbouring seeds are to have nothing in common.
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let setup = setup(seed, &mut rng);
        let count = rng.usize(8..16);
        let mut steps: Vec<Step> = (0..count).map(|_| step(&setup, &mut rng)).collect();
        if setup.replicas.len() > 1 && rng.u8(..3) == 0 {
            // One replica is still syncing, far below what is final.
            let far_behind = Event::LeaveBehind {
                replica: rng.usize(..setup.replicas.len()),
                lag: rng.u64(20..100),
            };
            steps.insert(0, Step::at_once(far_behind));
        }
        let last_block = rng.bool();
        Self {
            seed,
            setup,
            steps,
            last_block,
        }
    }
}

impl Step {
    const fn at_once(event: Event) -> Self {
        let after = After::Requests(0);
        Self { after, event }
    }
}

fn setup(seed: u64, rng: &mut Rng) -> Setup {
    let keeps_side_blocks = rng.bool();
    let count = if rng.bool() { 1 } else { 3 };
    let replicas = (0..count).map(|_| Replica {
        limits: Limits::any(rng),
        keeps_side_blocks,
        hides_ignorance: rng.u8(..4) == 0,
        ..Replica::default()
    });
    let mut replicas: Vec<Replica> = replicas.collect();
    let balanced = rng.bool();
    if count > 1 && !balanced && rng.u8(..3) == 0 {
        rng.choice(&mut replicas).unwrap().dead = true;
    }
    let blocks = rng.u64(10..160);
    let unfinal = if rng.bool() { 64 } else { rng.u64(4..100) }.min(blocks);
    let verify_receipts = rng.bool();
    // A block's receipts come in one piece, and a busy block's are long.
    let shortest = if verify_receipts { 1_000_000 } else { 65_536 };
    Setup {
        replicas,
        balanced,
        verify_receipts,
        says_finalized: rng.u8(..5) > 0,
        blocks,
        unfinal,
        from_block: rng.u64(..=(blocks - unfinal)),
        max_range: rng.u64(1..200),
        max_reply_bytes: *rng.choice(&[shortest, 1_000_000]).unwrap(),
        fetch_concurrency: rng.u64(1..5),
        own_clickhouse: seed % OWN_CLICKHOUSE == OWN_CLICKHOUSE - 1,
    }
}

fn step(setup: &Setup, rng: &mut Rng) -> Step {
    let event = match rng.u8(..100) {
        0..48 => Event::Chain(turn(rng)),
        48..60 => Event::Weather(weather(setup, rng)),
        60..68 => Event::Trouble(trouble(rng)),
        68..74 => Event::LeaveBehind {
            replica: rng.usize(..setup.replicas.len()),
            lag: if rng.u8(..4) == 0 {
                rng.u64(..100)
            } else {
                rng.u64(..6)
            },
        },
        74..78 => Event::CatchUp,
        78..93 => crash(rng),
        93..96 if setup.own_clickhouse => Event::ClickHouseDies,
        _ => Event::Stop {
            meanwhile: turns(rng),
        },
    };
    let after = if rng.bool() {
        After::Arrival
    } else {
        After::Requests(rng.u64(..30))
    };
    Step { after, event }
}

fn turns(rng: &mut Rng) -> Vec<Turn> {
    (0..rng.usize(..4)).map(|_| turn(rng)).collect()
}

fn turn(rng: &mut Rng) -> Turn {
    match rng.u8(..20) {
        0..8 => Turn::Extend {
            blocks: rng.u64(1..12),
        },
        8..15 => {
            let depth = if rng.u8(..4) == 0 {
                rng.u64(1..=DEEPEST)
            } else {
                rng.u64(1..8)
            };
            let blocks = match rng.u8(..8) {
                0 => rng.u64(..depth),
                1 => depth,
                _ => depth + rng.u64(1..4),
            };
            let fates = [Fate::Same, Fate::Moved, Fate::Moved, Fate::Gone];
            let fate = *rng.choice(&fates).unwrap();
            Turn::Reorg {
                depth,
                blocks,
                fate,
            }
        }
        15..18 => Turn::ComeBack {
            further: rng.u64(..4),
        },
        _ => Turn::Finalize {
            keep: *rng.choice(&[64, 64, 70, 90, 20, 3]).unwrap(),
        },
    }
}

fn weather(setup: &Setup, rng: &mut Rng) -> Weather {
    if rng.u8(..4) == 0 {
        Weather::storm(rng.u32(3..12))
    } else {
        Weather::mixed(rng, setup.verify_receipts)
    }
}

fn trouble(rng: &mut Rng) -> Trouble {
    Trouble {
        refuse: rng.u32(..4),
        cut: rng.u32(..2),
        lose: rng.u32(..3),
    }
}

fn crash(rng: &mut Rng) -> Event {
    let moments = [
        Moment::Request,
        Moment::BeforeInsert,
        Moment::AfterInsert,
        Moment::AfterInsert,
    ];
    let moment = *rng.choice(&moments).unwrap();
    Event::Crash {
        moment,
        count: rng.u32(1..if moment == Moment::Request { 40 } else { 9 }),
        meanwhile: turns(rng),
    }
}
