//! Reading a track in sequence without loss.
//!
//! A group that has not come while a later one has is a hole. It is waited for, and reported when it is given up, in its place
//! between the groups it separates. What has come behind it is pinned meanwhile: neither its age nor the budget of the cache takes
//! it before the reader has had it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use kio::Waiter;

use super::{backfill::Backfill, cursor::Bounds};
use crate::{
    Instant, Limits, Runtime, Sleep,
    map::Map,
    model::{
        group::{self, GroupConsumer},
        pool::Pin,
    },
};

/// What [`next_in_order`](super::TrackSubscriber::next_in_order) brings.
#[derive(Debug)]
pub enum InOrder {
    /// The next group.
    Group(GroupConsumer),
    /// Groups that the reader does not get, between the one before and the one after.
    Gap(Gap),
}

/// A run of groups that a reader in order does not get. They are not delivered later either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub from: u64,
    /// The last of them, inclusive.
    pub to: u64,
    /// Why they are given up.
    pub reason: GapReason,
}

/// Why groups are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// They did not come within the `max_latency` of the subscription (and the `cache` of the track) after a later one.
    Late,
    /// They were aborted by their publisher, or lost on the way.
    Reset,
    /// The publisher said that they will not come.
    Declared,
    /// There are more of them than are waited for (`reorder_gap`).
    Jump,
    /// Too much waits behind them (`reorder_bytes`).
    Full,
    /// They came, but left the cache before the reader took them.
    Expired,
    /// The track is over without them.
    Ended,
    /// They were asked for, because they are part of the range of the subscription, and could not be had.
    Refused,
}

impl GapReason {
    /// A word for it that does not change.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Reset => "reset",
            Self::Declared => "declared",
            Self::Jump => "jump",
            Self::Full => "full",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Ended => "ended",
        }
    }
}

/// What a reader in order has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InOrderStats {
    /// Groups that came before an earlier one and were held back.
    pub held_back: u64,
    /// Holes that were waited for until the time for it was over.
    pub waited_out: u64,
    /// Groups that were given up.
    pub missing: u64,
}

/// The cursor of `next_in_order`.
#[derive(Default)]
pub(super) struct Ordered {
    pub(super) next: Position,
    /// Groups behind a hole, by sequence.
    pub(super) held: Map<u64, Pin>,
    /// What a range brings besides.
    pub(super) backfill: Backfill,
    /// Bytes of those behind a hole.
    bytes: usize,
    /// Those of them that may still grow.
    growing: Vec<u64>,
    /// The next arrival number to look at for such groups.
    pub(super) scanned: u64,
    /// The hole before the next group is being waited for.
    pub(super) waiting: bool,
    /// Behind a lock only so that subscribers can be shared between threads.
    timer: Mutex<Option<(Instant, Sleep)>>,
    pub(super) stats: InOrderStats,
}

#[derive(Clone, Copy, Default)]
pub(super) enum Position {
    /// Nothing was delivered yet, and where to begin is not decided.
    #[default]
    Start,
    At(u64),
    /// After the largest sequence there is.
    Over,
}

/// What the next step depends on besides the track.
pub(super) struct Ask<'a> {
    pub(super) now: Instant,
    pub(super) runtime: &'a Runtime,
    /// How long missing groups are waited for.
    pub(super) budget: Duration,
    /// The lowest live group there was when the subscription began.
    pub(super) joined: Option<u64>,
    /// The range the subscription asked for.
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
    /// The local filters.
    pub(super) bounds: Bounds,
}

/// What comes next.
pub(super) enum Step {
    Group(Arc<group::Shared>),
    Gap(Gap),
    End,
    /// This group is to be asked for.
    Fetch(u64),
    /// Something has to happen first, or this time to come.
    Wait(Option<Instant>),
}

impl Ask<'_> {
    pub(super) fn limits(&self) -> &Limits {
        self.runtime.limits()
    }

    /// Wait until `delay` after `since`, unless that has passed.
    pub(super) fn wait(&self, since: Option<Instant>, delay: Duration) -> Option<Step> {
        let deadline = since? + delay;
        (self.now < deadline).then_some(Step::Wait(Some(deadline)))
    }

    /// The lowest sequence that is wanted.
    pub(super) fn floor(&self) -> u64 {
        self.bounds.start.max(self.first.unwrap_or(0))
    }
}

impl Ordered {
    pub(super) fn go_to(&mut self, next: Option<u64>) {
        self.next = next.map_or(Position::Over, Position::At);
        self.waiting = false;
        self.backfill.go_on();
    }

    /// Lets go of groups that have been delivered or passed by, with no lock held.
    pub(super) fn release(&mut self) {
        let next = match self.next {
            Position::Start => return,
            Position::At(next) => Some(next),
            Position::Over => None,
        };
        self.backfill.release(next);
        loop {
            let first = self.held.iter().next().map(|(sequence, _)| *sequence);
            let Some(first) = first.filter(|first| next.is_none_or(|next| *first < next)) else {
                return;
            };
            let pin = self.held.remove(&first);
            self.bytes -= pin.map_or(0, |pin| pin.bytes());
        }
    }

    /// Waits for nothing any more.
    pub(super) fn disarm(&mut self) {
        *self.timer.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits until `deadline`, or for nothing but a wake-up.
    pub(super) fn poll_timer(
        &mut self,
        deadline: Option<Instant>,
        runtime: &Runtime,
        waiter: &Waiter,
    ) -> Poll<()> {
        let Some(deadline) = deadline else {
            self.disarm();
            return Poll::Pending;
        };
        let timer = self.timer.get_mut();
        let timer = timer.unwrap_or_else(PoisonError::into_inner);
        if timer.as_ref().is_none_or(|(at, _)| *at != deadline) {
            *timer = Some((deadline, runtime.sleep_until(deadline)));
        }
        let Some((_, sleep)) = timer else {
            return Poll::Pending;
        };
        let over = sleep
            .as_mut()
            .poll(&mut Context::from_waker(waiter.waker()));
        if over.is_ready() {
            *timer = None;
        }
        over
    }

    /// Whether no more may wait behind a hole.
    pub(super) fn is_full(&self, ask: &Ask<'_>) -> bool {
        self.bytes > ask.limits().reorder_bytes || ask.runtime.pool().is_pinned_full()
    }

    /// Takes note of how large the groups are by now that it holds.
    pub(super) fn weigh(&mut self) {
        let (held, bytes) = (&mut self.held, &mut self.bytes);
        self.growing.retain(|sequence| {
            let Some(pin) = held.get_mut(sequence) else {
                return false;
            };
            *bytes -= pin.bytes();
            let grows = pin.weigh();
            *bytes += pin.bytes();
            grows
        });
    }

    /// Pins a group that has to wait.
    pub(super) fn hold(&mut self, group: &Arc<group::Shared>) {
        if self.held.contains_key(&group.sequence) {
            return;
        }
        let mut pin = Pin::new(group);
        if pin.weigh() {
            self.growing.push(group.sequence);
        }
        self.bytes += pin.bytes();
        self.held.insert(group.sequence, pin);
        self.stats.held_back += 1;
    }

    pub(super) fn give_up(&mut self, from: u64, to: u64, reason: GapReason) -> Step {
        if self.waiting && reason == GapReason::Late {
            self.stats.waited_out += 1;
        }
        self.stats.missing = self.stats.missing.saturating_add(to - from + 1);
        self.go_to(to.checked_add(1));
        Step::Gap(Gap { from, to, reason })
    }
}
