//! Time as the model sees it: the host's clock, and media timestamps in units of a track's own choosing.

use std::{
    future::Future,
    num::NonZeroU64,
    ops::{Add, AddAssign, Sub},
    pin::Pin,
    time::Duration,
};

/// A future that resolves at a deadline, as [`Host::sleep_until`](crate::Host::sleep_until) returns it.
#[cfg(not(target_arch = "wasm32"))]
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that resolves at a deadline, as [`Host::sleep_until`](crate::Host::sleep_until) returns it.
#[cfg(target_arch = "wasm32")]
pub type Sleep = Pin<Box<dyn Future<Output = ()>>>;

/// A point on the host's monotonic clock: the time since an epoch only the host knows.
///
/// All arithmetic saturates, so no value a peer can send makes it panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The host's epoch.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The instant that lies `elapsed` after the host's epoch.
    pub const fn from_epoch(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time between the host's epoch and this instant.
    pub const fn since_epoch(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this instant; zero when `earlier` is not earlier.
    pub const fn duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, delay: Duration) {
        *self = *self + delay;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, delay: Duration) -> Self {
        Self(self.0.saturating_sub(delay))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}

/// How many timestamp units make one second. Never zero: "no timescale" is `Option<Timescale>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timescale(NonZeroU64);

impl Timescale {
    /// Seconds.
    pub const SECOND: Self = Self(NonZeroU64::MIN);
    /// Milliseconds.
    pub const MILLI: Self = Self(NonZeroU64::new(1_000).expect("not zero"));
    /// Microseconds.
    pub const MICRO: Self = Self(NonZeroU64::new(1_000_000).expect("not zero"));
    /// Nanoseconds.
    pub const NANO: Self = Self(NonZeroU64::new(1_000_000_000).expect("not zero"));

    /// `units` per second, or `None` for zero.
    pub const fn new(units: u64) -> Option<Self> {
        match NonZeroU64::new(units) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// Units per second.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// A media time: `value` units of `scale`, counted from the start of the track.
///
/// Equality is of the representation: 1 s in seconds differs from 1 s in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    /// Units since the start of the track.
    pub value: u64,
    /// Units per second.
    pub scale: Timescale,
}

impl Timestamp {
    /// `value` units of `scale`.
    pub const fn new(value: u64, scale: Timescale) -> Self {
        Self { value, scale }
    }

    /// `value` milliseconds.
    pub const fn from_millis(value: u64) -> Self {
        Self::new(value, Timescale::MILLI)
    }

    /// `value` microseconds.
    pub const fn from_micros(value: u64) -> Self {
        Self::new(value, Timescale::MICRO)
    }

    /// The same time in another scale, rounded to the nearest unit (a half rounds up).
    ///
    /// `None` when the result does not fit in 64 bits.
    pub fn convert(self, scale: Timescale) -> Option<Self> {
        if self.scale == scale {
            return Some(self);
        }
        let from = u128::from(self.scale.get());
        let units = (u128::from(self.value) * u128::from(scale.get()) + from / 2) / from;
        Some(Self::new(u64::try_from(units).ok()?, scale))
    }

    /// The time since the start of the track, cut to whole nanoseconds.
    pub fn as_duration(self) -> Duration {
        let scale = self.scale.get();
        let rest = u128::from(self.value % scale) * 1_000_000_000 / u128::from(scale);
        // The remainder is below one second, so it fits.
        Duration::new(
            self.value / scale,
            u32::try_from(rest).unwrap_or(999_999_999),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn conversion_rounds_to_the_nearest_unit() {
        let scale = Timescale::new(90_000).unwrap();
        assert_eq!(
            Timestamp::from_millis(33).convert(scale).unwrap().value,
            2970
        );
        assert_eq!(
            Timestamp::new(2999, scale)
                .convert(Timescale::MILLI)
                .unwrap()
                .value,
            33
        );
        assert_eq!(
            Timestamp::new(3015, scale)
                .convert(Timescale::MILLI)
                .unwrap()
                .value,
            34
        );
        assert_eq!(
            Timestamp::new(45, scale)
                .convert(Timescale::MILLI)
                .unwrap()
                .value,
            1
        );
    }

    #[test]
    fn conversion_out_of_range_is_reported() {
        assert_eq!(
            Timestamp::new(u64::MAX, Timescale::SECOND).convert(Timescale::MILLI),
            None
        );
        let same = Timestamp::new(u64::MAX, Timescale::SECOND);
        assert_eq!(same.convert(Timescale::SECOND), Some(same));
    }

    #[test]
    fn durations_hold_any_timestamp() {
        let largest = Timestamp::new(u64::MAX, Timescale::SECOND).as_duration();
        assert_eq!(largest, Duration::from_secs(u64::MAX));
        assert_eq!(
            Timestamp::from_micros(1_500_001).as_duration(),
            Duration::from_micros(1_500_001)
        );
        let odd = Timescale::new(u64::MAX).unwrap();
        assert!(Timestamp::new(u64::MAX - 1, odd).as_duration() < Duration::from_secs(1));
    }

    #[test]
    fn instants_saturate() {
        let late = Instant::from_epoch(Duration::MAX);
        assert_eq!(late + Duration::from_secs(1), late);
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(Instant::ZERO - late, Duration::ZERO);
    }
}
