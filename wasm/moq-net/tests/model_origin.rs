//! Look-up by path: announcements, routes, requests and scopes.

mod support;

use std::time::Duration;

use kio::Waiter;
use moq_net::{
    AnnounceConsumer, Announced, BroadcastConsumer, BroadcastInfo, BroadcastProducer, Cost, Error,
    Limits, Origin, OriginDynamic, OriginList, OriginProducer, Path, Runtime,
};
use support::executor::Executor;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn path(text: &str) -> Path<'_> {
    Path::parse(text).unwrap()
}

struct World {
    executor: Executor,
    runtime: Runtime,
    origin: OriginProducer,
}

fn world() -> World {
    let executor = Executor::new();
    let runtime = executor.runtime(Limits::default());
    let origin = Origin { id: 100 }.produce(&runtime);
    World {
        executor,
        runtime,
        origin,
    }
}

impl World {
    fn broadcast(&self) -> BroadcastProducer {
        BroadcastInfo::new().produce(&self.runtime)
    }

    fn routed(&self, hops: &[u64]) -> BroadcastProducer {
        let hops: Vec<_> = hops.iter().map(|id| Origin { id: *id }).collect();
        let hops = OriginList::try_from(hops).unwrap();
        BroadcastInfo {
            hops,
            ..BroadcastInfo::new()
        }
        .produce(&self.runtime)
    }

    fn request(&self, text: &str) -> Result<kio::Pending<moq_net::BroadcastRequested>, Error> {
        self.origin.consume().request_broadcast(&path(text))
    }

    /// The result of a request that must be there by now.
    fn settled(
        &self,
        pending: kio::Pending<moq_net::BroadcastRequested>,
    ) -> Result<BroadcastConsumer, Error> {
        self.executor
            .run_for(Duration::ZERO, pending)
            .expect("the request is answered")
    }
}

fn is_pending(pending: &kio::Pending<moq_net::BroadcastRequested>) -> bool {
    pending.poll_ok(&Waiter::noop()).is_pending()
}

fn has_request(handler: &mut OriginDynamic) -> bool {
    handler.poll_requested_broadcast(&Waiter::noop()).is_ready()
}

fn take(world: &World, handler: &mut OriginDynamic) -> moq_net::BroadcastRequest {
    world
        .executor
        .run_for(Duration::ZERO, handler.requested_broadcast())
        .expect("a request waits")
        .unwrap()
}

/// What a cursor says, in short.
fn next(cursor: &mut AnnounceConsumer) -> Option<String> {
    let (path, event) = cursor.try_next()?;
    let what = match event {
        Announced::Active(_) => "active",
        Announced::Restart(_) => "restart",
        Announced::Ended => "ended",
    };
    Some(format!("{what} {path}"))
}

// ---- requests

#[test]
fn a_request_without_a_handler_fails_at_once() {
    let world = world();
    assert_eq!(world.request("missing").err(), Some(Error::NotFound));
}

#[test]
fn a_request_is_visible_to_the_handler_before_it_is_first_polled() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let pending = world.request("a").unwrap();
    let request = take(&world, &mut handler);
    assert_eq!(request.path(), &path("a"));
    assert!(is_pending(&pending));
}

#[test]
fn a_served_request_gives_that_broadcast_and_its_own_track_handler() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let pending = world.request("a").unwrap();
    let broadcast = world.broadcast();
    let mut tracks = broadcast.dynamic();
    take(&world, &mut handler).accept(&broadcast);
    let served = world.settled(pending).unwrap();
    assert!(served.is_clone(&broadcast.consume()));
    let track = served.track("video").unwrap();
    let request = world
        .executor
        .run_for(Duration::ZERO, tracks.requested_track())
        .unwrap()
        .unwrap();
    assert_eq!(request.name(), track.name());
}

#[test]
fn a_served_broadcast_is_never_announced() {
    let world = world();
    let mut cursor = world.origin.consume().announced();
    let mut handler = world.origin.dynamic();
    let pending = world.request("a").unwrap();
    let broadcast = world.broadcast();
    take(&world, &mut handler).accept(&broadcast);
    world.settled(pending).unwrap();
    world.executor.advance(Duration::from_secs(3600));
    assert_eq!(next(&mut cursor), None);
    assert_eq!(next(&mut world.origin.consume().announced()), None);
}

