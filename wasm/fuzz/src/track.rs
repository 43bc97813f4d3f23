//! Tracks: any order of writing, reading, fetching, waiting and leaving. What is read is what was written.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use kio::{Future as _, Pending};
use moq_net::{
    Error, Fetch, FrameProducer, GroupConsumer, GroupProducer, GroupRequest, Limits, Subscription,
    TrackConsumer, TrackDynamic, TrackFetch, TrackInfo, TrackProducer, TrackRequest,
    TrackSubscribe, TrackSubscriber,
};

use crate::{
    input::Input,
    support::look::{World, look},
};

/// More of one kind than this reaches nothing new.
const MANY: usize = 16;

/// The payload of a frame says where it belongs.
fn payload(sequence: u64, index: u64) -> Bytes {
    let size = (sequence.wrapping_mul(7).wrapping_add(index * 13) % 200) as usize;
    let mut bytes = vec![index as u8; size];
    bytes.extend(sequence.to_be_bytes());
    Bytes::from(bytes)
}

/// A group being written, and how many frames it has.
struct Writing {
    group: GroupProducer,
    frames: u64,
    /// A frame in pieces, and what is still missing of it.
    open: Option<(FrameProducer, Bytes)>,
}

impl Writing {
    fn new(group: GroupProducer, frames: u64) -> Self {
        Self {
            group,
            frames,
            open: None,
        }
    }

    fn whole(&mut self) {
        let frame = payload(self.group.sequence(), self.frames);
        if self.group.write_frame(frame).is_ok() {
            self.frames += 1;
        }
    }

    fn piece(&mut self, size: usize) {
        let (frame, mut rest) = match self.open.take() {
            Some(open) => open,
            None => {
                let bytes = payload(self.group.sequence(), self.frames);
                let Ok(frame) = self.group.create_frame(bytes.len()) else {
                    return;
                };
                self.frames += 1;
                (frame, bytes)
            }
        };
        let piece = rest.split_to(size.min(rest.len()));
        if frame.write(piece).is_err() {
            return;
        }
        match rest.is_empty() {
            true => {
                // Over by other means: its group was given up.
                let _over = frame.finish();
            }
            false => self.open = Some((frame, rest)),
        }
    }
}

/// A subscriber with what its two cursors gave: each group once, and one of them in order.
struct Reading {
    subscriber: TrackSubscriber,
    arrived: BTreeSet<u64>,
    next: Option<u64>,
    floor: u64,
}

impl Reading {
    fn arrivals(&mut self) -> Vec<GroupConsumer> {
        let mut groups = Vec::new();
        while let Some(Ok(Some(group))) = look(|waiter| self.subscriber.poll_recv_group(waiter)) {
            let sequence = group.sequence();
            assert!(self.arrived.insert(sequence), "group {sequence} twice");
            groups.push(group);
        }
        groups
    }

    fn in_order(&mut self) -> Vec<GroupConsumer> {
        let mut groups = Vec::new();
        while let Some(Ok(Some(group))) = look(|waiter| self.subscriber.poll_next_group(waiter)) {
            let sequence = group.sequence();
            assert!(
                self.next.is_none_or(|last| sequence > last),
                "{sequence} out of order"
            );
            assert!(sequence >= self.floor, "{sequence} below the floor");
            self.next = Some(sequence);
            groups.push(group);
        }
        groups
    }
}

/// Reads what there is of a group, all of which must be what was written.
fn read(group: &mut GroupConsumer) {
    for _ in 0..64 {
        let index = group.index();
        match look(|waiter| group.poll_read_frame(waiter)) {
            Some(Ok(Some(frame))) => {
                assert_eq!(frame, payload(group.sequence(), index), "another frame")
            }
            Some(Ok(None)) => {
                let total = look(|waiter| group.poll_finished(waiter));
                assert!(
                    matches!(total, Some(Ok(_))),
                    "ended without a number of frames"
                );
                return;
            }
            Some(Err(Error::CacheFull)) => group.seek(index + 1),
            Some(Err(_)) | None => return,
        }
    }
}

/// Everything an input can hold.
struct Hands {
    request: Option<TrackRequest>,
    producers: Vec<TrackProducer>,
    consumers: Vec<TrackConsumer>,
    handlers: Vec<TrackDynamic>,
    requests: Vec<GroupRequest>,
    writing: Vec<Writing>,
    pending: Vec<Pending<TrackSubscribe>>,
    fetches: Vec<(u64, Pending<TrackFetch>)>,
    readings: Vec<Reading>,
    groups: Vec<GroupConsumer>,
}

fn at<'a, T>(all: &'a mut [T], input: &mut Input<'_>) -> Option<&'a mut T> {
    let index = input.below(all.len());
    all.get_mut(index)
}

