//! What a reader in order does about groups that are not there.

use std::sync::Arc;

use super::{
    in_order::{Ask, GapReason, Ordered, Position, Step},
    state::{Start, State},
};
use crate::{
    Instant, Result,
    model::{group, pool::Pin},
};

/// A run of sequences that are not there to be delivered.
pub(super) struct Hole {
    pub(super) to: u64,
    /// When something came after the first of them that might still come; `None` when that is too long ago to be known.
    pub(super) since: Option<Instant>,
}

impl State {
    /// What comes next in order.
    pub(super) fn next_in_order(&self, cursor: &mut Ordered, ask: &Ask<'_>) -> Result<Step> {
        if let Some(error) = &self.abort {
            return Err(error.clone());
        }
        let next = match cursor.next {
            Position::Over => return Ok(self.end_or_wait(u64::MAX)),
            Position::At(next) => next.max(ask.floor()),
            Position::Start => match self.begin(ask) {
                Ok(next) => next,
                Err(step) => return Ok(step),
            },
        };
        if !matches!(cursor.next, Position::At(at) if at == next) {
            cursor.go_to(Some(next));
        }
        if ask.last.is_some_and(|last| next > last) {
            return Ok(Step::End);
        }
        if !ask.bounds.contains(next) {
            return Ok(Step::Wait(None));
        }
        if ask.first.is_some()
            && let Some(sequence) = self.ahead(cursor, next, ask)
        {
            return Ok(Step::Fetch(sequence));
        }
        if let Some(group) = self.due(cursor, next) {
            cursor.go_to(next.checked_add(1));
            return Ok(Step::Group(group));
        }
        let Some(hole) = self.hole(cursor, next, ask) else {
            return Ok(self.end_or_wait(next));
        };
        let step = self.judge(cursor, next, &hole, ask);
        if kio::fault::mutant("forget-gap") && matches!(step, Step::Gap(_)) {
            return self.next_in_order(cursor, ask);
        }
        Ok(step)
    }

    fn end_or_wait(&self, next: u64) -> Step {
        match self.boundary {
            Some(boundary) if next >= boundary => Step::End,
            _ => Step::Wait(None),
        }
    }

    /// Whether what is missing stays missing.
    pub(super) const fn is_over(&self) -> bool {
        self.boundary.is_some() && (self.settled || self.orphaned)
    }

    /// Where to begin, or what to do until that is known.
    pub(super) fn begin(&self, ask: &Ask<'_>) -> std::result::Result<u64, Step> {
        let floor = ask.floor();
        if ask.first.is_some() {
            return Ok(floor);
        }
        let cached = self.cache.upward(floor).next();
        let cached = cached.map(|cached| cached.group.sequence);
        // A reader that found groups begins with them, one that found none with the lowest that has come since.
        let joined = ask.joined.filter(|joined| *joined >= floor);
        let lowest = match joined {
            Some(joined) => Some(cached.map_or(joined, |cached| cached.min(joined))),
            None => self.came.lowest(floor),
        };
        let declared = self.start.filter(|_| ask.joined.is_none());
        match (declared, lowest) {
            (Some(Start::Floor(start)), _) => {
                return Ok(lowest.map_or(start, |lowest| lowest.min(start)).max(floor));
            }
            (Some(Start::Within(start)), Some(lowest)) if start < lowest => {
                return Ok(start.max(floor));
            }
            _ => {}
        }
        let patience = match declared {
            Some(Start::Awaited) => ask.limits().start_wait,
            _ => ask.limits().reorder_wait,
        };
        let delay = ask.budget.min(patience);
        match (lowest, self.boundary) {
            (Some(lowest), _) if lowest == floor || self.is_over() => Ok(lowest),
            (Some(lowest), _) => {
                let held = self.cache.get(lowest);
                let wait = ask.wait(held.map(|held| held.group.arrived), delay);
                wait.map_or(Ok(lowest), Err)
            }
            (None, Some(boundary)) if boundary <= floor || self.is_over() => Err(Step::End),
            (None, Some(_)) => Err(ask.wait(Some(self.ended), ask.budget).unwrap_or(Step::End)),
            (None, None) => Err(Step::Wait(None)),
        }
    }

    /// The group of this sequence, if it can be delivered.
    pub(super) fn due(&self, cursor: &Ordered, sequence: u64) -> Option<Arc<group::Shared>> {
        let held = cursor.held.get(&sequence).map(Pin::group);
        // A group that was reset may have come again.
        let cached = self.cache.get(sequence).map(|cached| &cached.group);
        let asked = cursor.backfill.lowest(sequence);
        let asked = asked.filter(|group| group.sequence == sequence);
        let mut groups = [held, cached, asked].into_iter().flatten();
        groups.find(|group| !group.is_aborted()).cloned()
    }