#[test]
fn requests_for_one_path_share_one_handler_request_until_it_is_answered() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let first = world.request("a").unwrap();
    let second = world.request("a").unwrap();
    let request = take(&world, &mut handler);
    let third = world.request("/a/").unwrap();
    assert!(!has_request(&mut handler));
    let broadcast = world.broadcast();
    request.accept(&broadcast);
    for pending in [first, second, third] {
        assert!(
            world
                .settled(pending)
                .unwrap()
                .is_clone(&broadcast.consume())
        );
    }
}

#[test]
fn a_rejection_reaches_every_requester_and_frees_the_path() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let first = world.request("a").unwrap();
    let second = world.request("a").unwrap();
    take(&world, &mut handler).reject(Error::Cancel);
    assert_eq!(world.settled(first).err(), Some(Error::Cancel));
    assert_eq!(world.settled(second).err(), Some(Error::Cancel));
    let _again = world.request("a").unwrap();
    assert!(has_request(&mut handler));
}

#[test]
fn the_last_handler_fails_what_nobody_took() {
    let world = world();
    let handler = world.origin.dynamic();
    let pending = world.request("a").unwrap();
    drop(handler);
    assert_eq!(world.settled(pending).err(), Some(Error::NotFound));
    assert_eq!(world.request("a").err(), Some(Error::NotFound));
}

#[test]
fn a_clone_of_the_handler_keeps_requests_alive() {
    let world = world();
    let handler = world.origin.dynamic();
    let clone = handler.clone();
    drop(handler);
    let pending = world.request("a").unwrap();
    assert!(is_pending(&pending));
    drop(clone);
    assert_eq!(world.settled(pending).err(), Some(Error::NotFound));
}

#[test]
fn an_announced_broadcast_is_preferred_to_the_handler() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let broadcast = world.origin.create_broadcast(&path("a")).unwrap();
    let pending = world.request("a").unwrap();
    assert!(
        world
            .settled(pending)
            .unwrap()
            .is_clone(&broadcast.consume())
    );
    assert!(!has_request(&mut handler));
}

#[test]
fn a_request_dropped_by_its_handler_is_not_found() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let pending = world.request("a").unwrap();
    drop(take(&world, &mut handler));
    assert_eq!(world.settled(pending).err(), Some(Error::NotFound));
}

#[test]
fn requests_on_a_gone_origin_are_dropped() {
    let world = world();
    let consumer = world.origin.consume();
    let handler = world.origin.dynamic();
    let World { origin, .. } = world;
    drop(origin);
    assert!(
        consumer.request_broadcast(&path("a")).is_ok(),
        "a handler is an owner"
    );
    drop(handler);
    assert_eq!(
        consumer.request_broadcast(&path("a")).err(),
        Some(Error::Dropped)
    );
}

#[test]
fn an_announced_broadcast_outlives_the_producers_of_its_origin() {
    let world = world();
    let consumer = world.origin.consume();
    let broadcast = world.broadcast();
    let _guard = world
        .origin
        .publish_broadcast(&path("a"), &broadcast)
        .unwrap();
    let World {
        origin, executor, ..
    } = world;
    drop(origin);
    let found = consumer.request_broadcast(&path("a")).unwrap();
    assert!(
        executor
            .run_until(found)
            .unwrap()
            .is_clone(&broadcast.consume())
    );
}

#[test]
fn one_requester_leaving_does_not_disturb_the_others() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let first = world.request("a").unwrap();
    let second = world.request("a").unwrap();
    drop(first);
    let broadcast = world.broadcast();
    take(&world, &mut handler).accept(&broadcast);
    assert!(world.settled(second).is_ok());
}

#[test]
fn a_request_nobody_waits_for_is_never_handed_out() {
    let world = world();
    let mut handler = world.origin.dynamic();
    drop(world.request("a").unwrap());
    assert!(!has_request(&mut handler));
    let _pending = world.request("a").unwrap();
    assert!(has_request(&mut handler));
}

