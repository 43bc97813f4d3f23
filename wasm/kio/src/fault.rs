//! Faults on purpose, for simulations: a core that yields where it may, or that is broken in one known way.
//!
//! Only with the feature `faults`; without it every question is answered with a constant `false` and leaves no code behind.
//! The setting is the thread's: a simulation runs on one.

#[cfg(feature = "faults")]
mod setting {
    use std::cell::Cell;

    thread_local! {
        static MUTANT: Cell<Option<&'static str>> = const { Cell::new(None) };
        static DELAYS: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// Breaks this thread's core in the way called `mutant`, and lets it dawdle as `delays` decides.
    pub fn configure(mutant: Option<&'static str>, delays: Option<u64>) {
        MUTANT.set(mutant);
        DELAYS.set(delays);
    }

    /// Whether the core is broken in the way called `name`.
    #[must_use]
    pub fn mutant(name: &str) -> bool {
        MUTANT.get() == Some(name)
    }

    /// Whether to dawdle here, in one of `of` cases.
    #[must_use]
    pub fn delay(of: u64) -> bool {
        let Some(state) = DELAYS.get() else {
            return false;
        };
        // An odd step visits every state; the upper half of the product is well mixed.
        let next = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        DELAYS.set(Some(next));
        let mixed = (next ^ (next >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
        mixed % of == 0
    }
}

#[cfg(not(feature = "faults"))]
mod setting {
    /// No: this build cannot be broken.
    #[must_use]
    #[inline(always)]
    pub const fn mutant(_name: &str) -> bool {
        false
    }

    /// No: this build does not dawdle.
    #[must_use]
    #[inline(always)]
    pub const fn delay(_of: u64) -> bool {
        false
    }
}

pub use setting::*;
