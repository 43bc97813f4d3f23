//! The task of a reader: it pulls from the model and packs.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use kio::{Pending, Waiter};
use moq_net::{
    Gap, GroupConsumer, InOrder, Instant, Runtime, Sleep, Subscription, TrackSubscribe,
    TrackSubscriber,
};

use super::{
    group::{Open, pack, pack_over},
    pace::Pace,
    state::{Reader, Steering},
};
use crate::{
    error::{ErrorData, Fault},
    number,
};

/// With this much in a batch, waiting for more saves hardly anything.
const BATCH_FRAMES: u32 = 256;
const BATCH_BYTES: usize = 1 << 20;

/// A batch with less than this in it is a message somebody may be waiting for: it never waits for its turn.
const PACE_FRAMES: u32 = 4;
const PACE_BYTES: usize = 16_384;

/// Sequences that are remembered so that a change of order delivers no group twice: more than a track keeps in its cache, as a rule.
const STARTED: usize = 1024;

/// Where the groups come from.
enum Source {
    /// Waiting for the publisher to confirm.
    Asked(Pending<TrackSubscribe>),
    Live(Box<TrackSubscriber>),
    /// No group follows.
    Over,
}

/// A subscription whose start counts back from the newest group.
pub(crate) struct Back {
    pub(crate) groups: u64,
    pub(crate) newest: Pin<Box<dyn Future<Output = moq_net::Result<Option<u64>>>>>,
    pub(crate) wish: Subscription,
}

/// The first of the last so many groups.
const fn start_of(newest: u64, groups: u64) -> u64 {
    newest.saturating_add(1).saturating_sub(groups)
}

impl Source {
    /// Where the last so many groups begin, as far as is known.
    fn back(&self, groups: u64) -> Option<u64> {
        match self {
            Self::Live(subscriber) => subscriber.latest().map(|newest| start_of(newest, groups)),
            Self::Asked(_) | Self::Over => None,
        }
    }
}

/// Whether a group is part of what was asked for.
fn in_range(wish: &Subscription, sequence: u64) -> bool {
    sequence >= wish.group_start.unwrap_or(0) && wish.group_end.is_none_or(|end| sequence <= end)
}

/// A reader at work.
struct Task {
    reader: Reader,
    runtime: Runtime,
    source: Source,
    /// Groups being read, oldest first.
    open: Vec<Open>,
    next_gid: u32,
    /// Above every group that was started.
    next_sequence: u64,
    /// Groups that were started last.
    started: VecDeque<u64>,
    /// In order of arrival.
    arrival: bool,
    /// What lies below was read in order of arrival, in which nothing is missing.
    arrived: u64,
    /// Somebody reads datagrams.
    datagrams: bool,
    /// What ended the source, for the very last message.
    error: Bytes,
    /// How long frames may be held back for company.
    hold: Duration,
    held: Option<Sleep>,
    pace: Pace,
    /// What was asked and cannot be done yet: filters before there is a subscriber, wants that found nothing.
    later: Steering,
    /// What is read, for people.
    subject: String,
}

/// Read a subscription to its end.
pub(crate) async fn subscribed(
    reader: Reader,
    runtime: Runtime,
    mut subscribe: Pending<TrackSubscribe>,
    back: Option<Back>,
    hold: Duration,
    subject: String,
) {
    if let Some(back) = back {
        // What ended the track is said by the subscription.
        let newest = back.newest.await.unwrap_or(None);
        let start = newest.map(|newest| start_of(newest, back.groups));
        subscribe.update(back.wish.with_group_start(start));
    }
    let mut task = Task::new(reader, runtime, Source::Asked(subscribe), hold);
    task.subject = subject;
    task.run().await;
}

/// Read one group to its end; its number is 0.
pub(crate) async fn fetched(reader: Reader, runtime: Runtime, group: GroupConsumer) {
    let mut task = Task::new(reader, runtime, Source::Over, Duration::ZERO);
    task.next_gid = 0;
    task.start(group);
    task.run().await;
}

