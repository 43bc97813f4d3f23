//! What is kept, for how long, and what goes first when memory runs out.

mod support;

use std::time::Duration;

use bytes::Bytes;
use kio::Future as _;
use moq_net::{Error, GroupConsumer, Limits, TrackInfo, TrackProducer, TrackSubscriber};
use support::look::{World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A track that keeps groups for one second.
fn track(world: &World) -> TrackProducer {
    let info = TrackInfo::default().with_cache(Duration::from_secs(1));
    TrackProducer::new("video", info, &world.runtime)
}

fn put(track: &TrackProducer, sequence: u64) {
    let group = track.create_group(sequence).unwrap();
    group.write_frame(format!("{sequence}")).unwrap();
    group.finish().unwrap();
}

/// The sequences in the cache, of the first ten.
fn held(track: &TrackProducer) -> Vec<u64> {
    let consumer = track.consume();
    (0..10)
        .filter(|sequence| consumer.get_group(*sequence).is_some())
        .collect()
}

fn recv(subscriber: &mut TrackSubscriber) -> Option<u64> {
    look(|waiter| subscriber.poll_recv_group(waiter))
        .map(|group| group.unwrap().unwrap().sequence())
}

fn read(group: &mut GroupConsumer) -> Option<Result<Option<Bytes>, Error>> {
    look(|waiter| group.poll_read_frame(waiter))
}

#[test]
fn old_groups_go_when_a_new_one_comes() {
    let world = World::new();
    let track = track(&world);
    for sequence in 0..3 {
        put(&track, sequence);
    }
    world.pass(1000);
    put(&track, 3);
    assert_eq!(
        held(&track),
        [0, 1, 2, 3],
        "exactly as old as allowed is not too old"
    );
    world.pass(1);
    put(&track, 4);
    assert_eq!(held(&track), [3, 4]);
    put(&track, 1);
    assert_eq!(held(&track), [1, 3, 4], "what went is not in use any more");
}

#[test]
fn the_newest_group_stays_whatever_its_age() {
    let world = World::new();
    let track = track(&world);
    put(&track, 0);
    world.pass(60_000);
    assert_eq!(held(&track), [0]);
    put(&track, 5);
    assert_eq!(held(&track), [5]);
    world.pass(60_000);
    put(&track, 3);
    assert_eq!(
        held(&track),
        [3, 5],
        "an older sequence does not push the newest out"
    );
    world.pass(60_000);
    put(&track, 2);
    assert_eq!(held(&track), [2, 5]);
}

#[test]
fn a_reader_keeps_what_it_has() {
    let world = World::new();
    let track = track(&world);
    put(&track, 0);
    let mut group = track.consume().get_group(0).unwrap();
    world.pass(2000);
    put(&track, 1);
    assert_eq!(held(&track), [1]);
    assert_eq!(read(&mut group), Some(Ok(Some("0".into()))));
    assert_eq!(read(&mut group), Some(Ok(None)));
}

#[test]
fn expired_groups_are_passed_over_silently() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    subscriber.end_at(0);
    for sequence in 0..3 {
        put(&track, sequence);
    }
    assert_eq!(recv(&mut subscriber), Some(0));
    assert_eq!(recv(&mut subscriber), None, "1 and 2 are parked");
    world.pass(2000);
    put(&track, 3);
    subscriber.end_at(None);
    assert_eq!(recv(&mut subscriber), Some(3));
    track.finish().unwrap();
    assert!(
        look(|waiter| subscriber.poll_recv_group(waiter))
            .unwrap()
            .unwrap()
            .is_none()
    );
}

