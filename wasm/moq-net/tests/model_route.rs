//! By which way a broadcast comes, and which of several ways is used.

mod support;

use moq_net::{
    AnnounceConsumer, Announced, BroadcastInfo, Cost, Error, Host, Instant, Limits, Origin,
    OriginList, OriginProducer, Path, Runtime, Sleep,
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

#[test]
fn a_way_that_is_as_good_stands_by() {
    let (runtime, origin) = world();
    let path = Path::parse("room").unwrap();
    let mut cursor = origin.consume().announced();
    let [first, second] = [(); 2].map(|()| info(&[1], 0).produce(&runtime));
    let in_use = origin.publish_broadcast(&path, &first).unwrap();
    assert_eq!(next(&mut cursor), Some(("active", 1)));
    let stands_by = origin.publish_broadcast(&path, &second).unwrap();
    assert_eq!(next(&mut cursor), None);
    for hops in [&[1, 2], &[1][..]] {
        stands_by.update(info(hops, 0));
        assert_eq!(next(&mut cursor), None);
    }
    drop(in_use);
    let (_, event) = cursor.try_next().unwrap();
    assert!(event.broadcast().unwrap().is_clone(&second.consume()));
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