#[test]
fn a_handler_that_passed_a_request_over_hears_when_somebody_wants_it_again() {
    let world = world();
    let mut handler = world.origin.dynamic();
    drop(world.request("a").unwrap());
    let asked = world.executor.spawn(async move {
        let request = handler.requested_broadcast().await;
        request.map(|request| request.path().clone())
    });
    world.executor.run_until_idle();
    assert!(asked.take().is_none());
    let _pending = world.request("a").unwrap();
    world.executor.run_until_idle();
    assert_eq!(asked.take().unwrap().unwrap(), path("a"));
}

#[test]
fn the_handler_learns_that_nobody_waits_any_more() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let pending = world.request("a").unwrap();
    let request = take(&world, &mut handler);
    assert!(
        world
            .executor
            .run_for(Duration::ZERO, request.unused())
            .is_none()
    );
    drop(pending);
    assert!(
        world
            .executor
            .run_for(Duration::ZERO, request.unused())
            .is_some()
    );
    request.accept(world.broadcast());
}

#[test]
fn an_announcement_answers_a_waiting_request_and_the_handler_comes_too_late() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let queued = world.request("queued").unwrap();
    let taken = world.request("taken").unwrap();
    let mut requests = [take(&world, &mut handler), take(&world, &mut handler)].map(Some);
    let index = requests
        .iter()
        .position(|r| r.as_ref().unwrap().path() == &path("taken"))
        .unwrap();
    let request = requests[index].take().unwrap();
    let announced = world.origin.create_broadcast(&path("taken")).unwrap();
    assert!(world.settled(taken).unwrap().is_clone(&announced.consume()));
    request.accept(world.broadcast());
    let again = world.request("taken").unwrap();
    assert!(world.settled(again).unwrap().is_clone(&announced.consume()));
    assert!(is_pending(&queued));

    let waiting = world.request("untaken").unwrap();
    let announced = world.origin.create_broadcast(&path("untaken")).unwrap();
    assert!(
        world
            .settled(waiting)
            .unwrap()
            .is_clone(&announced.consume())
    );
    assert!(!has_request(&mut handler));
}

#[test]
fn a_handler_hears_absolute_paths() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let rooted = world.origin.consume().with_root(&path("a")).unwrap();
    let _pending = rooted.request_broadcast(&path("b")).unwrap();
    assert_eq!(take(&world, &mut handler).path(), &path("a/b"));
}

#[test]
fn a_scoped_reader_reaches_nothing_outside_through_a_handler() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let scoped = world.origin.consume().scope(&[path("a")]).unwrap();
    assert_eq!(
        scoped.request_broadcast(&path("b")).err(),
        Some(Error::NotFound)
    );
    assert!(!has_request(&mut handler));
    let _pending = scoped.request_broadcast(&path("a/x")).unwrap();
    assert!(has_request(&mut handler));
}

#[test]
fn a_scoped_handler_is_offered_only_its_own_paths() {
    let world = world();
    let mut scoped = world.origin.scope(&[path("a")]).unwrap().dynamic();
    assert_eq!(world.request("b").err(), Some(Error::NotFound));
    let _pending = world.request("a/b").unwrap();
    assert!(has_request(&mut scoped));
}

#[test]
fn a_request_in_service_survives_the_last_handler() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let pending = world.request("a").unwrap();
    let request = take(&world, &mut handler);
    drop(handler);
    assert!(is_pending(&pending));
    let broadcast = world.broadcast();
    request.accept(&broadcast);
    assert!(
        world
            .settled(pending)
            .unwrap()
            .is_clone(&broadcast.consume())
    );
}

#[test]
fn a_served_broadcast_that_is_still_open_is_given_again() {
    let world = world();
    let mut handler = world.origin.dynamic();
    let pending = world.request("a").unwrap();
    let broadcast = world.broadcast();
    take(&world, &mut handler).accept(&broadcast);
    world.settled(pending).unwrap();
    let again = world.request("a").unwrap();
    assert!(world.settled(again).unwrap().is_clone(&broadcast.consume()));
    assert!(!has_request(&mut handler));
    drop(broadcast);
    let _anew = world.request("a").unwrap();
    assert!(has_request(&mut handler));
}

