//! One seed, one run: the same on every target.

use moq_worker_sim::{
    plan::Plan,
    run::{Extra, run},
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Fingerprints from another target, as `seed:hash,…`: `npm test` passes those of the native build to that for wasm32.
const ELSEWHERE: Option<&str> = option_env!("MOQ_SIM_HASHES");

fn hash(seed: u64) -> u64 {
    run(Plan::new(seed), Extra::default()).hash
}

#[test]
fn a_seed_gives_the_same_events_twice() {
    for seed in 0..12 {
        assert_eq!(hash(seed), hash(seed), "seed {seed}");
    }
}

#[test]
fn different_seeds_give_different_events() {
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_seed_gives_the_same_events_elsewhere() {
    for line in ELSEWHERE
        .unwrap_or_default()
        .split(',')
        .filter(|line| !line.is_empty())
    {
        let (seed, expected) = line.split_once(':').expect("seed:hash");
        let seed = seed.parse().expect("a seed");
        assert_eq!(format!("{:016x}", hash(seed)), expected, "seed {seed}");
    }
}
