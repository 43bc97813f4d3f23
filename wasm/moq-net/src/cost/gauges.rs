//! Live counts of everything the model hands out, so that a leak shows as a number.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::held::Gauge;
use crate::Runtime;

/// What exists right now in one runtime. Every count returns to its start when the handles are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Origins with any handle left.
    pub origins: usize,
    /// Broadcasts with any handle left.
    pub broadcasts: usize,
    /// Tracks with any handle left.
    pub tracks: usize,
    /// Groups that are cached or held by a handle.
    pub groups: usize,
    /// Frames written in pieces that are cached or held by a handle. Frames written whole are not counted.
    pub frames: usize,
    /// Objects that still have a writer or handler: origins, broadcasts, tracks, groups and frames in pieces.
    pub producers: usize,
    /// Reading handles of broadcasts, tracks, groups and announcements.
    pub consumers: usize,
    /// Subscriptions of tracks, confirmed or not.
    pub subscriptions: usize,
    /// Announcements of peers.
    pub announcements: usize,
    /// Announce streams of peers.
    pub interests: usize,
    /// Subscriptions of peers, being served.
    pub served_subscriptions: usize,
    /// Streams of peers, being read or served.
    pub served_streams: usize,
    /// Groups on their way to peers.
    pub served_groups: usize,
    /// Fetches under way upstream.
    pub upstream_fetches: usize,
    /// Bytes of frames that have not come whole.
    pub assembly_bytes: usize,
    /// Bytes of groups that wait for slow peers.
    pub unsent_bytes: usize,
    /// Bytes of all cached groups, with a fixed charge for each group and frame.
    pub cached_bytes: usize,
    /// Groups given up so far because the cache of the process was full.
    pub evicted_groups: u64,
    /// Datagrams dropped so far because they were too old or too many.
    pub dropped_datagrams: u64,
    /// Datagrams refused so far because they were malformed or of no subscription.
    pub refused_datagrams: u64,
    /// Streams of peers that ended so far before their first byte, which means nothing.
    pub empty_streams: u64,
    /// Tracks that have been given timestamps in another scale than their own (once per track).
    pub rescaled_tracks: u64,
}

/// What a [`Live`] token counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Origin,
    Broadcast,
    Track,
    Group,
    Frame,
    Producer,
    Consumer,
    Subscription,
}

#[derive(Default)]
pub(crate) struct Gauges {
    live: [AtomicUsize; 8],
    /// What sessions hold.
    pub(crate) held: [AtomicUsize; Gauge::COUNT],
    dropped_datagrams: AtomicU64,
    pub(crate) refused_datagrams: AtomicU64,
    pub(crate) empty_streams: AtomicU64,
    pub(crate) rescaled_tracks: AtomicU64,
}

impl Gauges {
    pub(crate) fn add_dropped_datagrams(&self, count: usize) {
        self.dropped_datagrams
            .fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What all sessions hold together.
    pub(crate) fn held(&self, gauge: Gauge) -> usize {
        self.held[gauge as usize].load(Ordering::Relaxed)
    }

    /// The counts; the cache's own figures are left for the pool to fill in.
    pub(crate) fn stats(&self) -> Stats {
        let live = |kind: Kind| self.live[kind as usize].load(Ordering::Relaxed);
        let held = |gauge| self.held(gauge);
        Stats {
            announcements: held(Gauge::Announcements),
            interests: held(Gauge::Interests),
            served_subscriptions: held(Gauge::Subscriptions),
            served_streams: held(Gauge::Streams),
            served_groups: held(Gauge::Sending),
            assembly_bytes: held(Gauge::Assembly),
            unsent_bytes: held(Gauge::Unsent),
            origins: live(Kind::Origin),
            broadcasts: live(Kind::Broadcast),
            tracks: live(Kind::Track),
            groups: live(Kind::Group),
            frames: live(Kind::Frame),
            producers: live(Kind::Producer),
            consumers: live(Kind::Consumer),
            subscriptions: live(Kind::Subscription),
            dropped_datagrams: self.dropped_datagrams.load(Ordering::Relaxed),
            refused_datagrams: self.refused_datagrams.load(Ordering::Relaxed),
            empty_streams: self.empty_streams.load(Ordering::Relaxed),
            rescaled_tracks: self.rescaled_tracks.load(Ordering::Relaxed),
            ..Stats::default()
        }
    }
}

/// Counts its owner for as long as it lives.
pub(crate) struct Live {
    runtime: Runtime,
    kind: Kind,
}

impl Live {
    pub(crate) fn new(runtime: &Runtime, kind: Kind) -> Self {
        runtime.gauges().live[kind as usize].fetch_add(1, Ordering::Relaxed);
        Self {
            runtime: runtime.clone(),
            kind,
        }
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Clone for Live {
    fn clone(&self) -> Self {
        Self::new(&self.runtime, self.kind)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.runtime.gauges().live[self.kind as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::held::Held;
    use crate::{Limits, test_host::TestHost};

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_count_has_a_figure_of_its_own() {
        let runtime = Runtime::new(TestHost::default(), Limits::default());
        let held = Held::new(&runtime);
        held.add(Gauge::Announcements, 1);
        held.add(Gauge::Interests, 2);
        held.add(Gauge::Subscriptions, 3);
        held.add(Gauge::Streams, 4);
        held.add(Gauge::Sending, 5);
        held.add(Gauge::Assembly, 6);
        held.add(Gauge::Unsent, 7);
        let gauges = runtime.gauges();
        gauges.add_dropped_datagrams(8);
        gauges.refused_datagrams.store(9, Ordering::Relaxed);
        gauges.empty_streams.store(10, Ordering::Relaxed);
        gauges.rescaled_tracks.store(11, Ordering::Relaxed);
        let sessions = Stats {
            announcements: 1,
            interests: 2,
            served_subscriptions: 3,
            served_streams: 4,
            served_groups: 5,
            assembly_bytes: 6,
            unsent_bytes: 7,
            dropped_datagrams: 8,
            refused_datagrams: 9,
            empty_streams: 10,
            rescaled_tracks: 11,
            ..Stats::default()
        };
        assert_eq!(runtime.stats(), sessions);
        let live =
            |kind, count| -> Vec<Live> { (0..count).map(|_| Live::new(&runtime, kind)).collect() };
        let _handles = [
            live(Kind::Origin, 1),
            live(Kind::Broadcast, 2),
            live(Kind::Track, 3),
            live(Kind::Frame, 4),
            live(Kind::Producer, 5),
            live(Kind::Consumer, 6),
            live(Kind::Subscription, 7),
        ];
        let all = Stats {
            origins: 1,
            broadcasts: 2,
            tracks: 3,
            frames: 4,
            producers: 5,
            consumers: 6,
            subscriptions: 7,
            ..sessions
        };
        assert_eq!(runtime.stats(), all);
    }
}
