//! What a runtime says is alive: a count that is always zero would prove of no leak that it is none.

mod support;

use moq_net::{Frame, Origin, Path, Stats};
use support::look::World;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn what_lives_is_counted_and_what_goes_is_not() {
    let world = World::new();
    let stats = || world.runtime.stats();
    assert_eq!(stats(), Stats::default());
    let origin = Origin { id: 1 }.produce(&world.runtime);
    assert_eq!((stats().origins, stats().producers), (1, 1));
    let broadcast = origin
        .create_broadcast(&Path::parse("room").unwrap())
        .unwrap();
    assert_eq!((stats().broadcasts, stats().producers), (1, 2));
    let track = broadcast.create_track("video", None).unwrap();
    assert_eq!((stats().tracks, stats().producers), (1, 3));
    let subscriber = track.subscribe(None);
    assert_eq!(stats().subscriptions, 1);
    let group = track.append_group().unwrap();
    assert_eq!((stats().groups, stats().producers), (1, 4));
    let frame = group
        .create_frame(Frame {
            size: 4,
            timestamp: None,
        })
        .unwrap();
    assert_eq!((stats().frames, stats().producers), (1, 5));
    frame.write("four").unwrap();
    assert!(stats().cached_bytes >= 4);

    drop((frame, group));
    assert_eq!(stats().producers, 3);
    drop(subscriber);
    assert_eq!(stats().subscriptions, 0);
    drop(track);
    assert_eq!((stats().tracks, stats().groups, stats().frames), (0, 0, 0));
    drop(broadcast);
    assert_eq!((stats().broadcasts, stats().consumers), (0, 0));
    drop(origin);
    assert_eq!(stats(), Stats::default());
}
