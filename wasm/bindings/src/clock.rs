//! The worker's monotonic clock.

use std::time::Duration;

/// Time since an epoch of the worker.
#[cfg(all(target_arch = "wasm32", not(feature = "fuzzing")))]
pub(crate) fn now() -> Duration {
    use wasm_bindgen::prelude::wasm_bindgen;

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = performance, js_name = now)]
        fn performance_now() -> f64;
    }
    duration(performance_now())
}

/// Time since the first call.
#[cfg(not(any(target_arch = "wasm32", feature = "fuzzing")))]
pub(crate) fn now() -> Duration {
    use std::{sync::OnceLock, time::Instant};

    static EPOCH: OnceLock<Instant> = OnceLock::new();
    EPOCH.get_or_init(Instant::now).elapsed()
}

#[cfg(feature = "fuzzing")]
pub(crate) use fuzzed::{now, set};

/// A clock that tells the same to the same input: it moves by a little with every look, and as it is told.
#[cfg(feature = "fuzzing")]
mod fuzzed {
    use std::{cell::Cell, time::Duration};

    /// Such that the budget of one poll runs out at times.
    const LOOK: Duration = Duration::from_micros(50);

    thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) fn now() -> Duration {
        NOW.set(NOW.get() + LOOK);
        NOW.get()
    }

    /// Sets this thread's clock.
    pub(crate) fn set(now: Duration) {
        NOW.set(now);
    }
}

/// Milliseconds as JavaScript counts them; what is no time at all is zero.
pub(crate) fn duration(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default()
}

/// A time as JavaScript counts it.
pub(crate) const fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_boundary() {
        assert_eq!(duration(1.5), Duration::from_micros(1500));
        assert_eq!(millis(duration(12_345.25)), 12_345.25);
        for nonsense in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(duration(nonsense), Duration::ZERO);
        }
    }
}
