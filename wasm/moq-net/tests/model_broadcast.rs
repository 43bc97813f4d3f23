//! Finding tracks by name, published or on request.

mod support;

use kio::Future as _;
use moq_net::{
    BroadcastConsumer, BroadcastDynamic, BroadcastInfo, BroadcastProducer, Error, Limits,
    TrackConsumer, TrackInfo, TrackProducer, TrackRequest,
};
use support::look::{Probe, World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn broadcast(world: &World) -> (BroadcastProducer, BroadcastConsumer) {
    let producer = BroadcastInfo::new().produce(&world.runtime);
    let consumer = producer.consume();
    (producer, consumer)
}

fn requested(handler: &mut BroadcastDynamic) -> Option<TrackRequest> {
    look(|waiter| handler.poll_requested_track(waiter)).map(Result::unwrap)
}

fn confirmed(track: &TrackConsumer) -> Option<Result<TrackInfo, Error>> {
    look(|waiter| track.info().poll(waiter))
}

#[test]
fn a_published_track_is_found_before_and_after() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let info = TrackInfo::default().with_priority(3);
    let track = producer.create_track("video", info).unwrap();
    assert_eq!(confirmed(&consumer.track("video").unwrap()), Some(Ok(info)));
    let late = producer.consume();
    assert!(late.track("video").unwrap().is_clone(&track.consume()));
    let external = TrackProducer::new("audio", info, &world.runtime);
    producer.insert_track(&external).unwrap();
    assert!(
        consumer
            .track("audio")
            .unwrap()
            .is_clone(&external.consume())
    );
    let pending = consumer.track("audio").unwrap().subscribe(None).unwrap();
    assert!(look(|waiter| pending.poll(waiter)).unwrap().is_ok());
}

#[test]
fn an_unknown_name_without_a_handler_is_not_found() {
    let world = World::new();
    let (_producer, consumer) = broadcast(&world);
    assert_eq!(consumer.track("video").err(), Some(Error::NotFound));
}

#[test]
fn consumers_of_one_name_are_one_request() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let mut handler = producer.dynamic();
    let probe = Probe::new();
    probe.park(|waiter| handler.poll_requested_track(waiter));
    let first = consumer.track("video").unwrap();
    let second = consumer.track("video").unwrap();
    assert!(probe.wakes() > 0);
    let request = requested(&mut handler).unwrap();
    assert_eq!(&**request.name(), "video");
    let third = consumer.track("video").unwrap();
    assert!(
        requested(&mut handler).is_none(),
        "what is in service is joined"
    );
    let _track = request.accept(None);
    for track in [first, second, third] {
        assert_eq!(confirmed(&track), Some(Ok(TrackInfo::default())));
    }
}

#[test]
fn the_last_handler_takes_what_waits_with_it() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let mut handler = producer.dynamic();
    let served = consumer.track("audio").unwrap();
    let request = requested(&mut handler).unwrap();
    let waiting = consumer.track("video").unwrap();
    let query = waiting.info();
    let probe = Probe::new();
    probe.park(|waiter| query.poll(waiter));
    drop(handler);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(confirmed(&waiting), Some(Err(Error::Dropped)));
    assert_eq!(consumer.track("video").err(), Some(Error::NotFound));
    assert_eq!(confirmed(&served), None, "its holder still decides");
    assert!(consumer.track("audio").is_ok());
    let _track = request.accept(None);
    assert!(confirmed(&served).unwrap().is_ok());
}

#[test]
fn a_broadcast_that_closes_does_not_end_its_tracks() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let track = TrackProducer::new("video", None, &world.runtime);
    producer.insert_track(&track).unwrap();
    let reader = consumer.track("video").unwrap();
    let handler = producer.dynamic();
    drop(handler);
    assert!(consumer.track("video").is_ok());
    let probe = Probe::new();
    probe.park(|waiter| consumer.poll_closed(waiter));
    drop(producer);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(
        look(|waiter| consumer.poll_closed(waiter)),
        Some(Error::Dropped)
    );
    assert!(consumer.is_closed());
    assert_eq!(consumer.track("video").err(), Some(Error::Dropped));
    track.write_frame("x").unwrap();
    assert!(reader.get_group(0).is_some());
}