#[test]
fn the_end_does_not_wait_for_parked_groups_that_expired() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    subscriber.end_at(5);
    put(&track, 6);
    put(&track, 1);
    assert_eq!(recv(&mut subscriber), Some(1));
    put(&track, 7);
    world.pass(2000);
    put(&track, 0);
    track.finish().unwrap();
    assert_eq!(recv(&mut subscriber), Some(0));
    assert!(
        look(|waiter| subscriber.poll_recv_group(waiter)).is_none(),
        "7 waits for the cap"
    );
    subscriber.end_at(7);
    assert_eq!(recv(&mut subscriber), Some(7));
    assert!(
        look(|waiter| subscriber.poll_recv_group(waiter))
            .unwrap()
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_sequence_that_comes_again_is_delivered_once_per_cursor() {
    let world = World::new();
    let track = track(&world);
    let mut reader = track.subscribe(None);
    let mut idle = track.subscribe(None);
    put(&track, 2);
    assert_eq!(recv(&mut reader), Some(2));
    world.pass(2000);
    put(&track, 3);
    assert_eq!(recv(&mut reader), Some(3));
    put(&track, 2);
    assert_eq!(recv(&mut reader), None);
    assert_eq!(
        [recv(&mut idle), recv(&mut idle), recv(&mut idle)],
        [Some(3), Some(2), None]
    );
}

#[test]
fn a_fetched_group_outlives_the_cache_until_it_is_taken() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    put(&track, 9);
    let pending = track.consume().fetch_group(0, None).unwrap();
    let request = look(|waiter| handler.poll_requested_group(waiter))
        .unwrap()
        .unwrap();
    let group = request.accept(None).unwrap();
    group.write_frame("zero").unwrap();
    group.finish().unwrap();
    world.pass(2000);
    let second = track.consume().fetch_group(1, None).unwrap();
    look(|waiter| handler.poll_requested_group(waiter))
        .unwrap()
        .unwrap()
        .accept(None)
        .unwrap();
    drop(second);
    assert!(
        track.consume().get_group(0).is_none(),
        "expired by its own insertion"
    );
    let mut group = look(|waiter| pending.poll(waiter)).unwrap().unwrap();
    assert_eq!(read(&mut group), Some(Ok(Some("zero".into()))));
}

// ---- budgets

#[test]
fn a_group_holds_so_many_frames() {
    let world = World::new();
    let track = track(&world);
    let group = track.append_group().unwrap();
    let frames = world.runtime.limits().group_frames as u64;
    assert_eq!(frames, 8192);
    let mut slow = group.consume();
    for _ in 0..=frames {
        group.write_frame("x").unwrap();
    }
    assert_eq!(group.frame_count(), frames + 1);
    assert_eq!(read(&mut slow), Some(Err(Error::CacheFull)));
    slow.seek(1);
    assert_eq!(read(&mut slow), Some(Ok(Some("x".into()))));
    group.finish().unwrap();
    assert_eq!(
        look(|waiter| slow.poll_finished(waiter)),
        Some(Ok(frames + 1))
    );
}

#[test]
fn a_group_holds_so_many_bytes_but_always_its_newest_frame() {
    let world = World::with(Limits {
        group_bytes: 100,
        ..Limits::default()
    });
    let track = track(&world);
    let group = track.append_group().unwrap();
    let first_held = || {
        let mut probe = group.consume();
        (0..10).find(|index| {
            probe.seek(*index);
            matches!(read(&mut probe), Some(Ok(Some(_))))
        })
    };
    group.write_frame(vec![0; 60]).unwrap();
    group.write_frame(vec![0; 40]).unwrap();
    assert_eq!(first_held(), Some(0));
    group.write_frame(vec![0; 1]).unwrap();
    assert_eq!(first_held(), Some(1));
    let growing = group.create_frame(100).unwrap();
    growing.write(vec![0; 100]).unwrap();
    assert_eq!(first_held(), Some(3));
    group.write_frame(vec![0; 500]).unwrap();
    assert_eq!(first_held(), Some(4));
    drop(growing);
    let overhead = world.runtime.limits().group_overhead + world.runtime.limits().frame_overhead;
    assert_eq!(world.runtime.stats().cached_bytes, 500 + overhead);
}

/// A cache for little more than `groups` groups of one frame of 1000 bytes.
fn small(groups: usize) -> World {
    let limits = Limits::default();
    let each = 1000 + limits.group_overhead + limits.frame_overhead;
    World::with(Limits {
        cache_bytes: groups * each + 500,
        ..limits
    })
}

fn put_big(track: &TrackProducer) -> u64 {
    track.write_frame(vec![7; 1000]).unwrap()
}

