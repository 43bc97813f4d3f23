//! A simulation that cannot fail proves nothing: the core, broken in one way at a time, is found out.

#![cfg(not(target_arch = "wasm32"))]

use moq_worker_sim::{
    plan::Plan,
    run::{Extra, MUTANTS, run},
};

/// Seeds within which every fault has to show.
const SEEDS: u64 = 500;

/// The first seed that finds `mutant` out.
fn found(mutant: &'static str) -> Option<u64> {
    let extra = Extra {
        mutant: Some(mutant),
        ..Extra::default()
    };
    (0..SEEDS).find(|seed| run(Plan::new(*seed), extra).violation.is_some())
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow unless optimised: npm test -- sim")]
fn every_broken_core_is_found_out() {
    let missed: Vec<_> = MUTANTS
        .into_iter()
        .filter(|mutant| {
            let seed = found(mutant);
            println!("{mutant}: {seed:?}");
            seed.is_none()
        })
        .collect();
    assert!(
        missed.is_empty(),
        "not noticed within {SEEDS} seeds: {missed:?}"
    );
}

#[test]
fn the_core_as_it_is_passes_the_same_seeds() {
    for seed in 0..20 {
        assert_eq!(
            run(Plan::new(seed), Extra::default()).violation,
            None,
            "seed {seed}"
        );
    }
}
