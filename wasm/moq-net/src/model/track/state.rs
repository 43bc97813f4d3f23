//! The state of a track and every question that is asked of it.

use std::{sync::Arc, task::Poll};

use super::{
    TrackInfo,
    cache::{Cache, Cached},
    seen::Seen,
};
use crate::{
    Error, Instant, Limits, Result,
    model::{
        group,
        queue::{Answer, Queue, Refused, Ticket},
    },
};

type GroupTicket = Ticket<Arc<group::Shared>>;

/// A fetch that nobody has answered yet.
pub(crate) struct Fetching {
    pub(crate) priority: u8,
    pub(crate) frame_start: u64,
    pub(crate) ticket: GroupTicket,
}

pub(crate) struct State {
    pub(crate) info: Option<TrackInfo>,
    pub(crate) cache: Cache,
    /// The highest sequence of a live group so far, cached or not.
    pub(crate) latest: Option<u64>,
    /// The first sequence that will never exist, once the end is known.
    pub(crate) boundary: Option<u64>,
    /// When that was said.
    pub(crate) ended: Instant,
    /// Live groups that have come, held or not.
    pub(crate) came: Seen,
    /// Groups that the publisher said will not come.
    pub(crate) missing: Seen,
    /// Where the publisher said that it begins.
    pub(crate) start: Option<Start>,
    /// Whether it has carried datagrams.
    pub(crate) datagrams: bool,
    pub(crate) abort: Option<Error>,
    /// No writer is left.
    pub(crate) orphaned: bool,
    /// The writer is only here for old groups: what is missing stays missing.
    pub(crate) settled: bool,
    pub(crate) fetches: Queue<u64, Fetching>,
}

/// Where a publisher said that it begins with what it sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// It will say so.
    Awaited,
    /// Nothing below comes.
    Floor(u64),
    /// This group comes, and perhaps some below.
    Within(u64),
}

/// What is to be done once the lock is released: dropping groups and waking requesters.
#[derive(Default)]
#[must_use = "requesters wait for their answer"]
pub(crate) struct After {
    answers: Vec<(GroupTicket, Result<Arc<group::Shared>>)>,
    dropped: Vec<Arc<group::Shared>>,
}

impl After {
    pub(crate) fn answer(&mut self, ticket: GroupTicket, result: Result<Arc<group::Shared>>) {
        self.answers.push((ticket, result));
    }

    pub(crate) fn run(self) {
        for (ticket, result) in self.answers {
            ticket.resolve(result);
        }
    }

    pub(crate) fn drop_later(&mut self, cached: impl IntoIterator<Item = Cached>) {
        self.dropped
            .extend(cached.into_iter().map(|cached| cached.group));
    }
}

impl State {
    pub(crate) fn new(info: Option<TrackInfo>, limits: &Limits) -> Self {
        Self {
            info,
            cache: Cache::default(),
            latest: None,
            boundary: None,
            ended: Instant::ZERO,
            came: Seen::default(),
            missing: Seen::default(),
            start: None,
            datagrams: false,
            abort: None,
            orphaned: false,
            settled: false,
            fetches: Queue::new(limits.group_requests),
        }
    }

    // ---- what ends a track

    /// Whether groups may still be added below the boundary.
    pub(crate) fn check_open(&self) -> Result<()> {
        match &self.abort {
            Some(error) => Err(error.clone()),
            None if self.orphaned => Err(Error::Dropped),
            None => Ok(()),
        }
    }

    /// Whether the track can still be joined by new readers through its broadcast.
    pub(crate) const fn is_joinable(&self) -> bool {
        self.abort.is_none() && !self.orphaned
    }

    /// Fixes the end: no group from `boundary` on. Requests for such groups fail.
    pub(crate) fn finish(&mut self, boundary: u64, now: Instant) -> After {
        self.boundary = Some(boundary);
        self.ended = now;
        let mut after = After::default();
        for fetch in self.fetches.drain_from(&boundary) {
            after.answer(fetch.ticket, Err(Error::NotFound));
        }
        after
    }

    /// Fails the track and releases its cache. Groups already handed out live on.
    pub(crate) fn abort(&mut self, error: Error) -> After {
        let mut after = After::default();
        for fetch in self.fetches.drain() {
            after.answer(fetch.ticket, Err(error.clone()));
        }
        after
            .dropped
            .extend(self.cache.clear().into_values().map(|cached| cached.group));
        self.abort = Some(error);
        after
    }

    /// The last writer went: a finished track stays readable, any other fails.
    pub(crate) fn orphan(&mut self) -> After {
        self.orphaned = true;
        if self.abort.is_none() && self.boundary.is_none() {
            return self.abort(Error::Dropped);
        }
        let mut after = After::default();
        for fetch in self.fetches.drain() {
            after.answer(fetch.ticket, Err(Error::Dropped));
        }
        after
    }

    // ---- writing

    /// The sequence after the newest group.
    pub(crate) fn next_sequence(&self) -> Result<u64> {
        match self.latest {
            None => Ok(0),
            Some(latest) => latest.checked_add(1).ok_or(Error::BoundsExceeded),
        }
    }

    /// Whether `sequence` is that of the last group of a finished track.
    pub(crate) fn ends_with(&self, sequence: u64) -> bool {
        self.boundary.is_some() && self.boundary == sequence.checked_add(1)
    }

    /// Whether a group may be inserted under `sequence`. A group fetched before it came live becomes live: its bytes are the same.
    pub(crate) fn check_insert(&self, sequence: u64, first_frame: u64) -> Result<()> {
        self.check_open()?;
        if self.boundary.is_some_and(|boundary| sequence >= boundary) {
            return Err(Error::Closed);
        }
        match self.cache.get(sequence) {
            Some(cached) if cached.group.serves(first_frame) => Err(Error::Duplicate),
            _ => Ok(()),
        }
    }

