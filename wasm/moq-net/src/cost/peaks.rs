//! How long queues have been, at their longest: a bound that is never reached proves nothing, one that is passed is a fault.
//!
//! Only with the feature `faults`, for simulations; without it marks are made of nothing and leave no code behind.

use super::held::Gauge;

pub(crate) use high::Marks;
#[cfg(feature = "faults")]
pub use high::Peaks;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peak {
    GroupBytes,
    GroupFrames,
    Assembly,
    Unsent,
    Groups,
    Announcements,
    Interests,
    Subscriptions,
    UnseenPaths,
    BroadcastRequests,
    TrackRequests,
    GroupRequests,
    Fetches,
    TotalFetches,
    Datagrams,
}

impl Peak {
    /// What a session holds of one kind, if that is bounded for one session.
    pub(crate) const fn of(gauge: Gauge) -> Option<Self> {
        Some(match gauge {
            Gauge::Assembly => Self::Assembly,
            Gauge::Unsent => Self::Unsent,
            Gauge::Announcements => Self::Announcements,
            Gauge::Interests => Self::Interests,
            Gauge::Subscriptions => Self::Subscriptions,
            Gauge::Streams | Gauge::Sending => return None,
        })
    }
}

#[cfg(feature = "faults")]
mod high {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Peak;

    /// The most that any single queue of each kind has held so far in one runtime, after whatever its bound made give way. The bound
    /// is the field of [`Limits`](crate::Limits) of the same name, where nothing else is said.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Peaks {
        /// Bytes of one group. A single frame may be larger than the bound of groups: that of frames counts then.
        pub group_bytes: usize,
        /// Frames of one group.
        pub group_frames: usize,
        /// Bytes of frames that had not come whole, in one session: `max_frame` more than `assembly_bytes`.
        pub assembly_bytes: usize,
        /// Bytes of groups that waited to be sent to one session. A single group may be larger.
        pub viewer_bytes: usize,
        /// Groups on their way to one session (`viewer_groups`, or `peer_viewer_groups`).
        pub viewer_groups: usize,
        /// Announcements of one session (`announces`, or `peer_announces`).
        pub announces: usize,
        /// Announce streams of one session.
        pub interests: usize,
        /// Subscriptions of one session (or `peer_subscriptions`).
        pub subscriptions: usize,
        /// Paths with news that one reader of announcements had not taken: at most the paths there are.
        pub unseen_paths: usize,
        /// Requests that waited in one origin.
        pub broadcast_requests: usize,
        /// Requests that waited in one broadcast.
        pub track_requests: usize,
        /// Requests that waited in one track.
        pub group_requests: usize,
        /// Fetches of one track under way upstream.
        pub fetches: usize,
        /// Fetches of all tracks under way upstream.
        pub total_fetches: usize,
        /// Datagrams that one reader had not taken.
        pub datagrams: usize,
    }

    /// The highest marks.
    #[derive(Default)]
    pub(crate) struct Marks([AtomicUsize; Peak::Datagrams as usize + 1]);

    impl Marks {
        /// Somewhere there are `held` of these now.
        pub(crate) fn note(&self, peak: Peak, held: usize) {
            let mark = &self.0[peak as usize];
            // Mostly nothing is to be written, which others would have to read again.
            if held > mark.load(Ordering::Relaxed) {
                mark.fetch_max(held, Ordering::Relaxed);
            }
        }

        pub(crate) fn peaks(&self) -> Peaks {
            let mark = |peak: Peak| self.0[peak as usize].load(Ordering::Relaxed);
            Peaks {
                group_bytes: mark(Peak::GroupBytes),
                group_frames: mark(Peak::GroupFrames),
                assembly_bytes: mark(Peak::Assembly),
                viewer_bytes: mark(Peak::Unsent),
                viewer_groups: mark(Peak::Groups),
                announces: mark(Peak::Announcements),
                interests: mark(Peak::Interests),
                subscriptions: mark(Peak::Subscriptions),
                unseen_paths: mark(Peak::UnseenPaths),
                broadcast_requests: mark(Peak::BroadcastRequests),
                track_requests: mark(Peak::TrackRequests),
                group_requests: mark(Peak::GroupRequests),
                fetches: mark(Peak::Fetches),
                total_fetches: mark(Peak::TotalFetches),
                datagrams: mark(Peak::Datagrams),
            }
        }
    }
}

#[cfg(not(feature = "faults"))]
mod high {
    use super::Peak;

    /// No marks: this build does not look.
    #[derive(Default)]
    pub(crate) struct Marks(());

    impl Marks {
        /// Takes no note.
        #[inline(always)]
        pub(crate) const fn note(&self, _peak: Peak, _held: usize) {}
    }
}
