//! Fetching groups: from the cache, or from whoever serves old ones.

mod support;

use std::time::Duration;

use kio::{Future as _, Pending};
use moq_net::{
    Error, Fetch, GroupConsumer, GroupRequest, Limits, Timescale, Timestamp, TrackDynamic,
    TrackFetch, TrackInfo, TrackProducer, TrackRequest,
};
use support::look::{Probe, World, look};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn track(world: &World) -> TrackProducer {
    TrackProducer::new("video", None, &world.runtime)
}

fn fetch(track: &TrackProducer, sequence: u64) -> Result<Pending<TrackFetch>, Error> {
    track.consume().fetch_group(sequence, None)
}

fn outcome(fetch: &Pending<TrackFetch>) -> Option<Result<GroupConsumer, Error>> {
    look(|waiter| fetch.poll(waiter))
}

fn error(fetch: &Pending<TrackFetch>) -> Option<Error> {
    outcome(fetch).and_then(Result::err)
}

fn requested(handler: &TrackDynamic) -> Option<GroupRequest> {
    look(|waiter| handler.poll_requested_group(waiter)).map(Result::unwrap)
}

/// The index and payload of every frame up to the clean end.
fn frames(mut group: GroupConsumer) -> Vec<(u64, String)> {
    let mut frames = Vec::new();
    loop {
        let index = group.index();
        match look(|waiter| group.poll_read_frame(waiter))
            .expect("the group is complete")
            .unwrap()
        {
            Some(payload) => frames.push((index, String::from_utf8(payload.to_vec()).unwrap())),
            None => return frames,
        }
    }
}

fn fill(group: &moq_net::GroupProducer, frames: &[&str]) {
    for frame in frames {
        group.write_frame(frame.to_string()).unwrap();
    }
    group.finish().unwrap();
}

#[test]
fn a_cached_group_is_found_without_asking() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    track.write_frame("zero").unwrap();
    let pending = fetch(&track, 0).unwrap();
    assert_eq!(
        frames(outcome(&pending).unwrap().unwrap()),
        [(0, "zero".into())]
    );
    assert!(requested(&handler).is_none());
    assert!(track.consume().get_group(0).is_some());
    track.finish().unwrap();
    assert!(
        outcome(&fetch(&track, 0).unwrap()).unwrap().is_ok(),
        "after the end as well"
    );
}

#[test]
fn a_missing_group_is_asked_of_the_handler() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let (waiting, serving) = (Probe::new(), Probe::new());
    serving.park(|waiter| handler.poll_requested_group(waiter));
    let pending = track
        .consume()
        .fetch_group(5, Fetch::default().with_priority(7))
        .unwrap();
    assert_eq!(serving.wakes(), 1);
    waiting.park(|waiter| pending.poll(waiter));
    let request = requested(&handler).unwrap();
    assert_eq!(
        (
            request.sequence(),
            request.priority(),
            request.frame_start()
        ),
        (5, 7, 0)
    );
    let group = request.accept(None).unwrap();
    assert_eq!(
        waiting.wakes(),
        1,
        "found as soon as it is there, not when it is complete"
    );
    let mut reader = outcome(&pending).unwrap().unwrap();
    assert!(look(|waiter| reader.poll_read_frame(waiter)).is_none());
    fill(&group, &["a", "b"]);
    assert_eq!(frames(reader), [(0, "a".into()), (1, "b".into())]);
    assert!(
        outcome(&pending).unwrap().is_ok(),
        "asking again gives the same"
    );
}

#[test]
fn without_a_handler_a_missing_group_is_refused_at_once() {
    let world = World::new();
    let track = track(&world);
    assert_eq!(fetch(&track, 3).err(), Some(Error::NotFound));
    drop(track.dynamic());
    assert_eq!(fetch(&track, 3).err(), Some(Error::NotFound));
    assert!(track.consume().get_group(3).is_none());
}