impl Task {
    fn new(reader: Reader, runtime: Runtime, source: Source, hold: Duration) -> Self {
        Self {
            reader,
            pace: Pace::new(runtime.now()),
            runtime,
            source,
            open: Vec::new(),
            next_gid: 1,
            next_sequence: 0,
            started: VecDeque::new(),
            arrival: false,
            arrived: 0,
            datagrams: false,
            error: Bytes::new(),
            hold,
            held: None,
            later: Steering::default(),
            subject: String::new(),
        }
    }

    async fn run(mut self) {
        let mut last = Bytes::new();
        kio::wait(|waiter| {
            self.poll(waiter)
                .map(|()| last = std::mem::take(&mut self.error))
        })
        .await;
        self.reader.end(last);
    }

    /// Pack what credit allows. Ready when nothing will ever follow.
    fn poll(&mut self, waiter: &Waiter) -> Poll<()> {
        let mut wants = self.steer(waiter);
        self.poll_confirmed(waiter);
        self.poll_open(waiter, &mut wants);
        // Before the end of the track can be found, behind which nothing is delivered.
        self.poll_datagrams(waiter, &mut wants);
        while self.poll_group(waiter, &mut wants) {
            self.poll_open(waiter, &mut wants);
        }
        // What found nothing yet is still wanted.
        self.later.wants = wants;
        self.poll_held(waiter);
        if matches!(self.source, Source::Over) && self.open.is_empty() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Do what was asked; returns the wants.
    fn steer(&mut self, waiter: &Waiter) -> Vec<u32> {
        let asked = self.reader.take_steering(waiter);
        if let Some((subscription, back)) = asked.subscription {
            let start = back.and_then(|groups| self.source.back(groups));
            let subscription = subscription.with_group_start(start.or(subscription.group_start));
            match &mut self.source {
                Source::Asked(subscribe) => subscribe.update(subscription),
                Source::Live(subscriber) => subscriber.update(subscription),
                Source::Over => {}
            }
        }
        if let Some(hold) = asked.hold_ms {
            self.hold = Duration::from_millis(hold);
            self.held = None;
        }
        if let Some(arrival) = asked.arrival {
            if self.arrival && !arrival {
                self.arrived = self.next_sequence;
            }
            self.arrival = arrival;
        }
        self.datagrams |= asked.datagrams;
        self.later.start = asked.start.or(self.later.start);
        self.later.end = asked.end.or(self.later.end);
        if let Source::Live(subscriber) = &mut self.source {
            if let Some(start) = self.later.start.take() {
                subscriber.start_at(start);
            }
            if let Some(end) = self.later.end.take() {
                subscriber.end_at(end);
            }
        }
        self.open.retain(|open| !asked.skips.contains(&open.gid));
        let mut wants = std::mem::take(&mut self.later.wants);
        for gid in asked.wants {
            if !wants.contains(&gid) {
                wants.push(gid);
            }
        }
        // A want for a group that is over or abandoned is answered by that.
        wants.retain(|gid| *gid == 0 || self.open.iter().any(|open| open.gid == *gid));
        wants
    }

    fn poll_confirmed(&mut self, waiter: &Waiter) {
        let Source::Asked(subscribe) = &self.source else {
            return;
        };
        let Poll::Ready(result) = subscribe.poll_ok(waiter) else {
            return;
        };
        match result {
            Ok(mut subscriber) => {
                if let Some(start) = self.later.start.take() {
                    subscriber.start_at(start);
                }
                if let Some(end) = self.later.end.take() {
                    subscriber.end_at(end);
                }
                self.reader.confirm(Ok(*subscriber.info()));
                self.source = Source::Live(Box::new(subscriber));
            }
            Err(error) => {
                let error = ErrorData::of(&error, Fault::Peer, &self.subject);
                self.error = error.to_bytes();
                self.reader.confirm(Err(error));
                self.source = Source::Over;
            }
        }
    }

    /// Read the open groups, oldest first.
    fn poll_open(&mut self, waiter: &Waiter, wants: &mut Vec<u32>) {
        let (reader, runtime) = (self.reader.clone(), &self.runtime);
        self.open.retain_mut(|open| {
            loop {
                let wanted = wants.iter().position(|gid| *gid == open.gid && *gid != 0);
                if !reader.has_credit() && wanted.is_none() {
                    return !pack_over(&reader, open, waiter);
                }
                if reader.is_full() {
                    // The worker drains first; this goes on right after.
                    waiter.waker().wake_by_ref();
                    return true;
                }
                match open.poll_next(waiter, runtime) {
                    Poll::Pending => return true,
                    Poll::Ready(next) => {
                        if let Some(index) = wanted {
                            wants.swap_remove(index);
                        }
                        if pack(&reader, open, next) {
                            return false;
                        }
                    }
                }
            }
        });
    }

    /// Start the next group if there is one and it may be delivered. True when there was.
    fn poll_group(&mut self, waiter: &Waiter, wants: &mut Vec<u32>) -> bool {
        let Source::Live(subscriber) = &mut self.source else {
            return false;
        };
        let wanted = wants.iter().position(|gid| *gid == 0);
        if self.reader.is_full() {
            waiter.waker().wake_by_ref();
            return false;
        }
        if !self.reader.has_credit() && wanted.is_none() {
            // The end of the track needs no credit, and whoever waits for a group must hear of it.
            match subscriber.poll_finished(waiter) {
                // By arrival, groups below the highest may be left; whoever waits for them asks past the credit.
                Poll::Ready(Ok(boundary)) if self.arrival || self.next_sequence < boundary => {
                    return false;
                }
                Poll::Ready(Ok(boundary)) => self.finish(Some(boundary), Bytes::new()),
                Poll::Ready(Err(error)) => {
                    let error = ErrorData::of(&error, Fault::Peer, &self.subject);
                    self.finish(None, error.to_bytes())
                }
                Poll::Pending => {}
            }
            return false;
        }
        let next = if self.arrival {
            let group = subscriber.poll_recv_group(waiter);
            group.map_ok(|group| group.map(InOrder::Group))
        } else {
            subscriber.poll_next_in_order(waiter)
        };
        let Poll::Ready(result) = next else {
            return false;
        };
        if let Ok(Some(InOrder::Group(group))) = &result
            && self.started.contains(&group.sequence())
        {
            // It came in the other order already.
            return true;
        }
        if self.arrival
            && let Ok(Some(InOrder::Group(group))) = &result
            && !in_range(&subscriber.subscription(), group.sequence())
        {
            // What another subscription of the track brings.
            return true;
        }
        if let Some(index) = wanted {
            wants.swap_remove(index);
        }
        match result {
            Ok(Some(InOrder::Group(group))) => {
                self.start(group);
                true
            }
            Ok(Some(InOrder::Gap(gap))) => {
                self.miss(gap);
                true
            }
            Ok(None) => {
                let boundary = match subscriber.poll_finished(waiter) {
                    Poll::Ready(Ok(boundary)) => Some(boundary),
                    // The range is over, and the track goes on.
                    _ => subscriber
                        .subscription()
                        .group_end
                        .and_then(|end| end.checked_add(1)),
                };
                self.finish(boundary, Bytes::new());
                false
            }
            Err(error) => {
                let error = ErrorData::of(&error, Fault::Peer, &self.subject);
                self.finish(None, error.to_bytes());
                false
            }
        }
    }

    /// Pack datagrams as long as credit allows. They need no order and no end. Past the credit, one is as good as the next group.
    fn poll_datagrams(&mut self, waiter: &Waiter, wants: &mut Vec<u32>) {
        while self.datagrams {
            let wanted = wants.iter().position(|gid| *gid == 0);
            if !self.reader.has_credit() && wanted.is_none() {
                return;
            }
            if self.reader.is_full() {
                waiter.waker().wake_by_ref();
                return;
            }
            let Source::Live(subscriber) = &mut self.source else {
                return;
            };
            let Poll::Ready(Ok(Some(datagram))) = subscriber.poll_recv_datagram(waiter) else {
                return;
            };
            if let Some(index) = wanted.filter(|_| !self.reader.has_credit()) {
                wants.swap_remove(index);
            }
            let timestamp = datagram
                .timestamp
                .map(|timestamp| number::out("timestamp", timestamp.value))
                .transpose();
            // What the page cannot name is lost, as on the network.
            if let (Ok(sequence), Ok(timestamp)) =
                (number::out("group sequence", datagram.sequence), timestamp)
            {
                self.reader
                    .pack(|batch| batch.datagram(sequence, timestamp, datagram.payload));
            }
        }
    }

    fn start(&mut self, group: GroupConsumer) {
        let gid = self.next_gid;
        self.next_gid += 1;
        self.next_sequence = self.next_sequence.max(group.sequence().saturating_add(1));
        if self.started.len() == STARTED {
            self.started.pop_front();
        }
        self.started.push_back(group.sequence());
        let timescale = group.timescale().map_or(0, |scale| scale.get());
        let sequence = number::out("group sequence", group.sequence());
        let scale = number::out("timescale", timescale);
        let first = number::out("frame index", group.index());
        match (sequence, scale, first) {
            (Ok(sequence), Ok(scale), Ok(first)) => {
                self.reader
                    .pack(|batch| batch.group(gid, sequence, scale, first));
                self.open.push(Open::new(gid, group));
            }
            // Only this group fails: the page cannot name it.
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => self.reader.pack(|batch| {
                batch.group(gid, f64::NAN, 0.0, 0.0);
                batch.group_error(gid, error.to_bytes());
            }),
        }
    }

    /// Groups are missing. The page can name none above its numbers.
    fn miss(&mut self, gap: Gap) {
        self.next_sequence = self.next_sequence.max(gap.to.saturating_add(1));
        let (from, to) = (gap.from.max(self.arrived), gap.to.min(number::MAX));
        if from <= to {
            self.reader
                .pack(|batch| batch.gap(from as f64, to as f64, gap.reason));
        }
    }

    /// No group follows. `boundary` is the sequence after the last one, where the track has an end.
    fn finish(&mut self, boundary: Option<u64>, error: Bytes) {
        self.source = Source::Over;
        self.error = error.clone();
        let boundary = boundary.and_then(|boundary| number::out("final boundary", boundary).ok());
        self.reader
            .pack(|batch| batch.track_end(boundary.unwrap_or(f64::NAN), error));
    }

    /// Decide whether the batch goes out now or waits for company.
    fn poll_held(&mut self, waiter: &Waiter) {
        let (empty, light, large) = {
            let batch = self.reader.batch();
            let light = batch.frames() < PACE_FRAMES && batch.bytes() < PACE_BYTES;
            let large = batch.frames() >= BATCH_FRAMES || batch.bytes() >= BATCH_BYTES;
            // Without credit no company will come.
            (batch.is_empty(), light, large || !self.reader.has_credit())
        };
        if empty {
            return;
        }
        let over = matches!(self.source, Source::Over);
        let now = self.runtime.now();
        let mut due = now + self.hold;
        if !light {
            due = due.max(self.pace.next());
        }
        if due > now && !large && !over && !self.poll_hold(due, waiter) {
            return;
        }
        self.held = None;
        self.pace.spend(now);
        self.reader.deliver();
    }

    /// True once the batch was held long enough. What arrives meanwhile does not prolong it.
    fn poll_hold(&mut self, due: Instant, waiter: &Waiter) -> bool {
        let sleep = self
            .held
            .get_or_insert_with(|| self.runtime.sleep_until(due));
        sleep
            .as_mut()
            .poll(&mut Context::from_waker(waiter.waker()))
            .is_ready()
    }
}
