//! Live counts of everything the model hands out, so that a leak shows as a number.

use std::{
    fmt,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

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
    /// Bytes of all cached groups, with a fixed charge for each group and frame.
    pub cached_bytes: usize,
    /// Groups given up so far because the cache of the process was full.
    pub evicted_groups: u64,
    /// Datagrams dropped so far because they were too old or too many.
    pub dropped_datagrams: u64,
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
    dropped_datagrams: AtomicU64,
    pub(crate) rescaled_tracks: AtomicU64,
}

impl Gauges {
    pub(crate) fn add_dropped_datagrams(&self, count: usize) {
        self.dropped_datagrams
            .fetch_add(count as u64, Ordering::Relaxed);
    }

    /// The counts; the cache's own figures are left for the pool to fill in.
    pub(crate) fn stats(&self) -> Stats {
        let live = |kind: Kind| self.live[kind as usize].load(Ordering::Relaxed);
        Stats {
            origins: live(Kind::Origin),
            broadcasts: live(Kind::Broadcast),
            tracks: live(Kind::Track),
            groups: live(Kind::Group),
            frames: live(Kind::Frame),
            producers: live(Kind::Producer),
            consumers: live(Kind::Consumer),
            subscriptions: live(Kind::Subscription),
            dropped_datagrams: self.dropped_datagrams.load(Ordering::Relaxed),
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

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}
