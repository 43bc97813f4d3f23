//! What sessions have carried, counted where it passes.

use std::{
    ops::AddAssign,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{PathOwned, map::Map};

/// What a session has carried so far. Nothing in here ever gets smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To a peer that reads.
    pub sent: Flow,
    /// From a peer that publishes.
    pub received: Flow,
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Groups that were begun, by streams, datagrams and answers to fetches alike.
    pub groups: u64,
    /// Frames that were begun.
    pub frames: u64,
    /// Bytes of their payloads, as they travel.
    pub bytes: u64,
    /// Fetches that were answered.
    pub fetches: u64,
    /// Subscriptions that were confirmed.
    pub subscriptions: u64,
    /// Of those, the ones that are over.
    pub subscriptions_ended: u64,
    /// How often a broadcast got its first confirmed subscription.
    pub broadcasts: u64,
    /// How often a broadcast lost its last one.
    pub broadcasts_ended: u64,
}

impl AddAssign for Flow {
    fn add_assign(&mut self, other: Self) {
        self.groups += other.groups;
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.fetches += other.fetches;
        self.subscriptions += other.subscriptions;
        self.subscriptions_ended += other.subscriptions_ended;
        self.broadcasts += other.broadcasts;
        self.broadcasts_ended += other.broadcasts_ended;
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
    }
}

/// What a [`Meter`] counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Groups,
    Frames,
    Bytes,
    Fetches,
    Subscriptions,
    SubscriptionsEnded,
    Broadcasts,
    BroadcastsEnded,
}

/// The counts of one way through one session.
#[derive(Default)]
pub(crate) struct Meter {
    counts: [AtomicU64; 8],
    /// Confirmed subscriptions by broadcast.
    watched: Mutex<Map<PathOwned, usize>>,
}

impl Meter {
    pub(crate) fn add(&self, count: Count, number: usize) {
        self.counts[count as usize].fetch_add(number as u64, Ordering::Relaxed);
    }

    /// A whole group of one frame.
    pub(crate) fn add_datagram(&self, payload: usize) {
        self.add(Count::Groups, 1);
        self.add(Count::Frames, 1);
        self.add(Count::Bytes, payload);
    }

    pub(crate) fn flow(&self) -> Flow {
        let get = |count: Count| self.counts[count as usize].load(Ordering::Relaxed);
        Flow {
            groups: get(Count::Groups),
            frames: get(Count::Frames),
            bytes: get(Count::Bytes),
            fetches: get(Count::Fetches),
            subscriptions: get(Count::Subscriptions),
            subscriptions_ended: get(Count::SubscriptionsEnded),
            broadcasts: get(Count::Broadcasts),
            broadcasts_ended: get(Count::BroadcastsEnded),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Map<PathOwned, usize>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a confirmed subscription for as long as it is kept.
    pub(crate) fn watch(self: &Arc<Self>, path: &PathOwned) -> Watch {
        self.add(Count::Subscriptions, 1);
        let mut watched = self.lock();
        let others = watched.get(path).copied().unwrap_or(0);
        watched.insert(path.clone(), others + 1);
        drop(watched);
        if others == 0 {
            self.add(Count::Broadcasts, 1);
        }
        Watch {
            meter: self.clone(),
            path: path.clone(),
        }
    }
}

/// A confirmed subscription.
pub(crate) struct Watch {
    meter: Arc<Meter>,
    path: PathOwned,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.meter.add(Count::SubscriptionsEnded, 1);
        let mut watched = self.meter.lock();
        match watched.get_mut(&self.path) {
            Some(others) if *others > 1 => *others -= 1,
            _ => {
                watched.remove(&self.path);
                drop(watched);
                self.meter.add(Count::BroadcastsEnded, 1);
            }
        }
    }
}
