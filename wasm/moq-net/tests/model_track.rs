//! From the request of a track to its confirmation and its end.

mod support;

use std::{sync::Arc, time::Duration};

use kio::Future as _;
use moq_net::{
    BroadcastInfo, Error, Subscription, Timescale, TrackInfo, TrackProducer, TrackRequest,
    TrackSubscriber,
};
use support::look::{Probe, World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn recv(subscriber: &mut TrackSubscriber) -> Option<Result<Option<u64>, Error>> {
    look(|waiter| subscriber.poll_recv_group(waiter))
        .map(|group| group.map(|group| group.map(|group| group.sequence())))
}

#[test]
fn a_published_track_knows_its_properties_at_once() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let info = look(|waiter| track.consume().info().poll(waiter))
        .unwrap()
        .unwrap();
    assert_eq!(info, TrackInfo::default());
    assert_eq!(info.cache, Duration::from_secs(5));
    assert_eq!(
        (info.priority, info.ordered, info.compress, info.timescale),
        (127, false, false, None)
    );
}

#[test]
fn a_reader_knows_the_newest_group_there_was() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let reader = track.consume();
    assert_eq!(reader.latest(), None);
    for (sequence, newest) in [(3, 3), (2, 3), (7, 7)] {
        let group = track.create_group(sequence).unwrap();
        group.abort(Error::Cancel).unwrap();
        assert_eq!(
            (reader.latest(), track.latest()),
            (Some(newest), Some(newest))
        );
    }
}

#[test]
fn handles_know_whether_they_are_of_one_track_and_a_producer_whether_it_has_failed() {
    let world = World::new();
    let [track, other] = [(); 2].map(|()| TrackProducer::new("video", None, &world.runtime));
    assert!(track.is_clone(&track.clone()) && !track.is_clone(&other));
    let [reader, same, stranger] = [&track, &track, &other].map(|track| track.subscribe(None));
    assert!(reader.is_clone(&same) && !reader.is_clone(&stranger));
    assert!(!track.is_closed());
    other.finish().unwrap();
    assert!(!other.is_closed(), "its end is no failure");
    track.abort(Error::App(7)).unwrap();
    assert!(track.is_closed() && track.clone().is_closed());
}

#[test]
fn a_requested_track_learns_its_properties_when_it_is_accepted() {
    let world = World::new();
    let request = TrackRequest::new("video", &world.runtime);
    let query = request.consume().info();
    let probe = Probe::new();
    probe.park(|waiter| query.poll(waiter));
    let info = TrackInfo::default()
        .with_timescale(Timescale::MICRO)
        .with_priority(9);
    let _track = request.accept(info);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(look(|waiter| query.poll(waiter)), Some(Ok(info)));
    assert_eq!(
        look(|waiter| query.poll_ok(waiter)),
        Some(Ok(info)),
        "asking again gives the same"
    );
}

#[test]
fn accepting_resolves_every_subscriber_of_the_same_track() {
    let world = World::new();
    let request = TrackRequest::new("video", &world.runtime);
    let first = request.consume().subscribe(None).unwrap();
    let second = request.consume().subscribe(None).unwrap();
    assert!(look(|waiter| first.poll(waiter)).is_none());
    let track = request.accept(None);
    track.write_frame("x").unwrap();
    for pending in [first, second] {
        let mut subscriber = look(|waiter| pending.poll(waiter)).unwrap().unwrap();
        assert_eq!(recv(&mut subscriber), Some(Ok(Some(0))));
        let again = look(|waiter| pending.poll_ok(waiter)).unwrap().unwrap();
        assert!(again.is_clone(&subscriber));
    }
}