    /// The hole that begins at `next`, if anything says that there is one.
    fn hole(&self, cursor: &Ordered, next: u64, ask: &Ask<'_>) -> Option<Hole> {
        let held = || cursor.held.range(next..).map(|(_, pin)| pin.group());
        let cached = || {
            let cached = self.cache.all_upward(next);
            // Who asked for a range is also given what was fetched of it.
            let visible = cached.filter(|cached| cached.live || ask.first.is_some());
            visible.map(|cached| &cached.group)
        };
        let healthy = |group: &&Arc<group::Shared>| !group.is_aborted();
        let fetched = cursor.backfill.lowest(next).filter(healthy);
        let after = lower(held().find(healthy), cached().find(healthy));
        let after = lower(after, fetched);
        // Something after it that came and was reset is as good a reason not to wait for ever, but what was reset before it is none.
        let open = self.first_open(next);
        let passed = |group: &&Arc<group::Shared>| group.sequence > open;
        let since = lower(held().find(passed), cached().find(passed))
            .or_else(|| lower(held().next(), cached().next()));
        let since = lower(since, fetched).map(|group| group.arrived);
        let newest = self.latest.filter(|latest| *latest >= next);
        let (to, since) = match (after, newest, self.boundary) {
            (Some(after), ..) => (after.sequence - 1, since),
            (None, Some(newest), _) => (newest, since),
            (None, None, Some(boundary)) if boundary > next => (boundary - 1, Some(self.ended)),
            (None, None, _) => return None,
        };
        let ends = [ask.last, ask.bounds.end].into_iter().flatten();
        let to = ends.fold(to, u64::min);
        Some(Hole { to, since })
    }

    /// Decides what becomes of a hole.
    fn judge(&self, cursor: &mut Ordered, next: u64, hole: &Hole, ask: &Ask<'_>) -> Step {
        if ask.first.is_some()
            && let Some(step) = self.backfill(cursor, next, hole, ask)
        {
            return step;
        }
        let refused = cursor.backfill.is_refused(next);
        // Nothing below the lowest group of a range that comes by itself comes much later than that.
        let lowest = || self.came.lowest(ask.floor());
        let reason = match self.explanation(next, hole.to) {
            _ if refused && self.is_lost(next, hole.to, ask) => GapReason::Refused,
            None if refused && lowest().is_none_or(|lowest| hole.to < lowest) => GapReason::Refused,
            Some(reason) => reason,
            None if kio::fault::mutant("impatient") => GapReason::Late,
            None if self.is_over() => GapReason::Ended,
            None if hole.to - next >= ask.limits().reorder_gap => GapReason::Jump,
            None => {
                let delay = match self.datagrams {
                    true => ask.budget.min(ask.limits().reorder_wait),
                    false => ask.budget,
                };
                cursor.weigh();
                match ask.wait(hole.since, delay) {
                    Some(wait) => {
                        self.hold_back(cursor, next, ask);
                        if !cursor.is_full(ask) {
                            cursor.waiting = true;
                            return wait;
                        }
                        GapReason::Full
                    }
                    None => GapReason::Late,
                }
            }
        };
        cursor.give_up(next, hole.to, reason)
    }

    /// Pins what waits behind a hole.
    pub(super) fn hold_back(&self, cursor: &mut Ordered, next: u64, ask: &Ask<'_>) {
        let from = cursor.scanned;
        for (arrival, cached) in self.cache.since(from) {
            if cursor.is_full(ask) {
                return;
            }
            cursor.scanned = arrival + 1;
            if cached.group.sequence > next && ask.bounds.contains(cached.group.sequence) {
                cursor.hold(&cached.group);
            }
        }
        cursor.scanned = self.cache.next_arrival();
    }

    /// The first from `next` on that has not come, and may.
    fn first_open(&self, mut next: u64) -> u64 {
        while let Some(last) = self.missing.run(next).or_else(|| self.came.run(next)) {
            match last.checked_add(1) {
                Some(following) => next = following,
                None => return last,
            }
        }
        next
    }

    /// Why none of these can come any more, if that is known of all of them.
    pub(super) fn explanation(&self, from: u64, to: u64) -> Option<GapReason> {
        let mut reason = None;
        let mut next = Some(from);
        while let Some(sequence) = next.filter(|next| *next <= to) {
            let declared = self.missing.run(sequence);
            let run = declared.or_else(|| self.came.run(sequence))?;
            let reset = || {
                let cached = self.cache.get(sequence);
                cached.is_some_and(|cached| cached.group.is_reset())
            };
            let why = match declared {
                Some(_) => GapReason::Declared,
                None if reset() => GapReason::Reset,
                None => GapReason::Expired,
            };
            reason.get_or_insert(why);
            next = run.checked_add(1);
        }
        reason
    }
}

