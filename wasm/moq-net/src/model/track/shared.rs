//! What every handle of a track holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use kio::Waiter;

use super::{
    TrackInfo,
    state::{After, State},
    subscription::{Aggregate, Subscribers},
};
use crate::{
    Error, Instant, Result, Runtime, Timescale, Timestamp,
    cost::gauges::{Kind, Live},
    model::group,
};

/// What a group needs to know of its track, without keeping it.
pub(crate) struct Tag {
    pub(crate) name: Arc<str>,
    pub(crate) created: Instant,
    pub(crate) runtime: Runtime,
    /// Whether a timestamp has been converted yet: said once per track.
    rescaled: AtomicBool,
    track: Weak,
}

impl Tag {
    /// The track must not keep a group that the cache of the process gave up. No lock may be held.
    pub(crate) fn forget(&self, group: &group::Shared) {
        if let Some(track) = self.track.upgrade() {
            track.forget(group);
        }
    }

    /// The timestamp a frame gets on a track of `scale`.
    pub(crate) fn fit(
        &self,
        timestamp: Option<Timestamp>,
        scale: Option<Timescale>,
    ) -> Result<Option<Timestamp>> {
        match (timestamp, scale) {
            (None, None) => Ok(None),
            (Some(timestamp), Some(scale)) if timestamp.scale == scale => Ok(Some(timestamp)),
            (Some(timestamp), Some(scale)) => {
                if !self.rescaled.swap(true, Ordering::Relaxed) {
                    self.runtime
                        .gauges()
                        .rescaled_tracks
                        .fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(track = %self.name, from = timestamp.scale.get(), to = scale.get(), "converting timestamps");
                }
                timestamp
                    .convert(scale)
                    .map(Some)
                    .ok_or(Error::TimestampMismatch)
            }
            (Some(_), None) | (None, Some(_)) => Err(Error::TimestampMismatch),
        }
    }
}

/// The channel closes when the track fails. A finished track stays open, so that its cache can still be served and let go.
pub(crate) struct Shared {
    pub(crate) tag: Arc<Tag>,
    pub(crate) channel: kio::Producer<State>,
    /// Apart from the state, so that publishing groups wakes nobody who only watches wishes.
    pub(crate) subscribers: kio::Shared<Subscribers>,
    _live: Live,
}

pub(crate) type Weak = std::sync::Weak<Shared>;

impl Shared {
    pub(crate) fn new(name: Arc<str>, info: Option<TrackInfo>, runtime: &Runtime) -> Arc<Self> {
        Arc::new_cyclic(|track| Self {
            tag: Arc::new(Tag {
                name,
                created: runtime.now(),
                runtime: runtime.clone(),
                rescaled: AtomicBool::new(false),
                track: track.clone(),
            }),
            channel: kio::Producer::new(State::new(info, runtime.limits())),
            subscribers: kio::Shared::new(Subscribers::new(info.map(|info| info.cache))),
            _live: Live::new(runtime, Kind::Track),
        })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.tag.runtime
    }