#[test]
fn accepted_properties_never_change() {
    let world = World::new();
    let request = TrackRequest::new("video", &world.runtime);
    let handler = request.dynamic();
    let first = TrackInfo::default().with_priority(1);
    let fetch = request.consume().fetch_group(0, None).unwrap();
    look(|waiter| handler.poll_requested_group(waiter))
        .unwrap()
        .unwrap()
        .accept(first)
        .unwrap();
    drop(fetch);
    let track = request.accept(TrackInfo::default().with_priority(2));
    assert_eq!(track.info(), first);
}

#[test]
fn a_shared_name_is_never_copied() {
    let world = World::new();
    let name: Arc<str> = "video".into();
    let track = TrackProducer::new(name.clone(), None, &world.runtime);
    assert!(Arc::ptr_eq(track.name(), &name));
    assert!(Arc::ptr_eq(track.consume().name(), &name));
    assert!(Arc::ptr_eq(track.clone().subscribe(None).name(), &name));
    assert!(Arc::ptr_eq(track.dynamic().name(), &name));
    let request = TrackRequest::new(name.clone(), &world.runtime);
    assert!(Arc::ptr_eq(request.name(), &name));
}

#[test]
fn rejection_reaches_everybody_even_while_a_handler_lives() {
    let world = World::new();
    let request = TrackRequest::new("video", &world.runtime);
    let _handler = request.dynamic();
    let track = request.consume();
    let subscribe = track.subscribe(None).unwrap();
    let query = track.info();
    let fetch = track.fetch_group(3, None).unwrap();
    let probes = [Probe::new(), Probe::new(), Probe::new()];
    probes[0].park(|waiter| subscribe.poll(waiter));
    probes[1].park(|waiter| query.poll(waiter));
    probes[2].park(|waiter| fetch.poll(waiter));
    request.reject(Error::Unauthorized);
    assert!(probes.iter().all(|probe| probe.wakes() > 0));
    assert_eq!(
        look(|waiter| subscribe.poll(waiter)).unwrap().err(),
        Some(Error::Unauthorized)
    );
    assert_eq!(
        look(|waiter| query.poll(waiter)),
        Some(Err(Error::Unauthorized))
    );
    assert_eq!(
        look(|waiter| fetch.poll(waiter)).unwrap().err(),
        Some(Error::Unauthorized)
    );
}

#[test]
fn a_dropped_request_fails_everybody() {
    let world = World::new();
    let request = TrackRequest::new("video", &world.runtime);
    let track = request.consume();
    let subscribe = track.subscribe(None).unwrap();
    let fetch = track.fetch_group(3, None).unwrap();
    let probe = Probe::new();
    probe.park(|waiter| subscribe.poll(waiter));
    drop(request);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(
        look(|waiter| subscribe.poll(waiter)).unwrap().err(),
        Some(Error::Dropped)
    );
    assert_eq!(
        look(|waiter| fetch.poll(waiter)).unwrap().err(),
        Some(Error::Dropped)
    );
    assert_eq!(
        look(|waiter| track.info().poll(waiter)),
        Some(Err(Error::Dropped))
    );
}

#[test]
fn subscribing_to_a_failed_track_fails_at_once() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let consumer = track.consume();
    track.abort(Error::App(7)).unwrap();
    assert_eq!(consumer.subscribe(None).err(), Some(Error::App(7)));
    assert_eq!(track.abort(Error::Cancel), Err(Error::App(7)));
    drop(track);
    assert_eq!(consumer.subscribe(None).err(), Some(Error::App(7)));
    let dropped = TrackProducer::new("video", None, &world.runtime).consume();
    assert_eq!(dropped.subscribe(None).err(), Some(Error::Dropped));
}