#[test]
fn waiting_for_an_announcement_ignores_other_paths() {
    let world = world();
    let consumer = world.origin.consume();
    let wanted = world.executor.spawn({
        let consumer = consumer.clone();
        async move { consumer.announced_broadcast(&path("a/b")).await }
    });
    let _near = world.origin.create_broadcast(&path("a")).unwrap();
    let _nested = world.origin.create_broadcast(&path("a/b/c")).unwrap();
    let _similar = world.origin.create_broadcast(&path("a/bc")).unwrap();
    world.executor.run_until_idle();
    assert!(!wanted.is_finished());
    let broadcast = world.origin.create_broadcast(&path("a/b")).unwrap();
    world.executor.run_until_idle();
    assert!(
        wanted
            .take()
            .unwrap()
            .unwrap()
            .is_clone(&broadcast.consume())
    );

    let scoped = consumer.scope(&[path("x")]).unwrap();
    let outside = world
        .executor
        .run_for(Duration::ZERO, scoped.announced_broadcast(&path("a/b")));
    assert!(outside.expect("decided at once").is_none());
}

// ---- announcements

#[test]
fn a_new_reader_sees_what_is_active_and_then_changes() {
    let world = world();
    let _b = world.origin.create_broadcast(&path("b")).unwrap();
    let a = world.origin.create_broadcast(&path("a")).unwrap();
    let mut cursor = world.origin.consume().announced();
    assert_eq!(next(&mut cursor).unwrap(), "active a");
    assert_eq!(next(&mut cursor).unwrap(), "active b");
    drop(a);
    assert_eq!(next(&mut cursor).unwrap(), "ended a");
    assert_eq!(next(&mut cursor), None);
}

#[test]
fn what_came_and_went_unseen_is_not_told() {
    let world = world();
    let mut cursor = world.origin.consume().announced();
    drop(world.origin.create_broadcast(&path("a")).unwrap());
    assert_eq!(next(&mut cursor), None);
}

#[test]
fn an_unseen_return_is_one_arrival_of_the_newest() {
    let world = world();
    let mut cursor = world.origin.consume().announced();
    drop(world.origin.create_broadcast(&path("a")).unwrap());
    let newest = world.origin.create_broadcast(&path("a")).unwrap();
    let (_, event) = cursor.try_next().unwrap();
    assert!(event.broadcast().unwrap().is_clone(&newest.consume()));
    assert_eq!(next(&mut cursor), None);
}

#[test]
fn a_seen_path_that_returns_ends_first() {
    let world = world();
    let mut cursor = world.origin.consume().announced();
    let first = world.origin.create_broadcast(&path("a")).unwrap();
    assert_eq!(next(&mut cursor).unwrap(), "active a");
    drop(first);
    let second = world.origin.create_broadcast(&path("a")).unwrap();
    assert_eq!(next(&mut cursor).unwrap(), "ended a");
    assert_eq!(next(&mut cursor).unwrap(), "active a");

    drop(second);
    drop(world.origin.create_broadcast(&path("a")).unwrap());
    assert_eq!(next(&mut cursor).unwrap(), "ended a");
    assert_eq!(next(&mut cursor), None);
}

#[test]
fn a_better_route_restarts_what_was_seen_and_replaces_what_was_not() {
    let world = world();
    let mut early = world.origin.consume().announced();
    let long = world.routed(&[1, 2]);
    let _long = world.origin.publish_broadcast(&path("a"), &long).unwrap();
    let mut late = world.origin.consume().announced();
    assert_eq!(next(&mut early).unwrap(), "active a");
    let short = world.routed(&[1]);
    let _short = world.origin.publish_broadcast(&path("a"), &short).unwrap();
    assert_eq!(next(&mut early).unwrap(), "restart a");
    let (_, event) = late.try_next().unwrap();
    assert!(matches!(&event, Announced::Active(broadcast) if broadcast.is_clone(&short.consume())));
}

