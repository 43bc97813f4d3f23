//! By which way a broadcast comes, and which of several ways is used.

mod support;

use moq_net::{
    AnnounceConsumer, Announced, BroadcastInfo, Cost, Error, Host, Instant, Limits, Origin,
    OriginList, OriginProducer, Path, Runtime, Sleep, Subscription,
};
use support::executor::Executor;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A host that throws the same number every time.
struct Dice(u64);

impl Host for Dice {
    fn now(&self) -> Instant {
        Instant::ZERO
    }

    fn sleep_until(&self, _: Instant) -> Sleep {
        Box::pin(std::future::pending())
    }

    fn random(&self) -> u64 {
        self.0
    }
}

#[test]
fn every_random_id_is_one_that_a_floating_point_number_holds() {
    let highest = (1 << 53) - 1;
    for (thrown, id) in [
        (0, 1),
        (1, 2),
        (highest - 1, highest),
        (highest, 1),
        (u64::MAX, 2048),
    ] {
        let runtime = Runtime::new(Dice(thrown), Limits::default());
        assert_eq!(Origin::random(&runtime).id, id, "{thrown}");
    }
}

#[test]
fn unknown_hops_are_nobody_in_particular() {
    let hops = [Origin::UNKNOWN, Origin { id: 7 }];
    let mut list = OriginList::try_from(hops.to_vec()).unwrap();
    assert!(list.contains(Origin { id: 7 }));
    assert!(!list.contains(Origin { id: 8 }));
    assert!(!list.contains(Origin::UNKNOWN));
    assert!(!Origin::UNKNOWN.is_known() && Origin { id: 7 }.is_known());
    list.replace_first(Origin { id: 9 });
    assert_eq!(list.as_slice(), [Origin { id: 9 }, Origin { id: 7 }]);
    assert_eq!(list.iter().collect::<Vec<_>>(), list.as_slice());
    assert_eq!((list.len(), list.is_empty()), (2, false));
    assert_eq!(
        (OriginList::new().len(), OriginList::new().is_empty()),
        (0, true)
    );
}

#[test]
fn a_list_of_hops_is_refused_rather_than_cut() {
    let mut hops: Vec<_> = (1..=32).map(|id| Origin { id }).collect();
    let mut list = OriginList::try_from(hops.clone()).unwrap();
    assert_eq!(list.push(Origin { id: 33 }), Err(Error::BoundsExceeded));
    assert_eq!(list.as_slice(), hops);
    hops.push(Origin { id: 33 });
    assert_eq!(OriginList::try_from(hops), Err(Error::BoundsExceeded));
}

fn world() -> (Runtime, OriginProducer) {
    let runtime = Executor::new().runtime(Limits::default());
    let origin = Origin { id: 100 }.produce(&runtime);
    (runtime, origin)
}

fn info(hops: &[u64], cost: u64) -> BroadcastInfo {
    let hops: Vec<_> = hops.iter().map(|id| Origin { id: *id }).collect();
    BroadcastInfo {
        cost: Cost {
            warm: cost,
            cold: cost,
        },
        ..BroadcastInfo::new().with_hops(OriginList::try_from(hops).unwrap())
    }
}

/// What a cursor says about the one path there is: the event, and by how many hops the broadcast comes.
fn next(cursor: &mut AnnounceConsumer) -> Option<(&'static str, usize)> {
    let (_, event) = cursor.try_next()?;
    Some(match event {
        Announced::Active(broadcast) => ("active", broadcast.info().hops.len()),
        Announced::Restart(broadcast) => ("restart", broadcast.info().hops.len()),
        Announced::Ended => ("ended", 0),
    })
}

#[test]
fn a_broadcast_that_comes_another_way_restarts() {
    let (runtime, origin) = world();
    let path = Path::parse("room").unwrap();
    let mut cursor = origin.consume().announced();
    let broadcast = info(&[1], 0).produce(&runtime);
    let published = origin.publish_broadcast(&path, &broadcast).unwrap();
    assert_eq!(next(&mut cursor), Some(("active", 1)));
    published.update(info(&[1, 2], 0));
    assert_eq!(next(&mut cursor), Some(("restart", 2)));
    published.update(info(&[1, 2], 0));
    assert_eq!(next(&mut cursor), None, "the same way is no news");
    let mut late = origin.consume().announced();
    let (_, event) = late.try_next().unwrap();
    let found = event.broadcast().unwrap();
    assert_eq!(*found.info(), info(&[1, 2], 0));
    assert!(found.is_clone(&broadcast.consume()));
}