#[test]
fn groups_past_the_end_are_refused_at_once() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let early = fetch(&track, 5).unwrap();
    let kept = fetch(&track, 0).unwrap();
    track.create_group(1).unwrap();
    track.finish_at(1).unwrap();
    assert_eq!(fetch(&track, 5).err(), Some(Error::NotFound));
    assert_eq!(fetch(&track, 2).err(), Some(Error::NotFound));
    assert_eq!(
        error(&early),
        Some(Error::NotFound),
        "the end came while it waited"
    );
    assert_eq!(
        requested(&handler).unwrap().sequence(),
        0,
        "older groups are still served"
    );
    assert_eq!(error(&kept), Some(Error::Dropped));
    assert!(requested(&handler).is_none());
}

#[test]
fn a_failed_track_fails_its_fetches_now_and_later() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let queued = fetch(&track, 1).unwrap();
    let served = fetch(&track, 0).unwrap();
    let request = requested(&handler).unwrap();
    assert_eq!(request.sequence(), 1);
    let consumer = track.consume();
    track.abort(Error::App(9)).unwrap();
    assert_eq!(error(&queued), Some(Error::App(9)));
    assert_eq!(error(&served), Some(Error::App(9)));
    assert_eq!(fetch(&track, 0).err(), Some(Error::App(9)));
    assert_eq!(request.accept(None).err(), Some(Error::App(9)));
    assert_eq!(
        look(|waiter| handler.poll_requested_group(waiter))
            .unwrap()
            .err(),
        Some(Error::App(9))
    );
    drop((track, handler));
    assert_eq!(consumer.fetch_group(0, None).err(), Some(Error::App(9)));
}

#[test]
fn a_track_without_writers_serves_its_cache_only() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    track.write_frame("zero").unwrap();
    track.create_group(2).unwrap();
    track.finish().unwrap();
    let consumer = track.consume();
    let waiting = fetch(&track, 1).unwrap();
    drop((track, handler));
    assert_eq!(error(&waiting), Some(Error::NotFound));
    assert!(consumer.fetch_group(0, None).is_ok());
    assert_eq!(consumer.fetch_group(1, None).err(), Some(Error::Dropped));
}

#[test]
fn an_aborted_group_is_fetched_anew_and_replaced() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let broken = track.create_group(0).unwrap();
    broken.write_frame("half").unwrap();
    broken.abort(Error::Cancel).unwrap();
    let pending = fetch(&track, 0).unwrap();
    assert!(outcome(&pending).is_none());
    fill(
        &requested(&handler).unwrap().accept(None).unwrap(),
        &["whole"],
    );
    assert_eq!(
        frames(outcome(&pending).unwrap().unwrap()),
        [(0, "whole".into())]
    );
    assert_eq!(
        frames(track.consume().get_group(0).unwrap()),
        [(0, "whole".into())]
    );
}

#[test]
fn an_expired_group_is_fetched_anew() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    track.write_frame("old").unwrap();
    world.pass(6000);
    track.write_frame("new").unwrap();
    assert!(track.consume().get_group(0).is_none());
    let pending = fetch(&track, 0).unwrap();
    fill(
        &requested(&handler).unwrap().accept(None).unwrap(),
        &["again"],
    );
    assert_eq!(
        frames(outcome(&pending).unwrap().unwrap()),
        [(0, "again".into())]
    );
}

#[test]
fn an_unconfirmed_track_takes_fetches() {
    let world = World::new();
    let request = TrackRequest::new("video", &world.runtime);
    let pending = request.consume().fetch_group(4, None).unwrap();
    assert!(outcome(&pending).is_none());
    // Confirming without a handler means that nobody will serve it.
    let track = request.accept(None);
    assert_eq!(error(&pending), Some(Error::NotFound));
    assert_eq!(fetch(&track, 4).err(), Some(Error::NotFound));
}

#[test]
fn a_handler_made_before_confirmation_leaves_no_gap() {
    let world = World::new();
    let request = TrackRequest::new("video", &world.runtime);
    let handler = request.dynamic();
    let pending = request.consume().fetch_group(4, None).unwrap();
    let _track = request.accept(None);
    assert!(outcome(&pending).is_none());
    fill(&requested(&handler).unwrap().accept(None).unwrap(), &["x"]);
    assert!(outcome(&pending).unwrap().is_ok());
}