#[test]
fn accepting_after_the_broadcast_closed_and_writing_after_the_failure_are_harmless() {
    let world = World::new();
    let broadcast = BroadcastInfo::new().produce(&world.runtime);
    let mut handler = broadcast.dynamic();
    let consumer = broadcast.consume().track("video").unwrap();
    let request = look(|waiter| handler.poll_requested_track(waiter))
        .unwrap()
        .unwrap();
    drop((broadcast, handler));
    let track = request.accept(None);
    assert_eq!(track.write_frame("x"), Ok(0), "its readers are still there");
    track.abort(Error::App(1)).unwrap();
    assert_eq!(track.write_frame("x"), Err(Error::App(1)));
    assert_eq!(track.append_group().err(), Some(Error::App(1)));
    assert_eq!(track.finish(), Err(Error::App(1)));
    track
        .subscribe(None)
        .update(Subscription::default().with_priority(3));
    assert_eq!(consumer.subscribe(None).err(), Some(Error::App(1)));
}

#[test]
fn an_in_process_subscriber_needs_no_waiting() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let wish = Subscription::default().with_priority(4);
    let mut subscriber = track.subscribe(wish);
    assert_eq!(track.subscription(), Some(wish));
    assert_eq!(subscriber.subscription(), wish);
    assert_eq!(recv(&mut subscriber), None);
    track.abort(Error::Cancel).unwrap();
    assert_eq!(recv(&mut track.subscribe(None)), Some(Err(Error::Cancel)));
}

#[test]
fn wishes_may_change_before_the_track_is_confirmed() {
    let world = World::new();
    let request = TrackRequest::new("video", &world.runtime);
    let mut subscribe = request.consume().subscribe(None).unwrap();
    subscribe.update(Subscription::default().with_priority(9));
    assert_eq!(request.subscription().unwrap().priority, 9);
    drop(subscribe);
    assert_eq!(request.subscription(), None);
    // And after it has ended, without effect.
    let mut late = request.consume().subscribe(None).unwrap();
    request.reject(Error::Cancel);
    late.update(Subscription::default());
}

#[test]
fn a_track_is_unused_when_subscriber_consumer_and_fetch_are_gone() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let _handler = track.dynamic();
    let consumer = track.consume();
    let fetch = consumer.fetch_group(0, None).unwrap();
    let subscriber = track.subscribe(None);
    let query = consumer.info();
    let probe = Probe::new();
    probe.park(|waiter| track.poll_unused(waiter));
    drop((subscriber, consumer, query));
    probe.park(|waiter| track.poll_unused(waiter));
    assert_eq!(probe.wakes(), 0);
    drop(fetch);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(look(|waiter| track.poll_unused(waiter)), Some(Ok(())));
    assert_eq!(look(|waiter| track.poll_used(waiter)), None);
    let _consumer = track.consume();
    assert_eq!(look(|waiter| track.poll_used(waiter)), Some(Ok(())));
}

#[test]
fn a_publisher_waits_for_use_and_for_wishes() {
    let world = World::new();
    let mut track = TrackProducer::new("video", None, &world.runtime);
    let now = Duration::ZERO;
    assert_eq!(world.executor.run_for(now, track.used()), None);
    assert_eq!(world.executor.run_for(now, track.unused()), Some(Ok(())));
    assert_eq!(
        world.executor.run_for(now, track.subscription_changed()),
        None
    );
    let wish = Subscription::default().with_priority(9);
    let subscriber = track.subscribe(wish);
    assert_eq!(world.executor.run_for(now, track.used()), Some(Ok(())));
    assert_eq!(world.executor.run_for(now, track.unused()), None);
    let changed = world.executor.run_for(now, track.subscription_changed());
    assert_eq!(changed.unwrap().unwrap().unwrap().priority, 9);
    drop(subscriber);
    let changed = world.executor.run_for(now, track.subscription_changed());
    assert_eq!(changed, Some(Ok(None)));
}

#[test]
fn waiting_for_use_ends_when_the_track_fails() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let probes = [Probe::new(), Probe::new()];
    probes[0].park(|waiter| track.poll_used(waiter));
    probes[1].park(|waiter| track.poll_closed(waiter));
    for _ in 0..100 {
        track.write_frame("x").unwrap();
    }
    assert_eq!(
        (probes[0].wakes(), probes[1].wakes()),
        (0, 0),
        "publishing is no reason to look"
    );
    track.abort(Error::App(3)).unwrap();
    assert_eq!((probes[0].wakes(), probes[1].wakes()), (1, 1));
    assert_eq!(
        look(|waiter| track.poll_used(waiter)),
        Some(Err(Error::App(3)))
    );
    assert_eq!(
        look(|waiter| track.poll_closed(waiter)),
        Some(Error::App(3))
    );
}