    /// Changes the state; what remains to be done runs after unlocking. Errors of `change` leave the state unmarked, as long as it
    /// checks before it borrows mutably.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut kio::Mut<'_, State>, &mut After) -> Result<T>,
    ) -> Result<T> {
        let mut after = After::default();
        let result = match self.channel.write() {
            Ok(mut state) => change(&mut state, &mut after),
            Err(last) => Err(last.abort.clone().unwrap_or(Error::Dropped)),
        };
        after.run();
        result
    }

    /// Fails the track; false if it is over already.
    pub(crate) fn abort(&self, error: Error) -> Result<()> {
        self.change(|state, after| {
            state.check_open()?;
            *after = state.abort(error.clone());
            Ok(())
        })?;
        self.channel.close();
        self.subscribers.lock().ended = Some(error);
        Ok(())
    }

    /// The last writer is gone.
    fn orphan(&self) {
        let ended = self.change(|state, after| {
            *after = state.orphan();
            Ok(state.abort.clone())
        });
        // An error means that the track failed before.
        if let Ok(ended) = ended {
            if ended.is_some() {
                self.channel.close();
            }
            let mut subscribers = self.subscribers.lock();
            if subscribers.ended.is_none() {
                subscribers.ended = Some(ended.unwrap_or(Error::Dropped));
            }
        }
    }

    /// Fixes the properties unless they are known already.
    pub(crate) fn set_info(&self, info: TrackInfo) -> Result<()> {
        let set = self.change(|state, _| {
            state.check_open()?;
            if state.info.is_some() {
                return Ok(false);
            }
            state.info = Some(info);
            Ok(true)
        })?;
        if set {
            self.subscribers.lock().cache = Some(info.cache);
        }
        Ok(())
    }

    fn forget(&self, group: &group::Shared) {
        // Fails only on a failed track, which holds nothing.
        let _ = self.change(|state, after| {
            if state.holds(group) {
                after.drop_later(state.cache.remove(group.sequence));
            }
            Ok(())
        });
    }

    /// Withdraws a handler of fetches; those that nobody else takes fail.
    pub(crate) fn remove_handler(&self, handler: u64) {
        // Cannot fail: nothing in it does.
        let _ = self.change(|state, after| {
            for fetch in state.fetches.remove_handler(handler) {
                after.answer(fetch.ticket, Err(Error::NotFound));
            }
            Ok(())
        });
    }

    /// The wish of all live subscribers.
    pub(crate) fn aggregate(&self) -> Option<Aggregate> {
        let lowest = self.channel.read().came.lowest(0);
        self.subscribers.lock().aggregate(lowest)
    }

    /// The wish of all live subscribers once it differs from `known`.
    pub(crate) fn poll_aggregate(
        &self,
        waiter: &Waiter,
        known: Option<Aggregate>,
    ) -> Poll<Result<Option<Aggregate>>> {
        // What has come is read before: the two locks are never held together, and publishing is no reason to look again.
        let lowest = self.channel.read().came.lowest(0);
        self.subscribers.poll(waiter, |subscribers| {
            if let Some(error) = &subscribers.ended {
                return Poll::Ready(Err(error.clone()));
            }
            match subscribers.aggregate(lowest) {
                all if all == known => Poll::Pending,
                all => Poll::Ready(Ok(all)),
            }
        })
    }

    /// Ready once the group of `sequence` is stale under `budget` (`None`: never).
    pub(crate) fn poll_stale(
        &self,
        waiter: &Waiter,
        sequence: u64,
        budget: Option<Duration>,
    ) -> Poll<()> {
        let Some(budget) = budget else {
            return Poll::Pending;
        };
        let mut lag = None;
        let stale = self
            .channel
            .poll(waiter, |state| match state.poll_stale(sequence, budget) {
                Ok(()) => Poll::Ready(()),
                Err(watch) => {
                    lag = watch;
                    Poll::Pending
                }
            });
        match stale {
            Poll::Ready(Ok(_)) => return Poll::Ready(()),
            // Failed: what is read next says so.
            Poll::Ready(Err(_)) => return Poll::Pending,
            Poll::Pending => {}
        }
        // Frames of the newest group move the clock without touching the track.
        let Some(lag) = lag else { return Poll::Pending };
        let stale = lag
            .newest
            .channel
            .poll(waiter, |newest| match lag.is_over(newest.span().1) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
        stale.map(|_| ())
    }

    /// A reader of `group` has been asked for: it is in use.
    pub(crate) fn touch(&self, group: &group::Shared) {
        self.runtime().pool().touch(group);
    }
}

/// Shared by everything that can still write: producers, the unanswered request, handlers. When the last one goes, a track that
/// is not finished fails.
pub(crate) struct Owner {
    pub(crate) shared: Arc<Shared>,
    _live: Live,
}

impl Owner {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        let live = Live::new(shared.runtime(), Kind::Producer);
        Arc::new(Self {
            shared,
            _live: live,
        })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.orphan();
    }
}