#[test]
fn a_fetch_may_confirm_the_track() {
    let world = World::new();
    let request = TrackRequest::new("video", &world.runtime);
    let handler = request.dynamic();
    let subscribe = request.consume().subscribe(None).unwrap();
    let pending = request.consume().fetch_group(4, None).unwrap();
    let info = TrackInfo::default().with_timescale(Timescale::MICRO);
    let group = requested(&handler).unwrap().accept(info).unwrap();
    assert_eq!(group.timescale(), Some(Timescale::MICRO));
    group.write_timed(Timestamp::from_micros(3), "x").unwrap();
    assert!(outcome(&pending).unwrap().is_ok());
    let subscriber = look(|waiter| subscribe.poll(waiter)).unwrap().unwrap();
    assert_eq!(*subscriber.info(), info);
    // From now on it is fixed.
    let second = request.consume().fetch_group(5, None).unwrap();
    let other = TrackInfo::default();
    assert_eq!(
        requested(&handler)
            .unwrap()
            .accept(other)
            .unwrap()
            .timescale(),
        Some(Timescale::MICRO)
    );
    assert!(outcome(&second).unwrap().is_ok());
    assert_eq!(request.accept(other).info(), info);
}

#[test]
fn fetches_of_one_group_are_one_request() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let consumer = track.consume();
    let low = consumer
        .fetch_group(5, Fetch::default().with_priority(1))
        .unwrap();
    let high = consumer
        .fetch_group(5, Fetch::default().with_priority(8))
        .unwrap();
    let request = requested(&handler).unwrap();
    assert_eq!(request.priority(), 8);
    let late = consumer
        .fetch_group(5, Fetch::default().with_priority(200))
        .unwrap();
    assert!(
        requested(&handler).is_none(),
        "what is in service is joined"
    );
    assert_eq!(request.priority(), 200);
    let _group = request.accept(None).unwrap();
    for pending in [low, high, late] {
        assert!(outcome(&pending).unwrap().is_ok());
    }
}

#[test]
fn requests_are_served_in_the_order_they_were_made() {
    let world = World::new();
    let track = track(&world);
    let handlers = [track.dynamic(), track.dynamic()];
    let _pending = [9, 2, 5].map(|sequence| fetch(&track, sequence).unwrap());
    let order: Vec<_> = [0, 1, 0]
        .iter()
        .map(|at| requested(&handlers[*at]).unwrap())
        .collect();
    assert_eq!(
        order.iter().map(GroupRequest::sequence).collect::<Vec<_>>(),
        [9, 2, 5]
    );
}

#[test]
fn rejection_reaches_all_who_joined_and_the_next_fetch_starts_anew() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let pending = [fetch(&track, 5).unwrap(), fetch(&track, 5).unwrap()];
    let probe = Probe::new();
    probe.park(|waiter| pending[1].poll(waiter));
    requested(&handler).unwrap().reject(Error::Timeout);
    assert_eq!(probe.wakes(), 1);
    for pending in &pending {
        assert_eq!(error(pending), Some(Error::Timeout));
    }
    let again = fetch(&track, 5).unwrap();
    assert!(outcome(&again).is_none());
    assert_eq!(requested(&handler).unwrap().sequence(), 5);
}

#[test]
fn a_dropped_request_fails_all_who_joined() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let pending = [fetch(&track, 5).unwrap(), fetch(&track, 5).unwrap()];
    let probe = Probe::new();
    probe.park(|waiter| pending[0].poll(waiter));
    drop(requested(&handler).unwrap());
    assert_eq!(probe.wakes(), 1);
    for pending in &pending {
        assert_eq!(error(pending), Some(Error::Dropped));
    }
}

