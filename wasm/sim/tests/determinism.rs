//! One seed, one run: the same on every target.

use moq_worker_sim::{
    plan::Plan,
    run::{Extra, run},
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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

/// Fingerprints of the native build, as `seed:hash,…`: `npm test -- sim` builds this for wasm32 with them.
#[cfg(target_arch = "wasm32")]
const ELSEWHERE: Option<&str> = option_env!("MOQ_SIM_HASHES");

/// What is wrong with a fingerprint from elsewhere.
#[cfg(target_arch = "wasm32")]
fn difference(line: &str) -> Option<String> {
    let (seed, expected) = line.split_once(':').expect("seed:hash");
    let own = format!("{:016x}", hash(seed.parse().expect("a seed")));
    (own != expected).then(|| format!("seed {seed} is {own} here and {expected} there"))
}

#[cfg(target_arch = "wasm32")]
#[test]
fn a_seed_gives_the_same_events_elsewhere() {
    let lines = ELSEWHERE.expect("MOQ_SIM_HASHES holds what to compare with: npm test -- sim");
    let lines: Vec<&str> = lines.split(',').collect();
    assert!(lines.len() >= 8, "only {} seeds to compare", lines.len());
    let differences: Vec<_> = lines.iter().filter_map(|line| difference(line)).collect();
    assert_eq!(differences, Vec::<String>::new());
    // Of a single wrong digit it must not be silent.
    let (head, last) = lines[0].split_at(lines[0].len() - 1);
    let wrong = if last == "0" { "1" } else { "0" };
    assert!(difference(&format!("{head}{wrong}")).is_some());
}