    /// Whether the group is held because somebody fetched it.
    pub(crate) fn is_backfill(&self, sequence: u64) -> bool {
        self.cache.get(sequence).is_some_and(|cached| !cached.live)
    }

    /// Marks a fetched group as part of the live track.
    pub(crate) fn promote(&mut self, sequence: u64) {
        if let Some(cached) = self.cache.remove(sequence) {
            self.raise(sequence);
            self.cache.insert(Cached {
                live: true,
                ..cached
            });
        }
    }

    /// Puts a group in, in place of a dead one of its sequence; lets expired ones go and answers those who asked for it.
    pub(crate) fn insert(
        &mut self,
        group: &Arc<group::Shared>,
        live: bool,
        first_frame: u64,
        now: Instant,
    ) -> After {
        let mut after = After::default();
        let sequence = group.sequence;
        let mut live = live;
        if let Some(dead) = self.cache.remove(sequence) {
            // A live group that lost its head is replaced by a whole one: subscribers are still to see it.
            live |= dead.live;
            after.drop_later([dead]);
        }
        if live {
            self.raise(sequence);
            self.datagrams |= group.datagram;
        }
        group
            .runtime()
            .pool()
            .enter(group, self.latest == Some(sequence));
        self.cache.insert(Cached {
            group: group.clone(),
            inserted: now,
            live,
        });
        if let Some(info) = &self.info {
            after.drop_later(self.cache.expire(now, info.cache, self.latest));
        }
        if self
            .fetches
            .get(&sequence)
            .is_some_and(|(fetch, _)| first_frame <= fetch.frame_start)
            && let Some(fetch) = self.fetches.fulfil(&sequence)
        {
            after.answer(fetch.ticket, Ok(group.clone()));
        }
        after
    }

    /// Takes note of a live group, and moves the live edge up to it.
    fn raise(&mut self, sequence: u64) {
        self.came.insert(sequence);
        if self.latest.is_some_and(|latest| sequence <= latest) {
            return;
        }
        if let Some(old) = self.latest.and_then(|latest| self.cache.get(latest)) {
            old.group.runtime().pool().demote(&old.group);
        }
        self.latest = Some(sequence);
    }

    // ---- fetching

    /// Joins the request for a group that has one.
    pub(crate) fn join_fetch(
        &mut self,
        sequence: u64,
        priority: u8,
        frame_start: u64,
    ) -> std::result::Result<Answer<Arc<group::Shared>>, Refused> {
        let Some(waiting) = self.fetches.get_mut(&sequence) else {
            return self.start_fetch(sequence, priority, frame_start);
        };
        waiting.priority = waiting.priority.max(priority);
        waiting.frame_start = waiting.frame_start.min(frame_start);
        Ok(waiting.ticket.join())
    }

    /// Makes a request for a group.
    pub(crate) fn start_fetch(
        &mut self,
        sequence: u64,
        priority: u8,
        frame_start: u64,
    ) -> std::result::Result<Answer<Arc<group::Shared>>, Refused> {
        let ticket = Ticket::new();
        let answer = ticket.join();
        self.fetches.prune(|waiting| waiting.ticket.is_wanted());
        let fetch = Fetching {
            priority,
            frame_start,
            ticket,
        };
        self.fetches.insert(sequence, fetch)?;
        Ok(answer)
    }

    // ---- reading

    /// The properties, once confirmed.
    pub(crate) fn poll_info(&self) -> Poll<Result<TrackInfo>> {
        match (&self.abort, &self.info) {
            (Some(error), _) => Poll::Ready(Err(error.clone())),
            (None, Some(info)) => Poll::Ready(Ok(*info)),
            (None, None) => Poll::Pending,
        }
    }

    /// The first sequence that will never exist, once the end is known.
    pub(crate) fn poll_finished(&self) -> Poll<Result<u64>> {
        match (&self.abort, self.boundary) {
            (Some(error), _) => Poll::Ready(Err(error.clone())),
            (None, Some(boundary)) => Poll::Ready(Ok(boundary)),
            (None, None) => Poll::Pending,
        }
    }

    /// Whether this very group is in the cache.
    pub(crate) fn holds(&self, group: &group::Shared) -> bool {
        self.cache
            .get(group.sequence)
            .is_some_and(|cached| std::ptr::eq(&*cached.group, group))
    }

    /// A group from the cache that can be read from `frame` on.
    pub(crate) fn cached(&self, sequence: u64, frame: u64) -> Option<&Arc<group::Shared>> {
        let cached = self.cache.get(sequence)?;
        cached.group.serves(frame).then_some(&cached.group)
    }

    /// The lowest live group in the cache.
    pub(crate) fn lowest(&self) -> Option<u64> {
        let lowest = self.cache.upward(0).next();
        lowest.map(|cached| cached.group.sequence)
    }

    /// Waits for one sequence.
    pub(crate) fn poll_group(&self, sequence: u64) -> Poll<Result<Option<Arc<group::Shared>>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        if let Some(cached) = self
            .cache
            .get(sequence)
            .filter(|cached| !cached.group.is_aborted())
        {
            return Poll::Ready(Ok(Some(cached.group.clone())));
        }
        match self.boundary {
            Some(boundary) if sequence >= boundary => Poll::Ready(Ok(None)),
            // Nobody is left who could still bring it.
            _ if self.orphaned || self.settled => Poll::Ready(Err(Error::Dropped)),
            _ => Poll::Pending,
        }
    }
}
