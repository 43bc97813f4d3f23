//! What a reader of a range asks for besides what comes live.
//!
//! Missing groups are asked for in sequence, twice as many at a time as long as there are answers. Where the next one is refused,
//! the lowest that can be had is looked for: downwards from the end of the hole by 1, 2, 4 … to one that is there, then between it
//! and the last refusal.

use std::{sync::Arc, task::Poll};

use kio::{Future, Pending, Waiter};

use super::{
    TrackFetch,
    hole::Hole,
    in_order::{Ask, Ordered, Step},
    seen::Seen,
    state::State,
};
use crate::{
    Error, Instant, Result,
    model::group::{self, GroupConsumer},
};

/// Refusals that end the search for the lowest group that can be had.
const REFUSALS: u32 = 16;

/// The requests of one reader.
pub(super) struct Backfill {
    /// By sequence: a few dozen.
    asked: Vec<(u64, Asked)>,
    /// What cannot be had.
    refused: Seen,
    /// Up to here, what is missing is asked for.
    until: Option<u64>,
    /// How far ahead of the reader.
    window: usize,
    search: Search,
    obstacle: Option<Obstacle>,
    /// Bytes of the groups that wait to be read, and of one of them.
    bytes: usize,
    typical: usize,
}

enum Asked {
    Waiting(TrackFetch),
    Here(GroupConsumer),
}

/// Why nothing can be asked for.
#[derive(Clone, Copy)]
enum Obstacle {
    /// Too many requests wait: not before this time.
    Full(Instant),
    /// No handler serves old groups.
    Unserved,
}

/// The search for the lowest group of a hole that can be had.
struct Search {
    /// What was asked for last.
    probe: Option<u64>,
    /// How far below the end of the hole the next probe lies.
    step: u64,
    found: bool,
    /// Refused below a group that was found: so is everything before it.
    gone: Option<u64>,
    refusals: u32,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            probe: None,
            step: 1,
            found: false,
            gone: None,
            refusals: 0,
        }
    }
}

impl Search {
    fn served(&mut self, sequence: u64) {
        if self.probe.take_if(|probe| *probe == sequence).is_some() {
            self.found = true;
            self.step = self.step.saturating_mul(2);
        }
    }

    fn refuse(&mut self, sequence: u64) {
        self.probe = None;
        self.refusals += 1;
        match self.found {
            true => self.gone = Some(sequence),
            false => self.step = self.step.saturating_mul(2),
        }
    }

    /// The next to ask for above `low` and below `high`; `None` when it is over.
    fn next(&self, low: u64, high: u64) -> Option<u64> {
        let below = high.checked_sub(self.step).filter(|below| *below > low);
        match below {
            _ if self.refusals >= REFUSALS => None,
            Some(below) if self.gone.is_none() => Some(below),
            _ if self.found => Some(low + (high - low) / 2),
            _ => None,
        }
    }
}

impl Default for Backfill {
    fn default() -> Self {
        Self {
            asked: Vec::new(),
            refused: Seen::default(),
            until: None,
            window: 1,
            search: Search::default(),
            obstacle: None,
            bytes: 0,
            typical: 0,
        }
    }
}

impl Backfill {
    /// Takes in what was answered.
    pub(super) fn poll(&mut self, waiter: &Waiter) {
        let Self {
            asked,
            refused,
            window,
            search,
            obstacle,
            bytes,
            typical,
            ..
        } = self;
        let mut count = 0;
        *bytes = 0;
        asked.retain_mut(|(sequence, asked)| {
            if let Asked::Waiting(fetch) = asked {
                match fetch.poll(waiter) {
                    Poll::Pending => return true,
                    Poll::Ready(Ok(group)) => {
                        *window += 1;
                        search.served(*sequence);
                        *asked = Asked::Here(group);
                    }
                    Poll::Ready(Err(error)) => {
                        if error == Error::Version {
                            *obstacle = Some(Obstacle::Unserved);
                        }
                        refused.insert(*sequence);
                        if search.probe == Some(*sequence) {
                            search.refuse(*sequence);
                        }
                        return false;
                    }
                }
            }
            let Asked::Here(group) = asked else {
                return true;
            };
            let group = group.shared();
            if group.is_aborted() {
                // One that the cache gave up can be asked for again, with fewer beside it.
                *window = 1;
                if group.is_reset() {
                    refused.insert(*sequence);
                }
                return false;
            }
            count += 1;
            *bytes += group.weigh().0;
            true
        });
        if let Some(mean) = bytes.checked_div(count) {
            *typical = mean;
        }
    }