fn lower<'a>(
    one: Option<&'a Arc<group::Shared>>,
    other: Option<&'a Arc<group::Shared>>,
) -> Option<&'a Arc<group::Shared>> {
    let groups = [one, other].into_iter().flatten();
    groups.min_by_key(|group| group.sequence)
}

#[cfg(test)]
mod tests {
    use std::{task::Poll, time::Duration};

    use kio::Waiter;

    use super::*;
    use crate::{
        Error, InOrder, Limits, Runtime, Subscription, TrackProducer, TrackSubscriber,
        test_host::TestHost,
    };

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn bench(wish: Subscription) -> (TestHost, TrackProducer, TrackSubscriber) {
        let host = TestHost::default();
        let runtime = Runtime::new(host.clone(), Limits::default());
        let track = TrackProducer::new("chat", None, &runtime);
        let reader = track.subscribe(wish.with_max_latency(Duration::from_secs(2)));
        (host, track, reader)
    }

    fn come(track: &TrackProducer, sequences: &[u64]) {
        for sequence in sequences {
            track.create_group(*sequence).unwrap().finish().unwrap();
        }
    }

    #[track_caller]
    fn reads(reader: &mut TrackSubscriber, expected: &str) {
        let mut words = Vec::new();
        while let Poll::Ready(next) = reader.poll_next_in_order(&Waiter::noop()) {
            words.push(match next.unwrap() {
                Some(InOrder::Group(group)) => group.sequence().to_string(),
                Some(InOrder::Gap(gap)) => {
                    format!("{}-{} {}", gap.from, gap.to, gap.reason.as_str())
                }
                None => "end".to_owned(),
            });
            if words.last().is_some_and(|word| word == "end") {
                break;
            }
        }
        assert_eq!(words.join(", "), expected);
    }

    #[test]
    fn a_declared_floor_is_where_to_begin() {
        let (host, track, mut reader) = bench(Subscription::default());
        track.declare_start(Start::Floor(3));
        come(&track, &[5]);
        reads(&mut reader, "");
        come(&track, &[3]);
        reads(&mut reader, "3");
        host.set(2);
        reads(&mut reader, "4-4 late, 5");
        // It says nothing to a reader that comes later.
        let mut late = track.subscribe(Subscription::default());
        host.set(9);
        come(&track, &[6]);
        reads(&mut late, "3-5 late, 6");
    }

    #[test]
    fn a_group_that_was_named_first_is_waited_for_but_may_not_be_the_first() {
        let (host, track, mut reader) = bench(Subscription::default());
        track.declare_start(Start::Within(3));
        come(&track, &[5]);
        reads(&mut reader, "");
        host.set(2);
        reads(&mut reader, "3-4 late, 5");
        let (host, track, mut reader) = bench(Subscription::default());
        track.declare_start(Start::Within(3));
        come(&track, &[3]);
        reads(&mut reader, "");
        come(&track, &[2]);
        host.set(1);
        reads(&mut reader, "2, 3");
    }

    #[test]
    fn what_is_declared_missing_is_not_waited_for() {
        let (_, track, mut reader) = bench(Subscription::default().with_group_start(0));
        track.declare_missing(0, 2);
        come(&track, &[3, 5]);
        reads(&mut reader, "0-2 declared, 3");
        track.declare_missing(4, 4);
        reads(&mut reader, "4-4 declared, 5");
        track.declare_missing(6, 7);
        come(&track, &[9]);
        reads(&mut reader, "");
        track.declare_missing(8, 8);
        reads(&mut reader, "6-8 declared, 9");
    }

    #[test]
    fn a_group_that_was_reset_does_not_shorten_the_wait_for_the_next() {
        let (host, track, mut reader) = bench(Subscription::default());
        come(&track, &[0]);
        reads(&mut reader, "0");
        for sequence in [1, 2] {
            let group = track.create_group(sequence).unwrap();
            group.abort(Error::Cancel).unwrap();
        }
        host.set(1);
        come(&track, &[4]);
        reads(&mut reader, "");
        host.set(2);
        reads(&mut reader, "");
        come(&track, &[3]);
        reads(&mut reader, "1-2 reset, 3, 4");
    }

    #[test]
    fn what_has_settled_is_not_waited_for() {
        let (_, track, mut reader) = bench(Subscription::default());
        come(&track, &[0, 2]);
        reads(&mut reader, "0");
        track.finish_before(4).unwrap();
        reads(&mut reader, "");
        track.settle();
        reads(&mut reader, "1-1 ended, 2, 3-3 ended, end");
    }
}