#[test]
fn the_last_handler_takes_what_waits_with_it() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let served = fetch(&track, 1).unwrap();
    let request = requested(&handler).unwrap();
    let queued = fetch(&track, 5).unwrap();
    let probe = Probe::new();
    probe.park(|waiter| queued.poll(waiter));
    drop(handler);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(error(&queued), Some(Error::NotFound));
    let next = track.dynamic();
    assert!(requested(&next).is_none(), "nobody waits for it any more");
    let _group = request.accept(None).unwrap();
    assert!(
        outcome(&served).unwrap().is_ok(),
        "what is in service belongs to its holder"
    );
}

#[test]
fn a_clone_of_the_handler_keeps_serving() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    drop(handler.clone());
    let pending = fetch(&track, 5).unwrap();
    let twin = handler.clone();
    drop(handler);
    assert!(outcome(&pending).is_none());
    assert_eq!(requested(&twin).unwrap().sequence(), 5);
}

#[test]
fn serving_fetches_or_not_is_nothing_to_live_readers() {
    let world = World::new();
    let track = track(&world);
    let mut subscriber = track.subscribe(None);
    drop(track.dynamic());
    track.write_frame("x").unwrap();
    assert!(
        look(|waiter| subscriber.poll_recv_group(waiter))
            .unwrap()
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_group_that_comes_live_answers_its_fetch() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let served = fetch(&track, 6).unwrap();
    let request = requested(&handler).unwrap();
    let queued = fetch(&track, 5).unwrap();
    assert_eq!(request.sequence(), 6);
    let _live = [
        track.create_group(5).unwrap(),
        track.create_group(6).unwrap(),
    ];
    assert!(outcome(&queued).unwrap().is_ok());
    assert!(outcome(&served).unwrap().is_ok());
    assert_eq!(request.accept(None).err(), Some(Error::Duplicate));
    assert!(outcome(&served).unwrap().is_ok());
    assert!(requested(&handler).is_none());
}

#[test]
fn fetched_groups_are_not_live() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let mut subscriber = track.subscribe(None);
    let first = fetch(&track, 9).unwrap();
    fill(
        &requested(&handler).unwrap().accept(None).unwrap(),
        &["nine"],
    );
    assert_eq!(track.latest(), None);
    drop(first);
    let _live = [
        track.create_group(5).unwrap(),
        track.create_group(6).unwrap(),
    ];
    let pending = fetch(&track, 2).unwrap();
    fill(
        &requested(&handler).unwrap().accept(None).unwrap(),
        &["two"],
    );
    assert_eq!(track.latest(), Some(6));
    assert!(outcome(&pending).unwrap().is_ok());
    assert!(track.consume().get_group(2).is_some());
    let mut recv = || {
        look(|waiter| subscriber.poll_recv_group(waiter))
            .map(|group| group.unwrap().unwrap().sequence())
    };
    assert_eq!([recv(), recv(), recv()], [Some(5), Some(6), None]);
    let mut next = || {
        look(|waiter| subscriber.poll_next_group(waiter))
            .map(|group| group.unwrap().unwrap().sequence())
    };
    assert_eq!([next(), next(), next()], [Some(5), Some(6), None]);
    assert!(look(|waiter| subscriber.poll_read_frame(waiter)).is_none());
}

#[test]
fn a_fetched_group_that_then_comes_live_reaches_subscribers() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let mut subscriber = track.subscribe(None);
    let _pending = fetch(&track, 3).unwrap();
    fill(
        &requested(&handler).unwrap().accept(None).unwrap(),
        &["three"],
    );
    assert!(look(|waiter| subscriber.poll_recv_group(waiter)).is_none());
    assert_eq!(track.create_group(3).err(), Some(Error::Duplicate));
    let group = look(|waiter| subscriber.poll_recv_group(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(frames(group), [(0, "three".into())]);
    assert_eq!(track.latest(), Some(3));
    assert!(look(|waiter| subscriber.poll_recv_group(waiter)).is_none());
}

#[test]
fn a_fetch_is_no_subscription() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let pending = fetch(&track, 2).unwrap();
    assert_eq!(track.subscription(), None);
    let _group = requested(&handler).unwrap().accept(None).unwrap();
    let _reader = outcome(&pending).unwrap().unwrap();
    assert_eq!(track.subscription(), None);
}