#[test]
fn the_best_way_is_used_as_ways_change() {
    let (runtime, origin) = world();
    let path = Path::parse("room").unwrap();
    let [near, far] = [info(&[1], 0), info(&[1, 2], 0)].map(|info| info.produce(&runtime));
    let near = origin.publish_broadcast(&path, &near).unwrap();
    let far = origin.publish_broadcast(&path, &far).unwrap();
    let mut cursor = origin.consume().announced();
    assert_eq!(next(&mut cursor), Some(("active", 1)));
    far.update(info(&[1, 2, 3], 0));
    assert_eq!(next(&mut cursor), None, "it is not the one in use");
    near.update(info(&[1], 5));
    assert_eq!(next(&mut cursor), Some(("restart", 3)), "too dear now");
    near.update(info(&[1], 4));
    assert_eq!(next(&mut cursor), None, "still too dear");
    near.update(info(&[1], 0));
    assert_eq!(next(&mut cursor), Some(("restart", 1)), "cheap again");
    drop(near);
    assert_eq!(next(&mut cursor), Some(("restart", 3)));
    drop(far);
    assert_eq!(next(&mut cursor), Some(("ended", 0)));
}

#[test]
fn a_broadcast_published_twice_is_one_way_that_either_guard_keeps() {
    let (runtime, origin) = world();
    let path = Path::parse("room").unwrap();
    let broadcast = info(&[1], 0).produce(&runtime);
    let guards = [(); 2].map(|()| origin.publish_broadcast(&path, &broadcast).unwrap());
    let mut cursor = origin.consume().announced();
    assert_eq!(next(&mut cursor), Some(("active", 1)));
    let [first, second] = guards;
    second.update(info(&[1, 2], 7));
    assert_eq!(next(&mut cursor), Some(("restart", 2)));
    drop(first);
    assert_eq!(next(&mut cursor), None);
    drop(second);
    assert_eq!(next(&mut cursor), Some(("ended", 0)));
}

/// Who has published the one path there is, as a new cursor is told.
fn holder(origin: &OriginProducer) -> Option<u64> {
    let (_, event) = origin.consume().announced().try_next()?;
    let broadcast = event.broadcast()?;
    broadcast.info().hops.iter().next().map(|hop| hop.id)
}

/// A route learned in a session.
fn learned(session: u64, hops: &[u64], cost: u64) -> BroadcastInfo {
    BroadcastInfo {
        session,
        ..info(hops, cost)
    }
}

#[test]
fn of_routes_that_are_equal_the_newest_is_used_but_one_published_here_stays() {
    let (runtime, origin) = world();
    let path = Path::parse("room").unwrap();
    for (hops, stays) in [(&[1][..], false), (&[1, 2], false), (&[], true)] {
        let [first, second] = [(); 2].map(|()| info(hops, 0).produce(&runtime));
        let _first = origin.publish_broadcast(&path, &first).unwrap();
        let mut cursor = origin.consume().announced();
        assert_eq!(next(&mut cursor), Some(("active", hops.len())));
        let second_guard = origin.publish_broadcast(&path, &second).unwrap();
        let found = cursor.try_next().and_then(|(_, event)| event.broadcast());
        assert_eq!(found.is_none(), stays, "{hops:?}");
        assert!(found.is_none_or(|found| found.is_clone(&second.consume())));
        drop(second_guard);
        let back = cursor.try_next().and_then(|(_, event)| event.broadcast());
        assert_eq!(back.is_none(), stays, "{hops:?}");
        assert!(back.is_none_or(|found| found.is_clone(&first.consume())));
    }
}

#[test]
fn a_publisher_that_is_connected_here_takes_a_path_from_another_at_once() {
    let path = Path::parse("room").unwrap();
    // In both orders, so that no hash decides; and whatever the route costs.
    for (old, new, cost) in [(1, 2, 0), (2, 1, 0), (1, 2, 9), (2, 1, 9)] {
        let (runtime, origin) = world();
        let [first, second] =
            [learned(1, &[old], 0), learned(2, &[new], cost)].map(|info| info.produce(&runtime));
        let handler = first.dynamic();
        let first_guard = origin.publish_broadcast(&path, &first).unwrap();
        let read = first.create_track("read", None).unwrap();
        let asked = first.consume().track("asked").unwrap();
        let mut cursor = origin.consume().announced();
        assert_eq!(next(&mut cursor), Some(("active", 1)));
        let second_guard = origin.publish_broadcast(&path, &second).unwrap();
        let kept = second.create_track("read", None).unwrap();
        assert_eq!(next(&mut cursor), Some(("restart", 1)));
        assert_eq!(holder(&origin), Some(new));
        // Its readers are to look again; it can still be asked.
        assert_eq!(read.write_frame("x"), Err(Error::Dropped));
        assert!(matches!(
            asked.subscribe(Subscription::default()),
            Err(Error::Dropped)
        ));
        assert!(first.consume().track("again").is_ok());
        kept.write_frame("x").unwrap();

        first_guard.update(learned(1, &[old], 0));
        first_guard.update(learned(1, &[old], 3));
        assert_eq!(next(&mut cursor), None, "the old one does not take it back");
        drop(second_guard);
        assert_eq!(next(&mut cursor), Some(("restart", 1)));
        assert_eq!(holder(&origin), Some(old), "it stood by");
        drop((first_guard, handler));
        assert_eq!(next(&mut cursor), Some(("ended", 0)));
    }
}

