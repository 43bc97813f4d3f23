//! When a group is too old to be waited for, and datagrams.

mod support;

use std::time::Duration;

use kio::Future as _;
use moq_net::{
    Error, GroupConsumer, GroupProducer, Limits, Subscription, Timescale, Timestamp, TrackInfo,
    TrackProducer, TrackSubscriber,
};
use support::look::{Probe, World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn timed(world: &World) -> TrackProducer {
    let info = TrackInfo::default().with_timescale(Timescale::MILLI);
    TrackProducer::new("video", info, &world.runtime)
}

fn within(track: &TrackProducer, millis: u64) -> TrackSubscriber {
    track.subscribe(Subscription::default().with_max_latency(Duration::from_millis(millis)))
}

fn recv(subscriber: &mut TrackSubscriber) -> GroupConsumer {
    look(|waiter| subscriber.poll_recv_group(waiter))
        .unwrap()
        .unwrap()
        .unwrap()
}

fn at(group: &GroupProducer, millis: u64) {
    group
        .write_timed(Timestamp::from_millis(millis), "x")
        .unwrap();
}

#[test]
fn the_newest_group_is_never_stale() {
    let world = World::new();
    let track = timed(&world);
    let mut subscriber = within(&track, 0);
    let group = track.append_group().unwrap();
    at(&group, 0);
    at(&group, 1_000_000);
    world.pass(3_600_000);
    assert!(!recv(&mut subscriber).is_stale());
}

#[test]
fn without_patience_a_newer_group_is_enough() {
    let world = World::new();
    let track = timed(&world);
    let mut subscriber = within(&track, 0);
    let _old = track.append_group().unwrap();
    let group = recv(&mut subscriber);
    let probe = Probe::new();
    probe.park(|waiter| group.poll_stale(waiter));
    let _new = track.append_group().unwrap();
    assert!(probe.wakes() > 0);
    assert!(group.is_stale());
}

#[test]
fn presentation_time_decides_where_there_is_one() {
    let world = World::new();
    let track = timed(&world);
    let mut subscriber = within(&track, 100);
    let old = track.append_group().unwrap();
    at(&old, 0);
    let group = recv(&mut subscriber);
    let new = track.append_group().unwrap();
    at(&new, 33);
    world.pass(10_000);
    at(&new, 133);
    assert!(
        !group.is_stale(),
        "133 is 100 after the successor began at 33, however long it took"
    );
    let probe = Probe::new();
    probe.park(|waiter| group.poll_stale(waiter));
    at(&new, 134);
    assert!(
        probe.wakes() > 0,
        "frames of the newest group move the clock"
    );
    assert!(group.is_stale());
}

#[test]
fn the_successor_and_the_newest_group_may_be_different() {
    let world = World::new();
    let track = timed(&world);
    let mut subscriber = within(&track, 100);
    let groups: Vec<_> = (0..4).map(|_| track.append_group().unwrap()).collect();
    for (group, start) in groups.iter().zip([0, 50, 100, 150]) {
        at(group, start);
    }
    let readers: Vec<_> = (0..4).map(|_| recv(&mut subscriber)).collect();
    let stale = || {
        readers
            .iter()
            .map(GroupConsumer::is_stale)
            .collect::<Vec<_>>()
    };
    assert_eq!(stale(), [false; 4]);
    at(&groups[3], 151);
    assert_eq!(stale(), [true, false, false, false]);
    // A frame that is earlier than its predecessor (a B-frame) does not turn the clock back.
    at(&groups[3], 201);
    at(&groups[3], 180);
    assert_eq!(stale(), [true, true, false, false]);
}

#[test]
fn arrival_decides_on_tracks_without_time() {
    let world = World::new();
    let track = TrackProducer::new("data", None, &world.runtime);
    let mut subscriber = within(&track, 100);
    let _old = track.append_group().unwrap();
    let group = recv(&mut subscriber);
    world.pass(1000);
    let new = track.append_group().unwrap();
    world.pass(100);
    new.write_frame("x").unwrap();
    world.pass(1);
    new.write_frame("y").unwrap();
    assert!(
        !group.is_stale(),
        "the successor's first frame is where it begins"
    );
    world.pass(100);
    new.write_frame("z").unwrap();
    assert!(group.is_stale());
}

#[test]
fn patience_is_bounded_by_the_cache_and_may_be_endless() {
    let world = World::new();
    let info = TrackInfo::default()
        .with_timescale(Timescale::MILLI)
        .with_cache(Duration::from_millis(200));
    let track = TrackProducer::new("video", info, &world.runtime);
    let mut patient = within(&track, 10_000);
    let mut endless = track.subscribe(Subscription::default().with_max_latency(Duration::MAX));
    let _old = track.append_group().unwrap();
    let readers = [recv(&mut patient), recv(&mut endless)];
    let new = track.append_group().unwrap();
    at(&new, 0);
    at(&new, 201);
    assert!(readers[0].is_stale());
    assert!(!readers[1].is_stale());
}

#[test]
fn a_subscriber_that_changes_its_mind_changes_the_answer() {
    let world = World::new();
    let track = timed(&world);
    let mut subscriber = within(&track, 0);
    let _old = track.append_group().unwrap();
    let group = recv(&mut subscriber);
    let new = track.append_group().unwrap();
    at(&new, 0);
    at(&new, 50);
    assert!(group.is_stale());
    subscriber.update(Subscription::default().with_max_latency(Duration::from_millis(50)));
    assert!(!group.is_stale());
}

#[test]
fn waiting_for_a_stale_group_fails_but_what_is_there_is_given() {
    let world = World::new();
    let track = timed(&world);
    let mut subscriber = within(&track, 0);
    let old = track.append_group().unwrap();
    at(&old, 0);
    at(&old, 10);
    let mut group = recv(&mut subscriber);
    let probe = Probe::new();
    let _new = track.append_group().unwrap();
    let mut next = || {
        look(|waiter| group.poll_next_timely(waiter))
            .map(|frame| frame.map(|frame| frame.is_some()))
    };
    assert_eq!([next(), next()], [Some(Ok(true)), Some(Ok(true))]);
    assert_eq!(next(), Some(Err(Error::Old)));
    at(&old, 20);
    assert_eq!(next(), Some(Ok(true)), "it flows again");
    old.finish().unwrap();
    assert_eq!(next(), Some(Ok(false)), "a clean end needs no waiting");
    let mut fresh = recv(&mut subscriber);
    probe.park(|waiter| fresh.poll_next_timely(waiter));
    let _newer = track.append_group().unwrap();
    assert!(probe.wakes() > 0);
    assert!(matches!(
        look(|waiter| fresh.poll_next_timely(waiter)),
        Some(Err(Error::Old))
    ));
}

#[test]
fn fetched_groups_are_never_stale() {
    let world = World::new();
    let track = timed(&world);
    let _groups = [track.append_group().unwrap(), track.append_group().unwrap()];
    let pending = track.consume().fetch_group(0, None).unwrap();
    let group = look(|waiter| pending.poll(waiter)).unwrap().unwrap();
    assert!(!group.is_stale());
    assert!(!track.consume().get_group(0).unwrap().is_stale());
}

#[test]
fn asking_for_staleness_keeps_neither_track_nor_subscription() {
    let world = World::new();
    let track = timed(&world);
    let mut subscriber = within(&track, 0);
    let _groups = [track.append_group().unwrap(), track.append_group().unwrap()];
    let group = recv(&mut subscriber);
    drop(subscriber);
    assert_eq!(track.subscription(), None);
    assert!(look(|waiter| track.poll_unused(waiter)).is_some());
    assert!(group.is_stale());
    drop(track);
    assert!(!group.is_stale());
    assert_eq!(world.runtime.stats().tracks, 0);
}

// ---- datagrams

fn datagram(subscriber: &mut TrackSubscriber) -> Option<Result<Option<(u64, String)>, Error>> {
    look(|waiter| subscriber.poll_recv_datagram(waiter)).map(|result| {
        result.map(|datagram| {
            datagram.map(|datagram| {
                (
                    datagram.sequence,
                    String::from_utf8(datagram.payload.to_vec()).unwrap(),
                )
            })
        })
    })
}

fn got(sequence: u64, payload: &str) -> Option<Result<Option<(u64, String)>, Error>> {
    Some(Ok(Some((sequence, payload.into()))))
}

#[test]
fn datagrams_take_sequences_of_their_track_and_count_as_groups() {
    let world = World::new();
    let track = TrackProducer::new("data", None, &world.runtime);
    let mut subscriber = track.subscribe(None);
    let probe = Probe::new();
    probe.park(|waiter| subscriber.poll_recv_datagram(waiter));
    assert_eq!(track.write_frame("stream"), Ok(0));
    assert_eq!(track.write_datagram("datagram", None), Ok(1));
    assert!(probe.wakes() > 0);
    assert_eq!(datagram(&mut subscriber), got(1, "datagram"));
    assert_eq!(datagram(&mut subscriber), None);
    let (mut first, second) = (recv(&mut subscriber), recv(&mut subscriber));
    assert!(!first.is_datagram() && second.is_datagram() && second.is_finished());
    assert_eq!(
        look(|waiter| first.poll_read_frame(waiter)),
        Some(Ok(Some("stream".into())))
    );
    assert_eq!(second.sequence(), 1);
    track.finish().unwrap();
    assert_eq!(datagram(&mut subscriber), Some(Ok(None)));
}

#[test]
fn a_datagram_keeps_the_rules_of_its_track() {
    let world = World::new();
    let track = timed(&world);
    let mut subscriber = track.subscribe(None);
    assert_eq!(
        track.write_datagram("x", None),
        Err(Error::TimestampMismatch)
    );
    let limit = world.runtime.limits().datagram_size;
    let stamp = Timestamp::new(2, Timescale::SECOND);
    assert_eq!(
        track.write_datagram(vec![0; limit + 1], stamp),
        Err(Error::FrameTooLarge)
    );
    assert_eq!(track.latest(), None);
    track.write_datagram(vec![b'x'; limit], stamp).unwrap();
    let datagram = look(|waiter| subscriber.poll_recv_datagram(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(datagram.timestamp, Some(Timestamp::from_millis(2000)));
    assert_eq!(datagram.payload.len(), limit);
}

#[test]
fn a_received_datagram_keeps_its_sequence_and_comes_once() {
    let world = World::new();
    let track = TrackProducer::new("data", None, &world.runtime);
    let mut subscriber = track.subscribe(None);
    track.write_datagram_at(7, "seven", None).unwrap();
    assert_eq!(
        track.write_datagram_at(7, "again", None),
        Err(Error::Duplicate)
    );
    assert_eq!(track.create_group(7).err(), Some(Error::Duplicate));
    track.write_datagram_at(3, "three", None).unwrap();
    assert_eq!(datagram(&mut subscriber), got(7, "seven"));
    assert_eq!(datagram(&mut subscriber), got(3, "three"));
    assert_eq!(track.write_datagram("eight", None), Ok(8));
}

#[test]
fn datagrams_outside_of_the_bounds_are_passed_over() {
    let world = World::new();
    let track = TrackProducer::new("data", None, &world.runtime);
    let mut subscriber = track.subscribe(None);
    subscriber.start_at(2);
    subscriber.end_at(3);
    for number in 0..5 {
        track.write_datagram(format!("{number}"), None).unwrap();
    }
    let mut next = || datagram(&mut subscriber);
    assert_eq!([next(), next(), next()], [got(2, "2"), got(3, "3"), None]);
}

#[test]
fn old_datagrams_are_dropped_and_counted() {
    let world = World::new();
    let track = TrackProducer::new("data", None, &world.runtime);
    let mut subscriber = track.subscribe(None);
    track.write_datagram("late", None).unwrap();
    world.pass(30);
    track.write_datagram("fresh", None).unwrap();
    world.pass(21);
    assert_eq!(datagram(&mut subscriber), got(1, "fresh"));
    assert_eq!(world.runtime.stats().dropped_datagrams, 1);
    track.write_datagram("in time", None).unwrap();
    world.pass(50);
    assert_eq!(datagram(&mut subscriber), got(2, "in time"));
    track.write_datagram("late", None).unwrap();
    world.pass(51);
    assert_eq!(datagram(&mut subscriber), None);
    assert_eq!(world.runtime.stats().dropped_datagrams, 2);
}

#[test]
fn too_many_datagrams_cost_the_oldest() {
    let world = World::with(Limits {
        datagrams: 3,
        ..Limits::default()
    });
    let track = TrackProducer::new("data", None, &world.runtime);
    let mut subscriber = track.subscribe(None);
    for number in 0..5 {
        track.write_datagram(format!("{number}"), None).unwrap();
    }
    let mut next = || datagram(&mut subscriber);
    assert_eq!(
        [next(), next(), next(), next()],
        [got(2, "2"), got(3, "3"), got(4, "4"), None]
    );
    assert_eq!(world.runtime.stats().dropped_datagrams, 2);
}