fn take<T>(all: &mut Vec<T>, input: &mut Input<'_>) -> Option<T> {
    let index = input.below(all.len());
    (index < all.len()).then(|| all.swap_remove(index))
}

fn wish(input: &mut Input<'_>) -> Subscription {
    let start = input.number();
    let end = input.number();
    Subscription::default()
        .with_priority(input.byte())
        .with_ordered(input.byte() & 1 == 1)
        .with_max_latency(Duration::from_millis(input.number()))
        .with_group_start((!start.is_multiple_of(3)).then_some(start))
        .with_group_end((!end.is_multiple_of(3)).then_some(end))
}

impl Hands {
    fn subscribed(&mut self, subscriber: TrackSubscriber) {
        self.readings.push(Reading {
            subscriber,
            arrived: BTreeSet::new(),
            next: None,
            floor: 0,
        });
    }

    fn write(&mut self, group: Result<GroupProducer, Error>, from: u64) {
        if let Ok(group) = group {
            self.writing.push(Writing::new(group, from));
        }
    }

    /// Everything that is ready is read and checked.
    fn settle(&mut self, input: &mut Input<'_>) {
        let ordered = input.byte() & 1 == 1;
        let mut fresh = Vec::new();
        for reading in &mut self.readings {
            fresh.extend(match ordered {
                true => reading.in_order(),
                false => reading.arrivals(),
            });
        }
        let mut resolved = Vec::new();
        self.pending
            .retain(|pending| match look(|waiter| pending.poll_ok(waiter)) {
                Some(Ok(subscriber)) => {
                    resolved.push(subscriber);
                    false
                }
                Some(Err(_)) => false,
                None => true,
            });
        for subscriber in resolved {
            self.subscribed(subscriber);
        }
        self.fetches.retain(
            |(sequence, fetch)| match look(|waiter| fetch.poll(waiter)) {
                Some(Ok(group)) => {
                    assert_eq!(group.sequence(), *sequence, "another group");
                    fresh.push(group);
                    false
                }
                Some(Err(_)) => false,
                None => true,
            },
        );
        self.groups.extend(fresh);
        self.groups.iter_mut().for_each(read);
        let surplus = self.groups.len().saturating_sub(MANY);
        self.groups.drain(..surplus);
        self.readings.truncate(MANY);
    }