#[test]
fn a_publisher_takes_a_path_back_only_by_a_new_announcement() {
    let (runtime, origin) = world();
    let path = Path::parse("room").unwrap();
    let announce = |info: BroadcastInfo| {
        let broadcast = info.produce(&runtime);
        let guard = origin.publish_broadcast(&path, &broadcast).unwrap();
        (broadcast, guard)
    };
    let old = announce(learned(1, &[1], 0));
    let _new = announce(learned(2, &[2], 0));
    assert_eq!(holder(&origin), Some(2));
    // Within a session a broadcast is replaced before the one before it goes.
    let again = announce(learned(1, &[1], 0));
    drop(old);
    assert_eq!(holder(&origin), Some(2), "its session is the old one");
    let _reconnected = announce(learned(3, &[1], 0));
    assert_eq!(holder(&origin), Some(1));
    drop(again);
    assert_eq!(holder(&origin), Some(1));
}

#[test]
fn a_publisher_that_is_about_to_leave_takes_nothing() {
    let (runtime, origin) = world();
    let path = Path::parse("room").unwrap();
    let most = Cost::MAX.warm;
    let [first, second] =
        [learned(1, &[1], 0), learned(2, &[2], most)].map(|info| info.produce(&runtime));
    let first = origin.publish_broadcast(&path, &first).unwrap();
    let _second = origin.publish_broadcast(&path, &second).unwrap();
    assert_eq!(holder(&origin), Some(1));
    first.update(learned(1, &[1], most));
    assert_eq!(holder(&origin), Some(2), "both leave: the later claim");
    first.update(learned(1, &[1], 0));
    assert_eq!(holder(&origin), Some(1));
}

#[test]
fn several_routes_to_one_publisher_are_compared_by_their_keys() {
    let (runtime, origin) = world();
    let path = Path::parse("room").unwrap();
    let [near, far] = [learned(1, &[1], 1), learned(2, &[1], 2)].map(|info| info.produce(&runtime));
    let read = near.create_track("read", None).unwrap();
    let _near = origin.publish_broadcast(&path, &near).unwrap();
    let mut cursor = origin.consume().announced();
    assert_eq!(next(&mut cursor), Some(("active", 1)));
    let _far = origin.publish_broadcast(&path, &far).unwrap();
    assert_eq!(next(&mut cursor), None);
    let close = learned(3, &[1], 0).produce(&runtime);
    let _close = origin.publish_broadcast(&path, &close).unwrap();
    assert_eq!(next(&mut cursor), Some(("restart", 1)));
    // What is read is the same either way.
    read.write_frame("x").unwrap();
}

#[test]
fn between_routes_through_relays_only_the_key_decides() {
    let path = Path::parse("room").unwrap();
    let routes = [&[1, 9][..], &[2, 9], &[3, 8], &[4, 7]];
    let used = |order: &[usize]| {
        let (runtime, origin) = world();
        let guards: Vec<_> = order
            .iter()
            .map(|at| {
                let broadcast = learned(*at as u64 + 1, routes[*at], 0).produce(&runtime);
                let guard = origin.publish_broadcast(&path, &broadcast).unwrap();
                (broadcast, guard)
            })
            .collect();
        let holder = holder(&origin);
        drop(guards);
        holder
    };
    let first = used(&[0, 1, 2, 3]);
    for order in [[3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        assert_eq!(used(&order), first, "{order:?}");
    }
    // Also against one that is connected here.
    let (runtime, origin) = world();
    let [relayed, direct] =
        [learned(1, &[1, 9], 0), learned(2, &[2], 5)].map(|info| info.produce(&runtime));
    let _relayed = origin.publish_broadcast(&path, &relayed).unwrap();
    let _direct = origin.publish_broadcast(&path, &direct).unwrap();
    assert_eq!(holder(&origin), Some(1));
}

#[test]
fn a_publisher_without_a_name_takes_over_from_one_like_it() {
    let (runtime, origin) = world();
    let path = Path::parse("room").unwrap();
    // As they come from versions that tell no hops, and from those that tell only their number.
    for hops in [[&[11][..], &[12]], [&[11, 0], &[12, 0]], [&[12], &[11]]] {
        let [first, second] = [1, 2].map(|session| {
            let info = learned(session, hops[session as usize - 1], 0);
            let anonymous = BroadcastInfo {
                anonymous: true,
                ..info
            };
            anonymous.produce(&runtime)
        });
        let _first = origin.publish_broadcast(&path, &first).unwrap();
        let _second = origin.publish_broadcast(&path, &second).unwrap();
        assert_eq!(holder(&origin), Some(hops[1][0]));
    }
}

#[test]
fn a_price_grows_with_every_link_as_far_as_the_wire_can_say() {
    let most = (1 << 62) - 1;
    let price = |warm, cold| Cost { warm, cold };
    assert_eq!(Cost::MAX, price(most, most));
    assert_eq!(price(1, 2).over(3), price(4, 5));
    assert_eq!(price(most - 2, 0).over(3), price(most, 3));
    assert_eq!(price(0, 1).over(u64::MAX), Cost::MAX);
}