#[test]
fn a_slow_reader_holds_at_most_one_entry_per_path() {
    let world = world();
    let mut cursor = world.origin.consume().announced();
    let mut kept = Vec::new();
    for round in 0..10_000u32 {
        let name = format!("path-{}", round % 7);
        let broadcast = world.origin.create_broadcast(&path(&name)).unwrap();
        if round % 3 == 0 {
            kept.push(broadcast);
        }
        if kept.len() > 7 {
            kept.remove(0);
        }
    }
    let mut count = 0;
    while next(&mut cursor).is_some() {
        count += 1;
    }
    assert!(
        count <= 14,
        "at most an end and a return per path, not {count}"
    );
}

#[test]
fn the_best_backup_takes_over_without_a_gap() {
    let world = world();
    let routes = [&[1, 2, 3][..], &[1], &[1, 2]].map(|hops| world.routed(hops));
    let mut cursor = world.origin.consume().announced();
    let [worst, best, middle] = routes
        .each_ref()
        .map(|route| world.origin.publish_broadcast(&path("a"), route).unwrap());
    let (_, event) = cursor.try_next().unwrap();
    assert!(event.broadcast().unwrap().is_clone(&routes[1].consume()));
    drop(best);
    let (_, event) = cursor.try_next().unwrap();
    assert!(
        matches!(&event, Announced::Restart(broadcast) if broadcast.is_clone(&routes[2].consume()))
    );
    let longer = world.routed(&[1, 2, 3, 4]);
    let last = world.origin.publish_broadcast(&path("a"), &longer).unwrap();
    assert_eq!(next(&mut cursor), None, "a worse one comes silently");
    drop((worst, last));
    assert_eq!(next(&mut cursor), None, "a backup leaves silently");
    drop(middle);
    assert_eq!(next(&mut cursor).unwrap(), "ended a");
}

#[test]
fn the_same_broadcast_twice_on_a_path_is_one_announcement() {
    let world = world();
    let mut cursor = world.origin.consume().announced();
    let broadcast = world.broadcast();
    let first = world
        .origin
        .publish_broadcast(&path("a"), &broadcast)
        .unwrap();
    let second = world
        .origin
        .publish_broadcast(&path("a"), &broadcast)
        .unwrap();
    assert_eq!(next(&mut cursor).unwrap(), "active a");
    drop(second);
    assert_eq!(next(&mut cursor), None);
    drop(first);
    assert_eq!(next(&mut cursor).unwrap(), "ended a");
}

#[test]
fn equal_learned_routes_choose_the_same_winner_in_any_order_and_of_direct_ones_the_newest_wins() {
    let world = world();
    let winner = |routes: &[BroadcastProducer; 3], order: [usize; 3]| {
        let origin = Origin { id: 200 }.produce(&world.runtime);
        let _guards = order.map(|index| {
            origin
                .publish_broadcast(&path("a"), &routes[index])
                .unwrap()
        });
        let found = origin.consume().request_broadcast(&path("a")).unwrap();
        let found = world.executor.run_until(found).unwrap();
        routes
            .iter()
            .position(|route| route.consume().is_clone(&found))
            .unwrap()
    };
    let learned = [11, 12, 13].map(|hop| world.routed(&[hop, 20]));
    let direct = [11, 12, 13].map(|hop| world.routed(&[hop]));
    let expected = winner(&learned, [0, 1, 2]);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(winner(&learned, order), expected);
        assert_eq!(winner(&direct, order), order[2]);
    }
}

#[test]
fn an_anonymous_or_dearer_route_gives_way() {
    let world = world();
    let anonymous = BroadcastInfo {
        anonymous: true,
        ..world.routed(&[1]).info().clone()
    }
    .produce(&world.runtime);
    let dear = BroadcastInfo {
        cost: Cost { warm: 9, cold: 9 },
        ..world.routed(&[1]).info().clone()
    }
    .produce(&world.runtime);
    let cheap = world.routed(&[1, 2, 3]);
    let mut cursor = world.origin.consume().announced();
    let mut guards = Vec::new();
    for (route, expected) in [
        (&anonymous, "active a"),
        (&dear, "restart a"),
        (&cheap, "restart a"),
    ] {
        guards.push(world.origin.publish_broadcast(&path("a"), route).unwrap());
        assert_eq!(next(&mut cursor).unwrap(), expected);
    }
}