    /// Takes note of a request; whether it is answered already.
    pub(super) fn ask(
        &mut self,
        sequence: u64,
        fetch: Result<Pending<TrackFetch>>,
        retry: Instant,
        waiter: &Waiter,
    ) -> bool {
        match fetch {
            Ok(fetch) => {
                let fetch = fetch.into_inner();
                let answered = fetch.poll(waiter).is_ready();
                let at = self.asked.partition_point(|(other, _)| *other < sequence);
                self.asked.insert(at, (sequence, Asked::Waiting(fetch)));
                return answered;
            }
            Err(Error::Timeout) => self.obstacle = Some(Obstacle::Full(retry)),
            Err(_) => self.obstacle = Some(Obstacle::Unserved),
        }
        false
    }

    /// The reader goes on: what was found out about a hole is over.
    pub(super) fn go_on(&mut self) {
        self.search = Search::default();
        self.obstacle = None;
    }

    /// Lets go of what lies below `next`, with no lock held.
    pub(super) fn release(&mut self, next: Option<u64>) {
        let gone = |(sequence, _): &(u64, Asked)| next.is_none_or(|next| *sequence < next);
        let gone = self.asked.partition_point(gone);
        self.asked.drain(..gone);
    }

    /// The lowest group that came, from a sequence on.
    pub(super) fn lowest(&self, sequence: u64) -> Option<&Arc<group::Shared>> {
        for (at, asked) in &self.asked {
            if let Asked::Here(group) = asked
                && *at >= sequence
            {
                return Some(group.shared());
            }
        }
        None
    }

    fn has_asked(&self, sequence: u64) -> bool {
        for (asked, _) in &self.asked {
            if *asked == sequence {
                return true;
            }
        }
        false
    }

    /// Whether `sequence` was asked for in vain.
    pub(super) fn is_refused(&self, sequence: u64) -> bool {
        self.refused.contains(sequence)
    }

    fn waits(&self, from: u64, to: u64) -> usize {
        let mut count = 0;
        for (at, asked) in &self.asked {
            if *at >= from && *at <= to && matches!(asked, Asked::Waiting(_)) {
                count += 1;
            }
        }
        count
    }
}

impl State {
    /// The next missing group to ask for, as far ahead of the reader as it may be.
    pub(super) fn ahead(&self, cursor: &Ordered, next: u64, ask: &Ask<'_>) -> Option<u64> {
        let fill = &cursor.backfill;
        let limits = ask.limits();
        let until = fill.until.filter(|until| *until >= next)?;
        match fill.obstacle {
            Some(Obstacle::Unserved) => return None,
            Some(Obstacle::Full(until)) if ask.now < until => return None,
            _ => {}
        }
        let last = until.min(ask.last.unwrap_or(until));
        let last = last.min(ask.bounds.end.unwrap_or(last));
        let bytes = fill.bytes + fill.waits(0, u64::MAX) * fill.typical;
        let far = match bytes <= limits.reorder_bytes {
            true => fill.window.min(limits.fetches) as u64,
            // The reader goes on in any case.
            false => 1,
        };
        let mut sequence = next;
        while sequence <= last && sequence - next < far {
            if !fill.refused.contains(sequence)
                && !fill.has_asked(sequence)
                && self.due(cursor, sequence).is_none()
            {
                return Some(sequence);
            }
            sequence = sequence.checked_add(1)?;
        }
        None
    }

    /// What a reader of a range does about a hole; `None` when what is missing cannot be had.
    pub(super) fn backfill(
        &self,
        cursor: &mut Ordered,
        next: u64,
        hole: &Hole,
        ask: &Ask<'_>,
    ) -> Option<Step> {
        if cursor.backfill.until.is_none_or(|until| until < hole.to) {
            // As long as it may be on its way, it is not asked for.
            let delay = ask.budget.min(ask.limits().reorder_wait);
            let lost = self.is_lost(next, hole.to, ask);
            if !lost && let Some(wait) = ask.wait(hole.since, delay) {
                self.hold_back(cursor, next, ask);
                return Some(wait);
            }
            cursor.backfill.until = Some(hole.to);
        }
        if let Some(sequence) = self.ahead(cursor, next, ask) {
            return Some(Step::Fetch(sequence));
        }
        let fill = &mut cursor.backfill;
        match fill.obstacle {
            Some(Obstacle::Unserved) => return None,
            Some(Obstacle::Full(until)) if ask.now < until => return Some(Step::Wait(Some(until))),
            _ => {}
        }
        if fill.waits(next, hole.to) > 0 {
            return Some(Step::Wait(None));
        }
        let low = fill.refused.run(next)?.max(fill.search.gone.unwrap_or(0));
        if low >= hole.to {
            return None;
        }
        loop {
            let probe = fill.search.next(low, hole.to.saturating_add(1))?;
            if !fill.refused.contains(probe) {
                fill.search.probe = Some(probe);
                return Some(Step::Fetch(probe));
            }
            fill.search.refuse(probe);
        }
    }

    /// Whether nothing of this comes by itself any more.
    pub(super) fn is_lost(&self, from: u64, to: u64, ask: &Ask<'_>) -> bool {
        self.explanation(from, to).is_some()
            || self.is_over()
            || to - from >= ask.limits().reorder_gap
    }
}