#[test]
fn the_least_recently_used_group_goes_first_and_says_so() {
    let world = small(4);
    let info = TrackInfo::default().with_cache(Duration::from_secs(3600));
    let tracks = ["a", "b"].map(|name| TrackProducer::new(name, info, &world.runtime));
    put_big(&tracks[0]);
    put_big(&tracks[0]);
    put_big(&tracks[1]);
    put_big(&tracks[1]);
    assert_eq!(
        (held(&tracks[0]), held(&tracks[1])),
        (vec![0, 1], vec![0, 1])
    );
    let mut reader = tracks[1].consume().get_group(0).unwrap();
    assert!(reader.is_finished());
    // Somebody uses the oldest group: the next oldest that is not the newest of its track goes.
    assert!(tracks[0].consume().get_group(0).is_some());
    put_big(&tracks[0]);
    assert_eq!(
        (held(&tracks[0]), held(&tracks[1])),
        (vec![0, 1, 2], vec![1])
    );
    assert_eq!(read(&mut reader), Some(Err(Error::Evicted)));
    assert_eq!((reader.is_finished(), reader.frame_count()), (false, 1));
    assert_eq!(world.runtime.stats().evicted_groups, 1);
    assert!(world.runtime.stats().cached_bytes <= world.runtime.limits().cache_bytes);
    // It may come again.
    let again = tracks[1].create_group(0).unwrap();
    again.write_frame("back").unwrap();
    assert!(held(&tracks[1]).contains(&0));
}

#[test]
fn a_group_that_was_replaced_takes_nothing_with_it_when_it_is_given_up() {
    let world = small(3);
    let tracks = ["a", "b", "c", "d"].map(|name| TrackProducer::new(name, None, &world.runtime));
    let replaced = tracks[0].create_group(0).unwrap();
    let _reader = replaced.consume();
    replaced.abort(Error::Cancel).unwrap();
    put(&tracks[0], 0);
    for track in &tracks[1..] {
        put_big(track);
        assert_eq!(held(&tracks[0]), [0], "in use");
    }
    assert!(world.runtime.stats().evicted_groups > 0);
    assert_eq!(held(&tracks[0]), [0]);
}

#[test]
fn the_newest_group_of_a_track_goes_last() {
    let world = small(3);
    let tracks = ["a", "b", "c"].map(|name| TrackProducer::new(name, None, &world.runtime));
    put_big(&tracks[0]);
    put_big(&tracks[1]);
    for _ in 0..5 {
        put_big(&tracks[2]);
    }
    assert_eq!(
        (held(&tracks[0]), held(&tracks[1]), held(&tracks[2])),
        (vec![0], vec![0], vec![4])
    );
}

#[test]
fn the_end_does_not_wait_for_a_parked_group_that_was_given_up() {
    let world = small(1);
    let tracks = ["a", "b"].map(|name| TrackProducer::new(name, None, &world.runtime));
    let mut subscriber = tracks[0].subscribe(None);
    subscriber.end_at(3);
    put_big(&tracks[0]);
    subscriber.start_at(0);
    assert_eq!(recv(&mut subscriber), Some(0));
    tracks[0].create_group(6).unwrap().finish().unwrap();
    tracks[0].finish().unwrap();
    assert!(
        look(|waiter| subscriber.poll_recv_group(waiter)).is_none(),
        "6 waits for the cap"
    );
    put_big(&tracks[1]);
    put_big(&tracks[1]);
    assert!(tracks[0].consume().get_group(6).is_none());
    assert!(
        look(|waiter| subscriber.poll_recv_group(waiter))
            .unwrap()
            .unwrap()
            .is_none()
    );
}

#[test]
fn newest_groups_alone_give_their_oldest_frames_first() {
    let limits = Limits::default();
    let world = World::with(Limits {
        cache_bytes: 20_000,
        group_overhead: 100,
        frame_overhead: 10,
        ..limits
    });
    let tracks = ["a", "b"].map(|name| TrackProducer::new(name, None, &world.runtime));
    let groups = [0, 1].map(|at| tracks[at].append_group().unwrap());
    for _ in 0..8 {
        groups[0].write_frame(vec![0; 1000]).unwrap();
    }
    let mut reader = groups[0].consume();
    for _ in 0..15 {
        groups[1].write_frame(vec![0; 1000]).unwrap();
    }
    assert!(world.runtime.stats().cached_bytes <= 20_000);
    assert_eq!(world.runtime.stats().evicted_groups, 0);
    assert_eq!(read(&mut reader), Some(Err(Error::CacheFull)));
    reader.seek(7);
    assert!(
        matches!(read(&mut reader), Some(Ok(Some(_)))),
        "the newest frame stays"
    );
}