#[test]
fn nobody_is_asked_for_what_nobody_wants() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    drop([fetch(&track, 5).unwrap(), fetch(&track, 5).unwrap()]);
    assert!(requested(&handler).is_none());
    // Somebody wants it again: the handler, asleep since, must hear of it.
    let (first, probe) = (fetch(&track, 6).unwrap(), Probe::new());
    drop(first);
    probe.park(|waiter| handler.poll_requested_group(waiter));
    let _again = fetch(&track, 6).unwrap();
    assert!(probe.wakes() > 0);
    assert_eq!(requested(&handler).unwrap().sequence(), 6);
}

#[test]
fn a_handler_learns_that_nobody_waits_any_more() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let pending = fetch(&track, 5).unwrap();
    let request = requested(&handler).unwrap();
    let probe = Probe::new();
    probe.park(|waiter| request.poll_unused(waiter));
    drop(pending);
    assert_eq!(probe.wakes(), 1);
    assert_eq!(look(|waiter| request.poll_unused(waiter)), Some(()));
    let pending = fetch(&track, 6).unwrap();
    let group = requested(&handler).unwrap().accept(None).unwrap();
    let reader = outcome(&pending).unwrap().unwrap();
    drop(pending);
    assert!(look(|waiter| group.poll_unused(waiter)).is_none());
    drop(reader);
    assert!(look(|waiter| group.poll_unused(waiter)).is_some());
}

#[test]
fn looking_into_the_cache_asks_nobody() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    assert!(track.consume().get_group(5).is_none());
    assert!(requested(&handler).is_none());
}

/// Whether there was no room for the request.
fn is_full<T>(fetch: &Result<T, Error>) -> bool {
    matches!(fetch, Err(Error::NoCapacity(_)))
}

#[test]
fn too_many_requests_are_refused_and_cancelled_ones_do_not_count() {
    let world = World::with(Limits {
        group_requests: 2,
        ..Limits::default()
    });
    let track = track(&world);
    let handler = track.dynamic();
    for sequence in 0..100 {
        drop(fetch(&track, sequence).unwrap());
    }
    let _waiting = [fetch(&track, 0).unwrap(), fetch(&track, 1).unwrap()];
    assert!(is_full(&fetch(&track, 2)));
    assert!(fetch(&track, 1).is_ok(), "joining needs no room");
    let mut service = vec![requested(&handler).unwrap(), requested(&handler).unwrap()];
    let _more = [fetch(&track, 2).unwrap(), fetch(&track, 3).unwrap()];
    assert!(is_full(&fetch(&track, 4)));
    service.extend([requested(&handler).unwrap(), requested(&handler).unwrap()]);
    assert!(is_full(&fetch(&track, 4)), "as many again in service");
    service.pop();
    assert!(fetch(&track, 4).is_ok());
}

// ---- frame_start

fn from(frame: u64) -> Fetch {
    Fetch::default().with_frame_start(frame)
}

#[test]
fn a_fetch_may_start_inside_the_group() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let consumer = track.consume();
    fill(&track.create_group(5).unwrap(), &["a", "b", "c", "d"]);
    let read = |frame| {
        frames(
            outcome(&consumer.fetch_group(5, from(frame)).unwrap())
                .unwrap()
                .unwrap(),
        )
    };
    assert_eq!(read(2), [(2, "c".into()), (3, "d".into())]);
    assert_eq!(read(4), []);
    assert_eq!(read(100), []);
    // The same from a handler that can only give the whole group,
    let pending = consumer.fetch_group(6, from(2)).unwrap();
    let request = requested(&handler).unwrap();
    assert_eq!(request.frame_start(), 2);
    fill(&request.accept(None).unwrap(), &["a", "b", "c", "d"]);
    assert_eq!(
        frames(outcome(&pending).unwrap().unwrap()),
        [(2, "c".into()), (3, "d".into())]
    );
    // and from one that gives what was asked for.
    let pending = consumer.fetch_group(7, from(2)).unwrap();
    fill(
        &requested(&handler).unwrap().accept_from(None, 2).unwrap(),
        &["c", "d"],
    );
    assert_eq!(
        frames(outcome(&pending).unwrap().unwrap()),
        [(2, "c".into()), (3, "d".into())]
    );
}