#[test]
fn finishing_is_possible_once_even_when_empty() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let subscriber = track.subscribe(None);
    assert_eq!(look(|waiter| subscriber.poll_closed(waiter)), None);
    track.finish().unwrap();
    assert_eq!(track.finish(), Err(Error::Closed));
    assert_eq!(track.append_group().err(), Some(Error::Closed));
    assert_eq!(look(|waiter| subscriber.poll_finished(waiter)), Some(Ok(0)));
    assert_eq!(look(|waiter| subscriber.poll_closed(waiter)), Some(Ok(())));
}

#[test]
fn a_track_ends_at_its_newest_group_and_still_takes_older_ones() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    assert_eq!(
        track.finish_at(0),
        Err(Error::Closed),
        "there is no group to end at"
    );
    track.create_group(5).unwrap().finish().unwrap();
    assert_eq!(track.finish_at(4), Err(Error::Closed));
    assert_eq!(track.finish_at(10), Err(Error::Closed));
    track.finish_at(5).unwrap();
    assert_eq!(track.finish_at(5), Err(Error::Closed));
    let _open = track.create_group(4).unwrap();
    assert_eq!(track.create_group(6).err(), Some(Error::Closed));
    assert_eq!(track.create_group(5).err(), Some(Error::Closed));
    assert_eq!(track.create_group(4).err(), Some(Error::Duplicate));
}

#[test]
fn the_end_may_be_announced_before_the_last_groups() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    track.write_frame("x").unwrap();
    assert_eq!(track.finish_before(0), Err(Error::Closed), "group 0 exists");
    track.finish_before(3).unwrap();
    let mut subscriber = track.subscribe(None);
    assert_eq!(look(|waiter| subscriber.poll_finished(waiter)), Some(Ok(3)));
    track.create_group(2).unwrap();
    assert_eq!(track.create_group(3).err(), Some(Error::Closed));
    let next = |subscriber: &mut TrackSubscriber| {
        look(|waiter| subscriber.poll_next_group(waiter))
            .map(|group| group.unwrap().map(|group| group.sequence()))
    };
    assert_eq!(next(&mut subscriber), Some(Some(0)));
    assert_eq!(next(&mut subscriber), Some(Some(2)));
    assert_eq!(next(&mut subscriber), Some(None));
}

#[test]
fn aborting_releases_the_cache_but_not_what_readers_hold() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let empty = world.runtime.stats();
    track.write_frame("zero").unwrap();
    track.write_frame("one").unwrap();
    let mut subscriber = track.subscribe(None);
    let mut held = look(|waiter| subscriber.poll_recv_group(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    let consumer = track.consume();
    track.abort(Error::Cancel).unwrap();
    assert_eq!(recv(&mut subscriber), Some(Err(Error::Cancel)));
    assert!(consumer.get_group(1).is_none());
    assert_eq!(
        look(|waiter| held.poll_read_frame(waiter)),
        Some(Ok(Some("zero".into())))
    );
    assert_eq!(look(|waiter| held.poll_read_frame(waiter)), Some(Ok(None)));
    assert_eq!(world.runtime.stats().groups, 1);
    drop(held);
    assert_eq!(world.runtime.stats().groups, 0);
    assert_eq!(world.runtime.stats().cached_bytes, empty.cached_bytes);
}

#[test]
fn a_track_dropped_unfinished_fails_and_releases_its_cache() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let twin = track.clone();
    let handler = track.dynamic();
    track.write_frame("zero").unwrap();
    let mut subscriber = track.subscribe(None);
    subscriber.start_at(1);
    let probe = Probe::new();
    probe.park(|waiter| subscriber.poll_recv_group(waiter));
    drop(track);
    drop(twin);
    assert_eq!(world.runtime.stats().groups, 1, "the handler keeps it open");
    assert_eq!(probe.wakes(), 0);
    drop(handler);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(recv(&mut subscriber), Some(Err(Error::Dropped)));
    assert_eq!(world.runtime.stats().groups, 0);
}

