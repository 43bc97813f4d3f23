//! Seeds that once found something.

use moq_worker_sim::{
    plan::Plan,
    run::{Extra, run},
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn what_was_found_once_stays_fixed() {
    let lines = include_str!("../regressions/seeds.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let (seed, cause) = line.split_once(' ').expect("a seed and its cause");
        let seed = seed.parse().expect("a number");
        let outcome = run(Plan::new(seed), Extra::default());
        assert_eq!(outcome.violation, None, "seed {seed}: {cause}");
    }
}