#[test]
fn a_route_through_this_origin_is_refused() {
    let world = world();
    let mut cursor = world.origin.consume().announced();
    let looped = world.routed(&[1, 100]);
    assert!(world.origin.publish_broadcast(&path("a"), &looped).is_err());
    assert_eq!(next(&mut cursor), None);
}

#[test]
fn a_parked_reader_wakes_for_its_own_paths_only() {
    let world = world();
    let scoped = world.origin.consume().scope(&[path("mine")]).unwrap();
    let mut cursor = scoped.announced();
    let task = world
        .executor
        .spawn(async move { cursor.next().await.map(|(path, _)| path) });
    world.executor.run_until_idle();
    let polls = world.executor.polls();
    let _other = world.origin.create_broadcast(&path("other")).unwrap();
    world.executor.run_until_idle();
    assert_eq!(world.executor.polls(), polls);
    let _mine = world.origin.create_broadcast(&path("mine/a")).unwrap();
    world.executor.run_until_idle();
    assert_eq!(task.take().unwrap().unwrap(), path("mine/a"));
}

#[test]
fn readers_end_with_the_origin() {
    let world = world();
    let mut cursor = world.origin.consume().announced();
    let World {
        origin, executor, ..
    } = world;
    drop(origin);
    assert!(cursor.is_closed());
    assert!(executor.run_until(cursor.next()).is_none());
}

// ---- scopes

#[test]
fn publishing_outside_the_scope_is_unauthorized() {
    let world = world();
    let scoped = world.origin.scope(&[path("foo")]).unwrap();
    assert_eq!(
        scoped.create_broadcast(&path("foobar")).err(),
        Some(Error::Unauthorized)
    );
    assert!(scoped.create_broadcast(&path("foo/x")).is_ok());
}

#[test]
fn overlapping_prefixes_announce_a_path_once() {
    let world = world();
    let scoped = world
        .origin
        .consume()
        .scope(&[path("a"), path("a/b"), path("")])
        .unwrap();
    let mut cursor = scoped.announced();
    let _broadcast = world.origin.create_broadcast(&path("a/b/c")).unwrap();
    assert_eq!(next(&mut cursor).unwrap(), "active a/b/c");
    assert_eq!(next(&mut cursor), None);
}

#[test]
fn equal_paths_are_written_in_many_ways() {
    let world = world();
    let broadcast = world.origin.create_broadcast(&path("/a//b/")).unwrap();
    let found = world.request("a/b").unwrap();
    assert!(world.settled(found).unwrap().is_clone(&broadcast.consume()));
}

#[test]
fn everything_is_released_in_the_end() {
    let world = world();
    let before = world.runtime.stats();
    {
        let mut handler = world.origin.dynamic();
        let mut cursor = world.origin.consume().announced();
        let pending = world.request("a").unwrap();
        let broadcast = world.broadcast();
        take(&world, &mut handler).accept(&broadcast);
        world.settled(pending).unwrap();
        let _announced = world.origin.create_broadcast(&path("b")).unwrap();
        assert!(cursor.try_next().is_some());
    }
    let _sweep = world.request("b");
    drop(_sweep);
    let World {
        origin, runtime, ..
    } = world;
    drop(origin);
    let after = runtime.stats();
    assert!(
        after.producers < before.producers,
        "the origin itself is gone: {after:?}"
    );
    assert_eq!(
        (after.origins, after.broadcasts, after.consumers),
        (0, 0, 0),
        "{after:?}"
    );
}

#[test]
fn asking_a_narrow_handle_for_everything_leaves_it_narrow() {
    let world = world();
    let narrow = world.origin.consume().scope(&[path("a")]).unwrap();
    let asked = narrow.scope(&[Path::ROOT]).unwrap();
    assert_eq!(asked.allowed(), [path("a").into_owned()]);
    let mut cursor = asked.announced();
    let _outside = world.origin.create_broadcast(&path("b")).unwrap();
    let _inside = world.origin.create_broadcast(&path("a/x")).unwrap();
    assert_eq!(next(&mut cursor).unwrap(), "active a/x");
    assert_eq!(next(&mut cursor), None);
    assert_eq!(
        asked.request_broadcast(&path("b")).err(),
        Some(Error::NotFound)
    );
    let writer = world.origin.scope(&[path("a")]).unwrap();
    let writer = writer.scope(&[Path::ROOT]).unwrap();
    assert_eq!(
        writer.create_broadcast(&path("c")).err(),
        Some(Error::Unauthorized)
    );
    assert!(narrow.scope(&[path("b")]).is_none(), "nothing is left");
}