#[test]
fn a_handler_keeps_the_broadcast_open() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let mut handler = producer.dynamic();
    drop(producer);
    assert!(!consumer.is_closed());
    let waiting = consumer.track("video").unwrap();
    let _request = requested(&mut handler).unwrap();
    let second = consumer.track("audio").unwrap();
    drop(handler);
    assert!(consumer.is_closed());
    assert_eq!(confirmed(&second), Some(Err(Error::Dropped)));
    assert_eq!(confirmed(&waiting), None);
}

#[test]
fn a_clone_of_the_handler_keeps_serving() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let handler = producer.dynamic();
    drop(handler.clone());
    let track = consumer.track("video").unwrap();
    let mut twin = handler.clone();
    drop(handler);
    assert_eq!(confirmed(&track), None);
    assert!(requested(&mut twin).is_some());
}

#[test]
fn a_track_that_ended_may_be_requested_again() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let mut handler = producer.dynamic();
    let old = consumer.track("video").unwrap();
    let track = requested(&mut handler).unwrap().accept(None);
    track.finish().unwrap();
    assert!(consumer.track("video").unwrap().is_clone(&old));
    drop(track);
    let new = consumer.track("video").unwrap();
    assert!(!new.is_clone(&old));
    requested_and_rejected(&mut handler);
    let again = consumer.track("video").unwrap();
    assert!(!again.is_clone(&new), "the same after a rejection");
    let failing = requested(&mut handler).unwrap().accept(None);
    failing.abort(Error::Cancel).unwrap();
    let last = consumer.track("video").unwrap();
    assert!(!last.is_clone(&again), "and after a failure");
}

fn requested_and_rejected(handler: &mut BroadcastDynamic) {
    requested(handler).unwrap().reject(Error::Cancel);
}

#[test]
fn a_track_without_readers_is_joined_again_while_it_lives() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let mut handler = producer.dynamic();
    drop(consumer.track("video").unwrap());
    let track = requested(&mut handler).unwrap().accept(None);
    let joined = consumer.track("video").unwrap();
    assert!(joined.is_clone(&track.consume()));
    assert!(requested(&mut handler).is_none());
}

#[test]
fn names_are_unique_and_free_ones_are_found() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let first = producer.create_track("0.hang", None).unwrap();
    assert_eq!(
        producer.create_track("0.hang", None).err(),
        Some(Error::Duplicate)
    );
    let twin = TrackProducer::new("0.hang", None, &world.runtime);
    assert_eq!(producer.insert_track(&twin), Err(Error::Duplicate));
    assert_eq!(&*producer.unique_name(".hang"), "1.hang");
    let second = producer.unique_track(".hang", None).unwrap();
    assert_eq!(&**second.name(), "1.hang");
    let mut handler = producer.dynamic();
    let _waiting = consumer.track("2.hang").unwrap();
    assert_eq!(
        &*producer.unique_name(".hang"),
        "3.hang",
        "a requested name is taken"
    );
    let _request = requested(&mut handler).unwrap();
    assert_eq!(&*producer.unique_name(".hang"), "3.hang");
    // A dead entry is replaced.
    drop(first);
    producer.insert_track(&twin).unwrap();
    assert_eq!(&*producer.unique_name(".hang"), "3.hang");
}

#[test]
fn a_removed_name_is_unknown_and_its_track_lives() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    assert_eq!(producer.remove_track("video"), Err(Error::NotFound));
    let track = producer.create_track("video", None).unwrap();
    producer.remove_track("video").unwrap();
    assert_eq!(consumer.track("video").err(), Some(Error::NotFound));
    assert_eq!(track.write_frame("x"), Ok(0));
    producer.create_track("video", None).unwrap();
}

#[test]
fn requests_are_served_in_the_order_they_were_made() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let mut handler = producer.dynamic();
    let _waiting = ["c", "a", "b"].map(|name| consumer.track(name).unwrap());
    let order: Vec<_> = (0..3).map(|_| requested(&mut handler).unwrap()).collect();
    assert_eq!(
        order
            .iter()
            .map(|request| &**request.name())
            .collect::<Vec<_>>(),
        ["c", "a", "b"]
    );
}

