//! Seeded entropy, as a program sees it that links the library: std, `rand` and `getrandom` repeat on a seeded thread.

use std::collections::HashSet;

use model::Seed;
use rand::Rng as _;
use sentinel_lab_testbed::Entropy;

/// What a thread draws, from the sources that clients use.
#[derive(Debug, PartialEq)]
struct Draws {
    set_order: Vec<u32>,
    thread_rng: [u64; 4],
    system: [u8; 32],
    fastrand: u64,
}

fn draws() -> Draws {
    let set: HashSet<u32> = (0..100).collect();
    let mut rng = rand::rng();
    let mut system = [0; 32];
    getrandom::fill(&mut system).unwrap();
    Draws {
        set_order: set.into_iter().collect(),
        thread_rng: std::array::from_fn(|_| rng.next_u64()),
        system,
        fastrand: fastrand::u64(..),
    }
}

fn on_a_fresh_thread(seed: Option<u64>) -> Draws {
    std::thread::spawn(move || {
        let _guard = seed.map(|seed| Entropy::seed_thread(Seed(seed)));
        draws()
    })
    .join()
    .unwrap()
}

#[test]
fn the_same_seed_gives_the_same_draws() {
    assert_eq!(on_a_fresh_thread(Some(7)), on_a_fresh_thread(Some(7)));
}

#[test]
fn everything_differs_between_two_seeds_and_without_one() {
    for (a, b) in [(Some(1), Some(2)), (Some(1), None), (None, None)] {
        let (left, right) = (on_a_fresh_thread(a), on_a_fresh_thread(b));
        assert_ne!(left.set_order, right.set_order, "{a:?} {b:?}");
        assert_ne!(left.thread_rng, right.thread_rng, "{a:?} {b:?}");
        assert_ne!(left.system, right.system, "{a:?} {b:?}");
    }
}

#[test]
fn dropping_the_guard_ends_it() {
    let after_the_guard = || {
        std::thread::spawn(|| {
            drop(Entropy::seed_thread(Seed(7)));
            draws()
        })
        .join()
        .unwrap()
    };
    assert_ne!(after_the_guard().system, after_the_guard().system);
}
