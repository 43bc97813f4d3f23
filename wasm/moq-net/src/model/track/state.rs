//! The state of a track and every question that is asked of it.

use std::{collections::BTreeMap, sync::Arc, task::Poll, time::Duration};

use super::{
    TrackInfo,
    cache::{Cache, Cached},
    seen::Seen,
};
use crate::{
    Error, Instant, Limits, Result,
    model::{
        group::{self, Stamp},
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
    pub(crate) abort: Option<Error>,
    /// No writer is left.
    pub(crate) orphaned: bool,
    pub(crate) fetches: Queue<u64, Fetching>,
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

/// The local filters of a subscriber.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) start: u64,
    /// Inclusive.
    pub(crate) end: Option<u64>,
}

impl Bounds {
    pub(crate) fn contains(&self, sequence: u64) -> bool {
        sequence >= self.start && !self.caps(sequence)
    }

    fn caps(&self, sequence: u64) -> bool {
        self.end.is_some_and(|end| sequence > end)
    }
}

/// A cursor in order of arrival.
#[derive(Clone, Default)]
pub(crate) struct Arrivals {
    next: u64,
    seen: Seen,
    /// Groups above the cap when the cursor passed them, sequence to arrival number.
    parked: BTreeMap<u64, u64>,
}

impl Arrivals {
    fn deliver(&mut self, group: &Arc<group::Shared>) -> Poll<Result<Option<Arc<group::Shared>>>> {
        self.seen.insert(group.sequence);
        Poll::Ready(Ok(Some(group.clone())))
    }
}

/// How far the newest group may still go on before an older one is stale.
pub(crate) struct Lag {
    /// Where the successor of the older group begins.
    from: Stamp,
    pub(crate) newest: Arc<group::Shared>,
    budget: Duration,
}

impl Lag {
    /// Whether `newest`, the newest frame, is over the budget. Presentation time counts where both ends have it.
    pub(crate) fn is_over(&self, newest: Option<Stamp>) -> bool {
        let newest = newest.unwrap_or(Stamp {
            timestamp: None,
            arrived: self.newest.arrived,
        });
        let lag = match (self.from.timestamp, newest.timestamp) {
            (Some(from), Some(to)) => to.as_duration().saturating_sub(from.as_duration()),
            _ => newest.arrived.duration_since(self.from.arrived),
        };
        lag > self.budget
    }
}

impl State {
    pub(crate) fn new(info: Option<TrackInfo>, limits: &Limits) -> Self {
        Self {
            info,
            cache: Cache::default(),
            latest: None,
            boundary: None,
            abort: None,
            orphaned: false,
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
    pub(crate) fn finish(&mut self, boundary: u64) -> After {
        self.boundary = Some(boundary);
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

    /// Moves the live edge up to `sequence`.
    fn raise(&mut self, sequence: u64) {
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
            _ if self.orphaned => Poll::Ready(Err(Error::Dropped)),
            _ => Poll::Pending,
        }
    }

    /// The next live group in order of arrival.
    pub(crate) fn poll_arrival(
        &self,
        cursor: &mut Arrivals,
        bounds: Bounds,
    ) -> Poll<Result<Option<Arc<group::Shared>>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        if let Some(group) = self.unpark(cursor, bounds) {
            return cursor.deliver(&group);
        }
        let mut next = cursor.next;
        let mut found = None;
        for (arrival, cached) in self.cache.since(cursor.next) {
            next = arrival + 1;
            let sequence = cached.group.sequence;
            if sequence < bounds.start || cursor.seen.contains(sequence) {
                continue;
            }
            if bounds.caps(sequence) {
                cursor.parked.insert(sequence, arrival);
                continue;
            }
            found = Some(&cached.group);
            break;
        }
        cursor.next = next;
        if let Some(group) = found {
            return cursor.deliver(group);
        }
        match self.boundary {
            Some(_)
                if !cursor
                    .parked
                    .values()
                    .any(|arrival| self.cache.holds(*arrival)) =>
            {
                Poll::Ready(Ok(None))
            }
            _ => Poll::Pending,
        }
    }

    /// A parked group that the cap now lets through, the one that arrived first.
    fn unpark(&self, cursor: &mut Arrivals, bounds: Bounds) -> Option<Arc<group::Shared>> {
        // Parked groups may have expired: keep at most a few more than there are.
        if cursor.parked.len() > self.cache.len() {
            cursor
                .parked
                .retain(|_, arrival| self.cache.holds(*arrival));
        }
        loop {
            let released = match bounds.end {
                Some(end) => cursor.parked.range(..=end),
                None => cursor.parked.range(..),
            };
            let (sequence, arrival) = released
                .map(|(sequence, arrival)| (*sequence, *arrival))
                .min_by_key(|(_, arrival)| *arrival)?;
            cursor.parked.remove(&sequence);
            if let Some(cached) = self.cache.at(arrival)
                && sequence >= bounds.start
                && !cursor.seen.contains(sequence)
            {
                return Some(cached.group.clone());
            }
        }
    }

    /// The next datagram in order of arrival. `skip` says how many of those that wait are not worth delivering any more.
    pub(crate) fn poll_datagram(
        &self,
        next: &mut u64,
        bounds: Bounds,
        skip: impl FnOnce(&[(u64, &Arc<group::Shared>)]) -> usize,
    ) -> Poll<Result<Option<Arc<group::Shared>>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        let waiting: Vec<(u64, &Arc<group::Shared>)> = self
            .cache
            .since(*next)
            .filter(|(_, cached)| cached.group.datagram && bounds.contains(cached.group.sequence))
            .map(|(arrival, cached)| (arrival, &cached.group))
            .collect();
        if let Some((arrival, group)) = waiting.get(skip(&waiting)) {
            *next = arrival + 1;
            return Poll::Ready(Ok(Some((*group).clone())));
        }
        *next = self.cache.next_arrival();
        match self.boundary {
            Some(_) => Poll::Ready(Ok(None)),
            None => Poll::Pending,
        }
    }

    /// The live group with the smallest sequence from `floor` on.
    pub(crate) fn poll_next(
        &self,
        floor: u64,
        bounds: Bounds,
    ) -> Poll<Result<Option<Arc<group::Shared>>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        let floor = floor.max(bounds.start);
        if let Some(cached) = self.cache.upward(floor).next() {
            return match bounds.caps(cached.group.sequence) {
                true => Poll::Pending,
                false => Poll::Ready(Ok(Some(cached.group.clone()))),
            };
        }
        match self.boundary {
            // Without writers the gaps stay gaps.
            Some(boundary) if floor >= boundary || self.orphaned => Poll::Ready(Ok(None)),
            _ => Poll::Pending,
        }
    }

    /// The live groups that `read_frame` may take its next frame from, in order of sequence.
    pub(crate) fn readable(&self, floor: u64, bounds: Bounds) -> Vec<Arc<group::Shared>> {
        self.cache
            .upward(floor.max(bounds.start))
            .take_while(|cached| !bounds.caps(cached.group.sequence))
            .map(|cached| cached.group.clone())
            .collect()
    }

    /// How stale a group is: `Ready` when it lies further behind the newest frame than `budget`, else the newest group, whose
    /// next frame may change that (`None`: only a new group can).
    pub(crate) fn poll_stale(
        &self,
        sequence: u64,
        budget: Duration,
    ) -> std::result::Result<(), Option<Lag>> {
        let (Some(latest), None) = (self.latest, &self.abort) else {
            return Err(None);
        };
        if sequence >= latest {
            return Err(None);
        }
        let budget = self.info.map_or(budget, |info| budget.min(info.cache));
        if budget.is_zero() {
            return Ok(());
        }
        let newest = self.cache.get(latest);
        let successor = sequence
            .checked_add(1)
            .and_then(|next| self.cache.upward(next).next());
        let (Some(newest), Some(successor)) = (newest, successor) else {
            return Err(None);
        };
        let (first, _) = successor.group.channel.read().span();
        let lag = Lag {
            from: first.unwrap_or(Stamp {
                timestamp: None,
                arrived: successor.group.arrived,
            }),
            newest: newest.group.clone(),
            budget,
        };
        match lag.is_over(newest.group.channel.read().span().1) {
            true => Ok(()),
            false => Err(Some(lag)),
        }
    }

    /// Whether a live group above the cap waits for it to be raised.
    pub(crate) fn has_capped(&self, floor: u64, bounds: Bounds) -> bool {
        match bounds.end.map(|end| end.checked_add(1)) {
            Some(Some(above)) => self
                .cache
                .upward(floor.max(bounds.start).max(above))
                .next()
                .is_some(),
            _ => false,
        }
    }
}