#[test]
fn publishing_a_requested_name_answers_the_request() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let mut handler = producer.dynamic();
    let waiting = consumer.track("video").unwrap();
    let subscribe = waiting.subscribe(None).unwrap();
    let probe = Probe::new();
    probe.park(|waiter| subscribe.poll(waiter));
    let info = TrackInfo::default().with_priority(1);
    let track = producer.create_track("video", info).unwrap();
    assert_eq!(probe.wakes(), 1);
    assert_eq!(confirmed(&waiting), Some(Ok(info)));
    assert!(waiting.is_clone(&track.consume()));
    assert!(requested(&mut handler).is_none());
    assert!(consumer.track("video").unwrap().is_clone(&waiting));
    // In service it is the handler's.
    let _other = consumer.track("audio").unwrap();
    let _request = requested(&mut handler).unwrap();
    assert_eq!(
        producer.create_track("audio", None).err(),
        Some(Error::Duplicate)
    );
}

#[test]
fn a_track_put_in_from_elsewhere_takes_the_place_of_its_request() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let mut handler = producer.dynamic();
    let waiting = consumer.track("video").unwrap();
    let track = TrackProducer::new("video", None, &world.runtime);
    producer.insert_track(&track).unwrap();
    assert_eq!(confirmed(&waiting), Some(Err(Error::Dropped)));
    assert!(consumer.track("video").unwrap().is_clone(&track.consume()));
    assert!(requested(&mut handler).is_none());
}

#[test]
fn a_closed_broadcast_takes_nothing() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let twin = producer.clone();
    drop(producer);
    assert!(!consumer.is_closed());
    drop(twin);
    assert_eq!(consumer.track("video").err(), Some(Error::Dropped));
    assert_eq!(consumer.clone().track("audio").err(), Some(Error::Dropped));
}

#[test]
fn too_many_requests_are_refused() {
    let world = World::with(Limits {
        track_requests: 2,
        ..Limits::default()
    });
    let (producer, consumer) = broadcast(&world);
    let mut handler = producer.dynamic();
    let mut waiting = vec![consumer.track("a").unwrap(), consumer.track("b").unwrap()];
    assert!(matches!(
        consumer.track("c").err(),
        Some(Error::NoCapacity(_))
    ));
    waiting.push(consumer.track("a").unwrap());
    let _request = requested(&mut handler).unwrap();
    assert!(consumer.track("c").is_ok());
}

#[test]
fn forgotten_names_leave_nothing_behind() {
    let world = World::new();
    let (producer, consumer) = broadcast(&world);
    let before = world.runtime.stats();
    let mut handler = producer.dynamic();
    for round in 0..1000 {
        let name = format!("track {round}");
        drop(producer.create_track(name.clone(), None).unwrap());
        drop(consumer.track(name.clone()).unwrap());
        let track = requested(&mut handler).unwrap().accept(None);
        track.write_frame("x").unwrap();
        track.finish().unwrap();
    }
    drop(handler);
    assert_eq!(world.runtime.stats(), before);
}

#[test]
fn handles_of_one_broadcast_know_each_other_and_their_route() {
    let world = World::new();
    let info = BroadcastInfo {
        session: 7,
        ..BroadcastInfo::new()
    };
    let [one, other] = [(); 2].map(|()| info.clone().produce(&world.runtime));
    let (handler, stranger) = (one.dynamic(), other.dynamic());
    assert!(one.is_clone(&one.clone()) && !one.is_clone(&other));
    assert!(handler.is_clone(&handler.clone()) && !handler.is_clone(&stranger));
    assert!(handler.consume().is_clone(&one.consume()));
    assert!(!handler.consume().is_clone(&other.consume()));
    for known in [one.info(), handler.info(), one.consume().info()] {
        assert_eq!(*known, info);
    }
    let elsewhere = BroadcastInfo::new();
    let rerouted = one.consume().with_info(elsewhere.clone());
    assert_eq!(*rerouted.info(), elsewhere);
    assert!(rerouted.is_clone(&one.consume()));
}
