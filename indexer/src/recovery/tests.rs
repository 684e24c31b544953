use alloy::primitives::B256;
use proptest::prelude::*;

use super::{
    model::{Death, Survives, World},
    *,
};

#[derive(Clone, Copy, Debug)]
enum Event {
    Mine(u8, u8),
    Reorg(u64, u8, u8),
    Merge,
    Run(Option<Death>),
}

prop_compose! {
    fn any_death()(publishes in 0_usize..4, transfers: bool, by_tx: bool, blocks: bool) -> Death {
        Death { publishes, survives: Survives { transfers, by_tx, blocks } }
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1_u8..6, any::<u8>()).prop_map(|(blocks, salt)| Event::Mine(blocks, salt)),
        (1_u64..9, 0_u8..9, any::<u8>())
            .prop_map(|(depth, blocks, salt)| Event::Reorg(depth, blocks, salt)),
        Just(Event::Merge),
        prop::option::weighted(0.8, any_death()).prop_map(Event::Run),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_dies_when_every_commit_shows_one_branch_of_the_chain(events in prop::collection::vec(any_event(), 0..40)) {
        let mut world = World::new();
        for event in events {
            match event {
                Event::Mine(blocks, salt) => world.mine(blocks, salt),
                Event::Reorg(depth, blocks, salt) => world.reorg(depth, blocks, salt),
                Event::Merge => world.tables.merge(),
                Event::Run(death) => {
                    world.run(death);
                }
            }
        }
        prop_assert!(world.run(None));
        prop_assert_eq!(B256::new(world.tables.commits.last().unwrap().tip_hash), world.head().hash);
    }
}

#[test]
fn leftovers_above_the_tip_take_nothing_away_that_was_committed() {
    let mut world = World::new();
    world.mine(3, 1);
    let dies_appending = Death {
        publishes: 0,
        survives: Survives {
            transfers: true,
            by_tx: false,
            blocks: true,
        },
    };
    assert!(!world.run(Some(dies_appending)));
    let leftovers = world.tables.leftovers().unwrap();
    let back = recover(&world.tables.window(), world.tables.seq(), leftovers).unwrap();
    assert_eq!(
        (back.ancestor.number, back.version),
        (100, world.tables.seq() + 2)
    );
}

#[test]
fn leftovers_below_the_window_are_not_ours() {
    let world = World::new();
    let leftovers = Leftovers {
        lowest_block: 40,
        highest_version: 9,
    };
    assert_eq!(recover(&world.tables.window(), 1, leftovers), None);
}