    fn step(&mut self, world: &World, input: &mut Input<'_>) {
        match input.byte() % 26 {
            0 => {
                if let Some(request) = self.request.take() {
                    match input.byte() % 4 {
                        0 => request.reject(Error::Cancel),
                        1 => drop(request),
                        _ => self.producers.push(request.accept(TrackInfo::default())),
                    }
                }
            }
            1 | 2 => {
                if let Some(track) = at(&mut self.producers, input) {
                    let group = track.append_group();
                    self.write(group, 0);
                }
            }
            3 => {
                let sequence = input.number();
                if let Some(track) = at(&mut self.producers, input) {
                    let group = track.create_group(sequence);
                    self.write(group, 0);
                }
            }
            4 => {
                let (sequence, from) = (input.number(), u64::from(input.byte() % 8));
                if let Some(track) = at(&mut self.producers, input) {
                    let group = track.create_group_from(sequence, from);
                    self.write(group, from);
                }
            }
            5..=7 => {
                let count = input.byte() % 24;
                if let Some(writing) = at(&mut self.writing, input)
                    && writing.open.is_none()
                {
                    (0..count).for_each(|_| writing.whole());
                }
            }
            8 => {
                let size = usize::from(input.byte());
                if let Some(writing) = at(&mut self.writing, input) {
                    writing.piece(size);
                }
            }
            9 => {
                if let Some(writing) = take(&mut self.writing, input) {
                    let _over = writing.group.finish();
                }
            }
            10 => {
                if let Some(writing) = take(&mut self.writing, input) {
                    let _over = writing.group.abort(Error::App(3));
                }
            }
            11 => drop(take(&mut self.writing, input)),
            12 => {
                let sequence = input.number();
                if let Some(track) = at(&mut self.producers, input) {
                    let _refused = match sequence % 3 {
                        0 => track.finish(),
                        1 => track.finish_at(sequence / 3),
                        _ => track.finish_before(sequence / 3),
                    };
                }
            }
            13 => {
                if let Some(track) = at(&mut self.producers, input) {
                    let _refused = track.abort(Error::App(9));
                }
            }
            14 => drop(take(&mut self.producers, input)),
            15 => {
                let wish = wish(input);
                if let Some(track) = at(&mut self.producers, input) {
                    let subscriber = track.subscribe(wish);
                    self.subscribed(subscriber);
                } else if let Some(track) = at(&mut self.consumers, input)
                    && let Ok(pending) = track.subscribe(wish)
                {
                    self.pending.push(pending);
                }
            }
            16 => drop(take(&mut self.readings, input)),
            17 => {
                let wish = wish(input);
                if let Some(reading) = at(&mut self.readings, input) {
                    reading.subscriber.update(wish);
                }
            }
            18 => {
                let (from, to) = (input.number(), input.number());
                if let Some(reading) = at(&mut self.readings, input) {
                    reading.subscriber.start_at(from);
                    reading.floor = from;
                    reading.subscriber.end_at((to % 2 == 0).then_some(to));
                }
            }
            19 => {
                let (sequence, from) = (input.number(), u64::from(input.byte() % 8));
                let options = Fetch::default()
                    .with_priority(input.byte())
                    .with_frame_start(from);
                if let Some(track) = at(&mut self.consumers, input)
                    && let Ok(fetch) = track.fetch_group(sequence, options)
                {
                    self.fetches.push((sequence, fetch));
                }
            }
            20 => drop(take(&mut self.fetches, input)),
            21 => {
                if let Some(track) = at(&mut self.producers, input) {
                    let handler = track.dynamic();
                    self.handlers.push(handler);
                } else if let Some(request) = &self.request {
                    self.handlers.push(request.dynamic());
                }
            }
            22 => drop(take(&mut self.handlers, input)),
            23 => {
                if let Some(handler) = at(&mut self.handlers, input)
                    && let Some(Ok(request)) = look(|waiter| handler.poll_requested_group(waiter))
                {
                    self.requests.push(request);
                } else if let Some(request) = take(&mut self.requests, input) {
                    let from = u64::from(input.byte() % 4);
                    match from {
                        3 => request.reject(Error::NotFound),
                        from => {
                            let group = request.accept_from(None, from);
                            self.write(group, from);
                        }
                    }
                }
            }
            24 => world.pass([0, 1, 100, 999, 1001, 5001, 60_000, 600_000][input.below(8)]),
            _ => self.settle(input),
        }
        self.writing.truncate(MANY);
    }
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let world = World::with(Limits {
        group_bytes: 2000,
        group_frames: 16,
        cache_bytes: 16 << 10,
        group_requests: 4,
        ..Limits::default()
    });
    let before = world.runtime.stats();
    let request = TrackRequest::new("track", &world.runtime);
    let mut hands = Hands {
        consumers: vec![request.consume()],
        request: Some(request),
        producers: Vec::new(),
        handlers: Vec::new(),
        requests: Vec::new(),
        writing: Vec::new(),
        pending: Vec::new(),
        fetches: Vec::new(),
        readings: Vec::new(),
        groups: Vec::new(),
    };
    while !input.is_empty() {
        hands.step(&world, &mut input);
        let stats = world.runtime.stats();
        // The newest frame of a group that somebody writes may be over.
        assert!(stats.cached_bytes <= (16 << 10) + 1024, "{stats:?}");
    }
    hands.settle(&mut input);
    // Without anybody who writes or serves, every wait is over.
    hands.request = None;
    hands.producers.clear();
    hands.handlers.clear();
    hands.requests.clear();
    hands.writing.clear();
    for pending in &hands.pending {
        assert!(
            look(|waiter| pending.poll_ok(waiter)).is_some(),
            "a subscription hangs"
        );
    }
    for (sequence, fetch) in &hands.fetches {
        assert!(
            look(|waiter| fetch.poll(waiter)).is_some(),
            "the fetch of {sequence} hangs"
        );
    }
    for reading in &mut hands.readings {
        reading.subscriber.end_at(None);
        reading.arrivals();
        let end = look(|waiter| reading.subscriber.poll_recv_group(waiter));
        assert!(end.is_some(), "a subscriber hangs");
    }
    drop(hands);
    let after = world.runtime.stats();
    let after = moq_net::Stats {
        evicted_groups: before.evicted_groups,
        dropped_datagrams: before.dropped_datagrams,
        ..after
    };
    assert_eq!(after, before, "something is left behind");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "00 02  0f 00 00 05 00 00 00  01 00  05 03 00  19 00  09 00  0c 00 00  19 00",
        "0f 00 00 05 00 00  00 02  19 00  03 05 00  05 02 00  09 00  03 03 00  19 01  19 00",
        "00 02  15 00  13 05 00 07 00  17 00  17 01 00 00  05 04 00  09 00  19 00",
        "13 04 02 01 00  15 00 17 00 00  00 02  19 00",
        "00 02  0f 00 00 05 00 00 00  01 00  08 05 00  08 ff 00  19 00  0a 00  19 00  0d 00",
        "00 02  01 00 05 17 00  01 00 05 17 00  18 05  01 00 05 17 00  18 07  01 00  0f 00 00 00 00 00 00  19 01",
        "00 02  03 ff 00  0f 00 00 00 00 00 00  12 02 05 00  01 00  19 00  0e 00",
    ]
    .iter()
    .map(|line| crate::hex(line))
    .collect()
}
