//! The worker's monotonic clock.

use std::time::Duration;

/// Time since an epoch of the worker.
#[cfg(target_arch = "wasm32")]
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
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn now() -> Duration {
    use std::{sync::OnceLock, time::Instant};

    static EPOCH: OnceLock<Instant> = OnceLock::new();
    EPOCH.get_or_init(Instant::now).elapsed()
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