#[test]
fn the_earliest_wanted_frame_is_asked_for() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let consumer = track.consume();
    let late = consumer.fetch_group(5, from(3)).unwrap();
    let early = consumer.fetch_group(5, from(1)).unwrap();
    let request = requested(&handler).unwrap();
    assert_eq!(request.frame_start(), 1);
    // In service: later frames join, earlier ones need a request of their own.
    let joined = consumer.fetch_group(5, from(2)).unwrap();
    assert!(requested(&handler).is_none());
    let whole = consumer.fetch_group(5, from(0)).unwrap();
    let second = requested(&handler).unwrap();
    assert_eq!(second.frame_start(), 0);
    fill(&request.accept_from(None, 1).unwrap(), &["b", "c", "d"]);
    let first =
        |pending: &Pending<TrackFetch>| frames(outcome(pending).unwrap().unwrap())[0].clone();
    assert_eq!(first(&late), (3, "d".into()));
    assert_eq!(first(&early), (1, "b".into()));
    assert_eq!(first(&joined), (2, "c".into()));
    assert!(outcome(&whole).is_none());
    fill(&second.accept(None).unwrap(), &["a", "b", "c", "d"]);
    assert_eq!(first(&whole), (0, "a".into()));
}

#[test]
fn a_superseded_request_takes_nothing_with_it() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let consumer = track.consume();
    let late = consumer.fetch_group(5, from(3)).unwrap();
    let request = requested(&handler).unwrap();
    let whole = consumer.fetch_group(5, None).unwrap();
    drop(request);
    assert_eq!(error(&late), Some(Error::Dropped));
    assert!(outcome(&whole).is_none());
    assert_eq!(requested(&handler).unwrap().frame_start(), 0);
}

#[test]
fn a_group_without_its_head_is_a_miss_for_the_whole() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let consumer = track.consume();
    fill(&track.create_group_from(5, 2).unwrap(), &["c", "d"]);
    assert!(
        outcome(&consumer.fetch_group(5, from(2)).unwrap())
            .unwrap()
            .is_ok()
    );
    let whole = consumer.fetch_group(5, None).unwrap();
    assert!(outcome(&whole).is_none());
    fill(
        &requested(&handler).unwrap().accept(None).unwrap(),
        &["a", "b", "c", "d"],
    );
    assert_eq!(frames(outcome(&whole).unwrap().unwrap()).len(), 4);
    // It replaces the part, also for subscribers who have not seen that yet.
    let mut subscriber = track.subscribe(None);
    let group = look(|waiter| subscriber.poll_recv_group(waiter))
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(frames(group).len(), 4);
}

#[test]
fn an_answer_that_starts_too_late_satisfies_nobody_who_wants_more() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    let pending = fetch(&track, 5).unwrap();
    let _group = requested(&handler).unwrap().accept_from(None, 3).unwrap();
    assert_eq!(error(&pending), Some(Error::NotFound));
}

#[test]
fn whoever_serves_a_track_hears_that_nobody_holds_it_or_waits_for_a_group() {
    let world = World::new();
    let track = track(&world);
    let handler = track.dynamic();
    assert!(look(|waiter| handler.poll_unused(waiter)).is_some());
    let pending = fetch(&track, 3).unwrap();
    let request = requested(&handler).unwrap();
    assert!(look(|waiter| handler.poll_unused(waiter)).is_none());
    assert!(
        world
            .executor
            .run_for(Duration::ZERO, request.unused())
            .is_none()
    );
    drop(pending);
    assert!(look(|waiter| handler.poll_unused(waiter)).is_some());
    world.executor.run_until(request.unused());
}
