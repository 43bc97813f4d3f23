//! What all subscribers of a track want together, and when its publisher hears of a change.

mod support;

use std::time::Duration;

use kio::Future as _;
use moq_net::{Error, Subscription, TrackInfo, TrackProducer, TrackRequest, TrackSubscriber};
use support::look::{Probe, World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn wish() -> Subscription {
    Subscription::default()
}

fn track(world: &World) -> TrackProducer {
    let info = TrackInfo::default().with_cache(Duration::from_secs(2));
    TrackProducer::new("video", info, &world.runtime)
}

/// Subscribes with each wish and merges.
fn merged(track: &TrackProducer, wishes: &[Subscription]) -> Subscription {
    let _subscribers: Vec<_> = wishes.iter().map(|wish| track.subscribe(*wish)).collect();
    track.subscription().unwrap()
}

fn changed(track: &mut TrackProducer) -> Option<Result<Option<Subscription>, Error>> {
    look(|waiter| track.poll_subscription_changed(waiter))
}

#[test]
fn nobody_wants_nothing_and_one_gets_what_it_wants() {
    let world = World::new();
    let track = track(&world);
    assert_eq!(track.subscription(), None);
    let mine = Subscription {
        priority: 7,
        ordered: true,
        max_latency: Duration::from_secs(1),
        group_start: Some(3),
        group_end: Some(9),
    };
    assert_eq!(merged(&track, &[mine]), mine);
    assert_eq!(
        track.subscription(),
        None,
        "a subscriber that left contributes nothing"
    );
}

#[test]
fn the_highest_priority_counts_and_goes_with_its_subscriber() {
    let world = World::new();
    let mut track = track(&world);
    let _low = track.subscribe(wish().with_priority(3));
    let high = track.subscribe(wish().with_priority(7));
    assert_eq!(changed(&mut track).unwrap().unwrap().unwrap().priority, 7);
    drop(high);
    assert_eq!(changed(&mut track).unwrap().unwrap().unwrap().priority, 3);
}

#[test]
fn order_needs_everybody() {
    let world = World::new();
    let track = track(&world);
    let ordered = wish().with_ordered(true);
    assert!(merged(&track, &[ordered, ordered, ordered]).ordered);
    assert!(!merged(&track, &[ordered, wish(), ordered]).ordered);
}

#[test]
fn latency_is_the_largest_within_the_cache() {
    let world = World::new();
    let track = track(&world);
    let latency = |millis: &[u64]| {
        let wishes: Vec<_> = millis
            .iter()
            .map(|millis| wish().with_max_latency(Duration::from_millis(*millis)))
            .collect();
        merged(&track, &wishes).max_latency.as_millis()
    };
    assert_eq!(latency(&[10_000]), 2000);
    assert_eq!(latency(&[0, 500, 100]), 500);
    assert_eq!(latency(&[0]), 0);
    // Nobody knows the cache of an unconfirmed track; a waiting subscriber is clamped once it is known.
    let mut request = TrackRequest::new("late", &world.runtime);
    let _waiting = request
        .consume()
        .subscribe(wish().with_max_latency(Duration::from_secs(10)))
        .unwrap();
    let before = look(|waiter| request.poll_subscription_changed(waiter))
        .unwrap()
        .unwrap();
    assert_eq!(before.max_latency, Duration::from_secs(10));
    let mut late = request.accept(TrackInfo::default().with_cache(Duration::from_secs(2)));
    assert_eq!(
        changed(&mut late).unwrap().unwrap().unwrap().max_latency,
        Duration::from_secs(2)
    );
}

#[test]
fn the_smallest_explicit_start_counts() {
    let world = World::new();
    let track = track(&world);
    let start = |starts: &[Option<u64>]| {
        let wishes: Vec<_> = starts
            .iter()
            .map(|start| wish().with_group_start(*start))
            .collect();
        merged(&track, &wishes).group_start
    };
    assert_eq!(start(&[None, Some(10), Some(5)]), Some(5));
    assert_eq!(start(&[None, None]), None);
    assert_eq!(start(&[Some(10), Some(5)]), Some(5));
}

#[test]
fn a_start_in_the_future_never_starves_who_set_none() {
    let world = World::new();
    let track = track(&world);
    track.create_group(6).unwrap();
    let future = wish().with_group_start(10);
    let past = wish().with_group_start(4);
    assert_eq!(merged(&track, &[future]).group_start, Some(10));
    assert_eq!(merged(&track, &[future, wish()]).group_start, None);
    assert_eq!(merged(&track, &[future, past, wish()]).group_start, Some(4));
    assert_eq!(
        merged(&track, &[wish().with_group_start(6), wish()]).group_start,
        Some(6)
    );
    // Groups that come late belong to who set none.
    track.create_group(12).unwrap();
    assert_eq!(merged(&track, &[future, wish()]).group_start, None);
    // Where the start is a pure floor, one open start opens it for all.
    let _past = track.subscribe(past);
    assert!(!track.has_open_start());
    let _open = track.subscribe(None);
    assert!(track.has_open_start());
}

#[test]
fn somebody_new_without_a_start_is_news_for_a_floor() {
    let world = World::new();
    let mut track = track(&world);
    track.create_group(6).unwrap();
    let _past = track.subscribe(wish().with_group_start(4));
    assert!(changed(&mut track).is_some());
    assert!(!track.has_open_start());
    let _open = track.subscribe(None);
    assert!(changed(&mut track).is_some());
    assert!(track.has_open_start());
}

#[test]
fn the_end_is_the_largest_unless_somebody_has_none() {
    let world = World::new();
    let track = track(&world);
    let end = |ends: &[Option<u64>]| {
        let wishes: Vec<_> = ends.iter().map(|end| wish().with_group_end(*end)).collect();
        merged(&track, &wishes).group_end
    };
    assert_eq!(end(&[None, Some(10)]), None);
    assert_eq!(end(&[Some(10), Some(20)]), Some(20));
}

#[test]
fn a_change_of_the_only_subscriber_is_heard() {
    let world = World::new();
    let mut track = track(&world);
    let subscriber = track.subscribe(wish().with_priority(1));
    assert!(changed(&mut track).is_some());
    let probe = Probe::new();
    probe.park(|waiter| track.poll_subscription_changed(waiter));
    subscriber.update(wish().with_priority(2));
    assert_eq!(probe.wakes(), 1);
    assert_eq!(changed(&mut track).unwrap().unwrap().unwrap().priority, 2);
    // The same again is no news.
    probe.park(|waiter| track.poll_subscription_changed(waiter));
    subscriber.update(wish().with_priority(2));
    assert_eq!(probe.wakes(), 1);
}

#[test]
fn the_last_subscriber_leaving_is_heard() {
    let world = World::new();
    let mut track = track(&world);
    let subscriber = track.subscribe(None);
    assert!(changed(&mut track).is_some());
    let probe = Probe::new();
    probe.park(|waiter| track.poll_subscription_changed(waiter));
    drop(subscriber);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(changed(&mut track), Some(Ok(None)));
    assert_eq!(changed(&mut track), None);
}

#[test]
fn a_pending_subscription_leaving_is_heard() {
    let world = World::new();
    let mut request = TrackRequest::new("video", &world.runtime);
    let pending = request.consume().subscribe(None).unwrap();
    assert!(
        look(|waiter| request.poll_subscription_changed(waiter))
            .unwrap()
            .is_some()
    );
    let probe = Probe::new();
    probe.park(|waiter| request.poll_subscription_changed(waiter));
    drop(pending);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(
        look(|waiter| request.poll_subscription_changed(waiter)),
        Some(None)
    );
}

#[test]
fn somebody_whose_wishes_are_covered_is_no_news() {
    let world = World::new();
    let mut track = track(&world);
    let _first = track.subscribe(wish().with_priority(5));
    assert!(changed(&mut track).is_some());
    let _second = track.subscribe(wish().with_priority(4));
    assert_eq!(changed(&mut track), None);
}

#[test]
fn publishing_wakes_nobody_who_watches_wishes() {
    let world = World::new();
    let mut track = track(&world);
    let _subscriber = track.subscribe(None);
    assert!(changed(&mut track).is_some());
    let probe = Probe::new();
    let publisher = track.clone();
    probe.park(|waiter| track.poll_subscription_changed(waiter));
    for _ in 0..100 {
        publisher.write_frame("x").unwrap();
    }
    assert_eq!(probe.wakes(), 0);
}

#[test]
fn looking_in_vain_wakes_nobody() {
    let world = World::new();
    let mut request = TrackRequest::new("video", &world.runtime);
    let query = request.consume().info();
    let _pending = request.consume().subscribe(None).unwrap();
    assert!(look(|waiter| request.poll_subscription_changed(waiter)).is_some());
    let (waiting, watching) = (Probe::new(), Probe::new());
    waiting.park(|waiter| query.poll(waiter));
    for _ in 0..100 {
        watching.park(|waiter| request.poll_subscription_changed(waiter));
    }
    assert_eq!((waiting.wakes(), watching.wakes()), (0, 0));
    let _track = request.accept(None);
    assert_eq!(waiting.wakes(), 1);
    assert!(look(|waiter| query.poll(waiter)).is_some());
}

#[test]
fn a_snapshot_does_not_count_as_a_report() {
    let world = World::new();
    let mut track = track(&world);
    let _subscriber = track.subscribe(None);
    for _ in 0..3 {
        assert!(track.subscription().is_some());
    }
    assert_eq!(changed(&mut track), Some(Ok(Some(wish()))));
    assert_eq!(changed(&mut track), None);
}

#[test]
fn what_the_request_reported_is_not_reported_again() {
    let world = World::new();
    let mut request = TrackRequest::new("video", &world.runtime);
    let _pending = request
        .consume()
        .subscribe(wish().with_priority(3))
        .unwrap();
    assert!(look(|waiter| request.poll_subscription_changed(waiter)).is_some());
    let mut track = request.accept(None);
    assert_eq!(changed(&mut track), None);
    let _other = track.subscribe(wish().with_priority(4));
    assert_eq!(changed(&mut track).unwrap().unwrap().unwrap().priority, 4);
}

#[test]
fn every_handle_reports_a_change_once() {
    let world = World::new();
    let mut first = track(&world);
    let mut second = first.clone();
    let _subscriber = first.subscribe(None);
    for track in [&mut first, &mut second] {
        assert!(changed(track).is_some());
        assert_eq!(changed(track), None);
    }
}

#[test]
fn failure_ends_the_watch() {
    let world = World::new();
    let mut track = track(&world);
    let probe = Probe::new();
    let failing = track.clone();
    probe.park(|waiter| track.poll_subscription_changed(waiter));
    failing.abort(Error::App(5)).unwrap();
    assert_eq!(probe.wakes(), 1);
    assert_eq!(changed(&mut track), Some(Err(Error::App(5))));
}

#[test]
fn merging_does_not_depend_on_the_order() {
    let world = World::new();
    let track = track(&world);
    track.create_group(50).unwrap();
    let mut wishes: Vec<Subscription> = (0..6)
        .map(|_| {
            let dice = |sides: u64| world.runtime.random_u64() % sides;
            Subscription {
                priority: dice(256) as u8,
                ordered: dice(2) == 0,
                max_latency: Duration::from_millis(dice(4000)),
                group_start: (dice(3) > 0).then_some(dice(100)),
                group_end: (dice(3) > 0).then_some(dice(100)),
            }
        })
        .collect();
    let expected = merged(&track, &wishes);
    for round in 0..200 {
        let (a, b) = (round % 6, world.runtime.random_u64() as usize % 6);
        wishes.swap(a, b);
        assert_eq!(merged(&track, &wishes), expected);
        // Saying a thing twice changes nothing.
        let twice: Vec<_> = wishes.iter().chain(&wishes).copied().collect();
        assert_eq!(merged(&track, &twice), expected);
    }
}

#[test]
fn subscribers_of_one_confirmation_share_their_wishes() {
    let world = World::new();
    let track = track(&world);
    let pending = track.consume().subscribe(wish().with_priority(1)).unwrap();
    let resolve =
        || -> TrackSubscriber { look(|waiter| pending.poll_ok(waiter)).unwrap().unwrap() };
    let (first, second) = (resolve(), resolve());
    first.update(wish().with_priority(8));
    assert_eq!(second.subscription().priority, 8);
    drop((first, pending));
    assert_eq!(
        track.subscription().unwrap().priority,
        8,
        "the last of them keeps it"
    );
    drop(second);
    assert_eq!(track.subscription(), None);
}
