//! What subscribers wish, and the one wish of all of them together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::Shared;
use crate::{
    Error,
    cost::gauges::{Kind, Live},
    map::Map,
};

/// Wishes of a subscriber, sent to the publisher. The local filters of a [`TrackSubscriber`](super::TrackSubscriber) are
/// something else; neither implies the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Higher preempts lower. Default 0.
    pub priority: u8,
    /// Prefer to be sent older groups first. Default false, the newest first.
    pub ordered: bool,
    /// How long a group may still be waited for once there is a newer one. Default 0: not at all. `Duration::MAX` means without
    /// a limit (versions 01 and 02 have no such field).
    pub max_latency: Duration,
    /// The first group wanted. `None` starts at the live edge, from moq-lite-06 on as far back as `max_latency` reaches.
    pub group_start: Option<u64>,
    /// The last group wanted (inclusive); `None` for no end.
    pub group_end: Option<u64>,
}

impl Subscription {
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

    /// Sets the latency budget.
    pub const fn with_max_latency(mut self, max_latency: Duration) -> Self {
        self.max_latency = max_latency;
        self
    }

    /// Sets the first group.
    pub fn with_group_start(mut self, group: impl Into<Option<u64>>) -> Self {
        self.group_start = group.into();
        self
    }

    /// Sets the last group.
    pub fn with_group_end(mut self, group: impl Into<Option<u64>>) -> Self {
        self.group_end = group.into();
        self
    }
}

/// The wish of all live subscribers of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aggregate {
    pub(crate) subscription: Subscription,
    /// Whether somebody set no start: then a version whose start is a pure floor must be asked without one.
    pub(crate) open_start: bool,
}

impl Aggregate {
    /// Merges in any order to the same result. `lowest` is the lowest group that has come live, `cache` bounds the latency.
    pub(crate) fn of<'a>(
        wishes: impl IntoIterator<Item = &'a Subscription>,
        lowest: Option<u64>,
        cache: Option<Duration>,
    ) -> Option<Self> {
        let mut wishes = wishes.into_iter();
        let first = *wishes.next()?;
        let mut open_start = first.group_start.is_none();
        let mut all = first;
        for wish in wishes {
            open_start |= wish.group_start.is_none();
            all = Subscription {
                priority: all.priority.max(wish.priority),
                ordered: all.ordered && wish.ordered,
                max_latency: all.max_latency.max(wish.max_latency),
                group_start: match (all.group_start, wish.group_start) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                },
                group_end: match (all.group_end, wish.group_end) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    _ => None,
                },
            };
        }
        // Who set no start wants the live edge, and what has come late since: a start above what they have would starve them, and
        // one that is not below it needs nothing more.
        if open_start && all.group_start > lowest && lowest.is_some() {
            all.group_start = None;
        }
        if let Some(cache) = cache {
            all.max_latency = all.max_latency.min(cache);
        }
        Some(Self {
            subscription: all,
            open_start,
        })
    }
}

/// The subscriptions of one track. Kept apart from its groups, so that publishing wakes nobody who only watches wishes.
#[derive(Default)]
pub(crate) struct Subscribers {
    wishes: Map<u64, Subscription>,
    next: u64,
    /// The `cache` of the track, once known.
    pub(crate) cache: Option<Duration>,
    /// Why there will be no more changes.
    pub(crate) ended: Option<Error>,
}

impl Subscribers {
    pub(crate) fn new(cache: Option<Duration>) -> Self {
        Self {
            cache,
            ..Self::default()
        }
    }

    pub(crate) fn aggregate(&self, lowest: Option<u64>) -> Option<Aggregate> {
        Aggregate::of(self.wishes.values(), lowest, self.cache)
    }
}

/// One subscription of a track: part of the aggregate for as long as it lives.
pub(crate) struct Entry {
    list: kio::Shared<Subscribers>,
    id: u64,
    pub(crate) budget: Arc<Budget>,
    /// The lowest live group that was there when the subscription began.
    pub(crate) joined: Option<u64>,
    _live: Live,
}

impl Entry {
    pub(crate) fn new(shared: &Shared, wish: Subscription) -> Self {
        let (list, runtime) = (&shared.subscribers, shared.runtime());
        let joined = shared.channel.read().lowest();
        let mut subscribers = list.lock();
        subscribers.next += 1;
        let id = subscribers.next;
        subscribers.wishes.insert(id, wish);
        drop(subscribers);
        Self {
            list: list.clone(),
            id,
            budget: Arc::new(Budget::new(wish.max_latency)),
            joined,
            _live: Live::new(runtime, Kind::Subscription),
        }
    }

    pub(crate) fn wish(&self) -> Subscription {
        self.list
            .lock()
            .wishes
            .get(&self.id)
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn update(&self, wish: Subscription) {
        self.budget.set(wish.max_latency);
        let mut subscribers = self.list.lock();
        // Borrow mutably only for a real change: it wakes the publisher.
        if subscribers.wishes.get(&self.id) != Some(&wish) {
            subscribers.wishes.insert(self.id, wish);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.list.lock().wishes.remove(&self.id);
    }
}

/// The latency budget of a subscription, shared with the groups read through it.
pub(crate) struct Budget(AtomicU64);

impl Budget {
    fn new(budget: Duration) -> Self {
        Self(AtomicU64::new(Self::micros(budget)))
    }

    fn set(&self, budget: Duration) {
        self.0.store(Self::micros(budget), Ordering::Relaxed);
    }

    /// The budget; `None` without a limit.
    pub(crate) fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            u64::MAX => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    fn micros(budget: Duration) -> u64 {
        u64::try_from(budget.as_micros()).unwrap_or(u64::MAX)
    }
}
