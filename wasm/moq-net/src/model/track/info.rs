//! The properties a publisher gives a track.

use std::time::Duration;

use crate::Timescale;

/// The properties of a track, fixed when its publisher confirms it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackInfo {
    /// A hint that payloads compress well. Only `moq-lite-05-wip` can say it on the wire.
    pub compress: bool,
    /// Units per second of the timestamps of its frames; `None` for an untimed track. Default `None`.
    pub timescale: Option<Timescale>,
    /// How long groups that are not the newest are kept, from their arrival. It bounds the `max_latency` of subscribers. Default 5 s.
    pub cache: Duration,
    /// Tie-break among tracks of one publisher, higher first. Default 127, as published peers send.
    pub priority: u8,
    /// Tie-break: older groups first. Default false, the newest first. Not on the wire from moq-lite-06 on.
    pub ordered: bool,
}

impl TrackInfo {
    /// Sets the compression hint.
    pub const fn with_compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// Sets the units per second of timestamps.
    pub fn with_timescale(mut self, timescale: impl Into<Option<Timescale>>) -> Self {
        self.timescale = timescale.into();
        self
    }

    /// Sets how long groups are kept.
    pub const fn with_cache(mut self, cache: Duration) -> Self {
        self.cache = cache;
        self
    }

    /// Sets the priority.
    pub const fn with_priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the order.
    pub const fn with_ordered(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }
}

impl Default for TrackInfo {
    fn default() -> Self {
        Self {
            compress: false,
            timescale: None,
            cache: Duration::from_secs(5),
            priority: 127,
            ordered: false,
        }
    }
}