#[test]
fn a_clone_of_a_view_costs_nobody_anything() {
    let world = world();
    let views: Vec<_> = (0..1000).map(|_| world.origin.consume().clone()).collect();
    let before = world.runtime.stats();
    let clones = views.clone();
    assert_eq!(world.runtime.stats(), before, "only cursors are counted");
    let cursor = clones[0].announced();
    assert_eq!(world.runtime.stats().consumers, before.consumers + 1);
    drop(cursor);
    assert_eq!(world.runtime.stats(), before);
}

#[test]
fn there_is_no_peek_at_what_is_announced() {
    // What a type has itself is preferred to what a trait adds: these calls reach the trait only while there is nothing else.
    trait Peek {
        fn get_broadcast(&self, _: &Path<'_>) -> &'static str {
            "no such method"
        }
    }
    impl Peek for moq_net::OriginConsumer {}
    impl Peek for OriginProducer {}
    let world = world();
    let _announced = world.origin.create_broadcast(&path("a")).unwrap();
    assert_eq!(world.origin.get_broadcast(&path("a")), "no such method");
    let view = world.origin.consume();
    assert_eq!(view.get_broadcast(&path("a")), "no such method");
}

#[test]
fn our_own_ids_survive_a_floating_point_number() {
    let world = world();
    for _ in 0..1000 {
        let id = Origin::random(&world.runtime).id;
        assert!(id > 0 && id < 1 << 53, "{id}");
        assert_eq!(id as f64 as u64, id);
    }
}

#[test]
fn a_viewer_sees_the_best_route_that_did_not_come_from_it() {
    let world = world();
    let origin = &world.origin;
    let from = |session: u64, hops: &[u64]| {
        let hops: Vec<Origin> = hops.iter().copied().map(Origin::from).collect();
        BroadcastInfo {
            hops: OriginList::try_from(hops).unwrap(),
            session,
            ..BroadcastInfo::new()
        }
        .produce(&world.runtime)
    };
    let viewer = |session: u64, hop: u64| moq_net::Viewer {
        session,
        hops: vec![Origin::from(hop)],
        ..moq_net::Viewer::default()
    };
    let path = path("room");
    let (near, far) = (from(1, &[1]), from(2, &[1, 2]));
    let (first, second, everybody) = (viewer(1, 1), viewer(2, 2), moq_net::Viewer::default());
    let mut cursors: Vec<_> = [&first, &second, &everybody]
        .map(|viewer| origin.consume().viewed_by(viewer.clone()).announced())
        .into();
    let mut events = || -> Vec<&'static str> {
        let told = cursors.iter_mut().map(|cursor| match cursor.try_next() {
            None => "",
            Some((_, Announced::Active(_))) => "active",
            Some((_, Announced::Restart(_))) => "restart",
            Some((_, Announced::Ended)) => "ended",
        });
        told.collect()
    };
    let near_guard = origin.publish_broadcast(&path, &near).unwrap();
    assert_eq!(events(), ["", "active", "active"]);
    let far_guard = origin.publish_broadcast(&path, &far).unwrap();
    // It passed the first peer, and came from the second.
    assert_eq!(events(), ["", "", ""]);
    let other = from(3, &[7, 8, 3]);
    let other_guard = origin.publish_broadcast(&path, &other).unwrap();
    assert_eq!(
        events(),
        ["active", "", ""],
        "the one in use does not hide it"
    );
    drop(near_guard);
    assert_eq!(events(), ["", "restart", "restart"]);
    drop(other_guard);
    assert_eq!(events(), ["ended", "ended", ""]);
    drop(far_guard);
    assert_eq!(events(), ["", "", "ended"]);
}