/// A cache for so many bytes, where a group costs 100 and a frame 10 besides its payload.
fn priced(cache_bytes: usize) -> World {
    World::with(Limits {
        cache_bytes,
        group_overhead: 100,
        frame_overhead: 10,
        ..Limits::default()
    })
}

#[test]
fn a_newest_group_gives_no_more_frames_than_it_must() {
    let world = priced(430);
    let track = TrackProducer::new("video", None, &world.runtime);
    let group = track.append_group().unwrap();
    let write = |size| {
        group.write_frame(vec![0; size]).unwrap();
        let stats = world.runtime.stats();
        (stats.cached_bytes, stats.evicted_groups)
    };
    // Three frames are just as much as there is room for, and a fourth costs just one.
    assert_eq!(
        [write(100), write(100), write(100), write(100)],
        [(210, 0), (320, 0), (430, 0), (430, 0)]
    );
    assert_eq!(write(310), (420, 0), "all others make room for a large one");
    assert_eq!(write(310), (420, 0), "so does its only predecessor");
    // The newest stays though it alone is too much, so that the group goes as a whole and says so.
    assert_eq!(write(321), (0, 1));
    assert_eq!(group.write_frame("x"), Err(Error::Evicted));
}

#[test]
fn empty_frames_go_one_by_one_as_well() {
    let world = priced(130);
    let track = TrackProducer::new("chat", None, &world.runtime);
    let group = track.append_group().unwrap();
    for _ in 0..10 {
        group.write_frame(Bytes::new()).unwrap();
    }
    assert_eq!(world.runtime.stats().cached_bytes, 130, "the newest three");
}

#[test]
fn nothing_is_exempt_without_limit() {
    let world = small(5);
    let tracks: Vec<_> = (0..200)
        .map(|name| TrackProducer::new(format!("{name}"), None, &world.runtime))
        .collect();
    for track in &tracks {
        put_big(track);
        assert!(world.runtime.stats().cached_bytes <= world.runtime.limits().cache_bytes);
    }
    let alive = tracks
        .iter()
        .filter(|track| !held(track).is_empty())
        .count();
    assert_eq!(alive, 5);
    assert!(!held(&tracks[199]).is_empty());
    assert_eq!(world.runtime.stats().evicted_groups, 195);
}

#[test]
fn empty_groups_and_frames_are_not_free() {
    let world = small(2);
    let info = TrackInfo::default().with_cache(Duration::from_secs(3600));
    let track = TrackProducer::new("chat", info, &world.runtime);
    for _ in 0..10_000 {
        track.append_group().unwrap().finish().unwrap();
    }
    assert!(world.runtime.stats().groups < 10_000);
    assert!(world.runtime.stats().cached_bytes <= world.runtime.limits().cache_bytes);
    let group = track.append_group().unwrap();
    for _ in 0..10_000 {
        group.write_frame(Bytes::new()).unwrap();
    }
    assert!(world.runtime.stats().cached_bytes <= world.runtime.limits().cache_bytes);
}

#[test]
fn a_writer_learns_that_its_group_was_given_up() {
    let world = small(2);
    let track = track(&world);
    let group = track.append_group().unwrap();
    group.write_frame(vec![0; 1000]).unwrap();
    put_big(&track);
    put_big(&track);
    assert_eq!(group.write_frame("x"), Err(Error::Evicted));
}

#[test]
fn an_hour_of_live_media_holds_steady() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    let mut high = 0;
    for second in 0..3600 {
        world.pass(1000);
        let group = track.append_group().unwrap();
        for _ in 0..3 {
            group.write_frame(vec![0; 100]).unwrap();
        }
        group.finish().unwrap();
        assert_eq!(recv(&mut subscriber), Some(second));
        high = high.max(world.runtime.stats().groups);
    }
    assert!(high <= 3, "{high}");
}
