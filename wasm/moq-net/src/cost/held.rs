//! What one session makes this process hold, counted where it is held.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{peaks::Peak, traffic::Meter};
use crate::Runtime;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gauge {
    /// Bytes of frames that have not come whole.
    Assembly,
    /// Bytes of groups that wait to be sent. The cache is charged for them.
    Unsent,
    /// Announcements of the peer.
    Announcements,
    /// Announce streams of the peer.
    Interests,
    /// Subscriptions of the peer.
    Subscriptions,
    /// Streams of the peer that are read or served.
    Streams,
    /// Groups on their way to the peer.
    Sending,
}

impl Gauge {
    pub(crate) const COUNT: usize = 7;

    /// Bytes that one unit costs, about, besides what others are charged for.
    const fn cost(self) -> usize {
        match self {
            Self::Assembly => 1,
            Self::Unsent => 0,
            Self::Announcements => 2048,
            Self::Interests | Self::Subscriptions => 4096,
            Self::Streams => 2048,
            Self::Sending => 4096,
        }
    }

    const ALL: [Self; Self::COUNT] = [
        Self::Assembly,
        Self::Unsent,
        Self::Announcements,
        Self::Interests,
        Self::Subscriptions,
        Self::Streams,
        Self::Sending,
    ];
}

/// The counts of one session. They are part of those of the process.
pub(crate) struct Held {
    runtime: Runtime,
    counts: [AtomicUsize; Gauge::COUNT],
    /// What went to the peer.
    pub(crate) sent: Arc<Meter>,
    /// What came from it.
    pub(crate) received: Arc<Meter>,
}

impl Held {
    pub(crate) fn new(runtime: &Runtime) -> Arc<Self> {
        Arc::new(Self {
            runtime: runtime.clone(),
            counts: Default::default(),
            sent: Arc::default(),
            received: Arc::default(),
        })
    }

    fn both(&self, gauge: Gauge) -> [&AtomicUsize; 2] {
        let at = gauge as usize;
        [&self.counts[at], &self.runtime.gauges().held[at]]
    }

    pub(crate) fn add(&self, gauge: Gauge, count: usize) {
        for held in self.both(gauge) {
            held.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn remove(&self, gauge: Gauge, count: usize) {
        for held in self.both(gauge) {
            held.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// Takes note of how much there is now that is within bounds.
    pub(crate) fn mark(&self, gauge: Gauge) {
        if let Some(peak) = Peak::of(gauge) {
            self.runtime.mark(peak, self.get(gauge));
        }
    }

    /// Takes note of how long a queue of this session is now.
    pub(crate) fn mark_queue(&self, peak: Peak, held: usize) {
        self.runtime.mark(peak, held);
    }

    pub(crate) fn get(&self, gauge: Gauge) -> usize {
        self.counts[gauge as usize].load(Ordering::Relaxed)
    }

    /// Bytes of memory this session costs, about, besides the cache.
    pub(crate) fn bytes(&self) -> usize {
        Gauge::ALL
            .into_iter()
            .map(|gauge| self.get(gauge).saturating_mul(gauge.cost()))
            .fold(0, usize::saturating_add)
    }

    /// Counts one more for as long as it is kept.
    pub(crate) fn seat(self: &Arc<Self>, gauge: Gauge) -> Seat {
        self.add(gauge, 1);
        Seat {
            held: self.clone(),
            gauge,
            count: 1,
        }
    }
}

/// A share of a count.
pub(crate) struct Seat {
    held: Arc<Held>,
    gauge: Gauge,
    count: usize,
}

impl Seat {
    /// Changes how much it counts for.
    pub(crate) fn set(&mut self, count: usize) {
        if count >= self.count {
            self.held.add(self.gauge, count - self.count);
        } else {
            self.held.remove(self.gauge, self.count - count);
        }
        self.count = count;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.held.remove(self.gauge, self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, test_host::TestHost};

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_a_session_holds_counts_for_it_and_for_the_process() {
        let runtime = Runtime::new(TestHost::default(), Limits::default());
        let [one, other] = [(); 2].map(|()| Held::new(&runtime));
        let counts = || [one.get(Gauge::Streams), runtime.stats().served_streams];
        let mut seat = one.seat(Gauge::Streams);
        let neighbour = other.seat(Gauge::Streams);
        assert_eq!(counts(), [1, 2]);
        for count in [5, 2, 2, 0, 3] {
            seat.set(count);
            assert_eq!(counts(), [count, count + 1]);
        }
        drop(neighbour);
        assert_eq!(counts(), [3, 3]);
        drop(seat);
        assert_eq!(counts(), [0, 0]);
    }

    #[test]
    fn what_a_session_holds_has_its_price() {
        let runtime = Runtime::new(TestHost::default(), Limits::default());
        let price = |gauge, count| {
            let held = Held::new(&runtime);
            held.add(gauge, count);
            held.bytes()
        };
        assert_eq!(price(Gauge::Assembly, 1000), 1000);
        assert_eq!(price(Gauge::Unsent, 1000), 0, "the cache pays for it");
        assert_eq!(price(Gauge::Announcements, 10), 20 << 10);
        assert_eq!(price(Gauge::Interests, 10), 40 << 10);
        assert_eq!(price(Gauge::Subscriptions, 10), 40 << 10);
        assert_eq!(price(Gauge::Streams, 10), 20 << 10);
        assert_eq!(price(Gauge::Sending, 10), 40 << 10);
        let held = Held::new(&runtime);
        held.add(Gauge::Streams, 1);
        held.add(Gauge::Assembly, 7);
        assert_eq!(held.bytes(), 2055, "all of it together");
        held.add(Gauge::Streams, usize::MAX - 1);
        assert_eq!(held.bytes(), usize::MAX);
    }
}