#[test]
fn a_finished_track_is_read_to_its_end_after_its_producer_went() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    track.write_frame("zero").unwrap();
    track.create_group(2).unwrap().finish().unwrap();
    track.finish().unwrap();
    let mut subscriber = track.subscribe(None);
    let late = track.consume();
    drop(track);
    assert_eq!(recv(&mut subscriber), Some(Ok(Some(0))));
    assert_eq!(recv(&mut subscriber), Some(Ok(Some(2))));
    assert_eq!(recv(&mut subscriber), Some(Ok(None)));
    let next = look(|waiter| subscriber.poll_next_group(waiter))
        .unwrap()
        .unwrap();
    assert_eq!(next.unwrap().sequence(), 0);
    assert_eq!(
        look(|waiter| subscriber.poll_get_group(waiter, 1))
            .unwrap()
            .err(),
        Some(Error::Dropped)
    );
    assert!(
        look(|waiter| subscriber.poll_get_group(waiter, 3))
            .unwrap()
            .unwrap()
            .is_none()
    );
    // Who has the track may still read what is cached.
    let pending = late.subscribe(None).unwrap();
    let mut again = look(|waiter| pending.poll(waiter)).unwrap().unwrap();
    assert_eq!(recv(&mut again), Some(Ok(Some(0))));
}

#[test]
fn nothing_comes_after_the_largest_sequence() {
    let world = World::new();
    let track = TrackProducer::new("video", None, &world.runtime);
    let group = track.create_group(u64::MAX).unwrap();
    assert_eq!(track.append_group().err(), Some(Error::BoundsExceeded));
    assert_eq!(track.finish(), Err(Error::BoundsExceeded));
    let mut subscriber = track.subscribe(None);
    assert_eq!(recv(&mut subscriber), Some(Ok(Some(u64::MAX))));
    assert!(look(|waiter| subscriber.poll_next_group(waiter)).is_some());
    assert!(
        look(|waiter| subscriber.poll_next_group(waiter)).is_none(),
        "once"
    );
    group.write_frame("only").unwrap();
    assert_eq!(
        look(|waiter| subscriber.poll_read_frame(waiter)),
        Some(Ok(Some("only".into())))
    );
    assert_eq!(look(|waiter| subscriber.poll_read_frame(waiter)), None);
}

#[test]
fn handles_leave_nothing_behind() {
    let world = World::new();
    let before = world.runtime.stats();
    for _ in 0..100 {
        let request = TrackRequest::new("video", &world.runtime);
        let pending = request.consume().subscribe(None).unwrap();
        let handler = request.dynamic();
        let fetch = request.consume().fetch_group(7, None).unwrap();
        let track = request.accept(None);
        let mut subscriber = look(|waiter| pending.poll(waiter)).unwrap().unwrap();
        let group = track.append_group().unwrap();
        let frame = group.create_frame(10).unwrap();
        frame.write("12345").unwrap();
        let mut reader = look(|waiter| subscriber.poll_recv_group(waiter))
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(look(|waiter| reader.poll_read_frame(waiter)).is_none());
        assert!(world.runtime.stats().cached_bytes > 5);
        drop((pending, handler, fetch, subscriber, group, frame));
        assert_eq!(
            look(|waiter| reader.poll_read_frame(waiter)),
            Some(Err(Error::Dropped))
        );
    }
    assert_eq!(world.runtime.stats(), before);
}
