//! Groups: the frames behind one sequence number of a track.

mod consumer;
mod producer;
mod state;

pub(crate) use consumer::Freshness;
pub use consumer::GroupConsumer;
pub use producer::GroupProducer;
pub(crate) use state::{New, Shared, Stamp};

/// What names a group inside its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// The position in the track; any order, each at most once.
    pub sequence: u64,
}

impl From<u64> for Group {
    fn from(sequence: u64) -> Self {
        Self { sequence }
    }
}

/// Wishes of a fetch; see [`TrackConsumer::fetch_group`](crate::TrackConsumer::fetch_group).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// Higher is served first. Default 0.
    pub priority: u8,
    /// Index of the first frame that is wanted. Default 0, the whole group.
    pub frame_start: u64,
}

impl Fetch {
    /// Sets the priority.
    pub const fn with_priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the index of the first frame.
    pub const fn with_frame_start(mut self, frame: u64) -> Self {
        self.frame_start = frame;
        self
    }
}
