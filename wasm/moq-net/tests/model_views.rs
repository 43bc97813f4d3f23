//! What the views of an origin know, what they are told, and what they leave behind.

mod support;

use std::time::Duration;

use moq_net::{
    Announced, BroadcastInfo, Error, Limits, Origin, OriginProducer, Path, Runtime, Viewer,
};
use support::executor::Executor;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn path(text: &str) -> Path<'_> {
    Path::parse(text).unwrap()
}

fn world() -> (Executor, Runtime, OriginProducer) {
    let executor = Executor::new();
    let runtime = executor.runtime(Limits::default());
    let origin = Origin { id: 100 }.produce(&runtime);
    (executor, runtime, origin)
}

#[test]
fn every_view_knows_its_root_and_the_full_path_of_what_is_below() {
    let (_executor, _runtime, origin) = world();
    let writer = origin.with_root(&path("a")).unwrap();
    let reader = writer.consume();
    let cursor = reader.announced();
    let handler = writer.dynamic();
    for root in [writer.root(), reader.root(), cursor.root(), handler.root()] {
        assert_eq!(root, &path("a"));
    }
    let below = path("b");
    for full in [
        writer.absolute(&below),
        reader.absolute(&below),
        cursor.absolute(&below),
    ] {
        assert_eq!(full.unwrap(), path("a/b"));
    }
    assert_eq!(writer.allowed(), [Path::ROOT]);
    assert_eq!(reader.allowed(), [Path::ROOT]);
    let narrow = origin.scope(&[path("a/b"), path("c")]).unwrap();
    assert_eq!(narrow.allowed(), [path("a/b"), path("c")]);
    assert_eq!(narrow.with_root(&path("a")).unwrap().allowed(), [path("b")]);
    for info in [origin.info(), reader.info(), handler.info()] {
        assert_eq!(info, Origin { id: 100 });
    }
}

#[test]
fn views_of_one_origin_know_each_other() {
    let (_executor, runtime, origin) = world();
    // Of the same id, and yet another.
    let other = Origin { id: 100 }.produce(&runtime);
    let view = origin.scope(&[path("a")]).unwrap();
    assert!(origin.is_clone(&view));
    assert!(!origin.is_clone(&other));
    assert!(origin.consume().is_clone(&view.consume()));
    assert!(!origin.consume().is_clone(&other.consume()));
}

#[test]
fn an_announcement_knows_its_full_path() {
    let (_executor, _runtime, origin) = world();
    let view = origin.with_root(&path("a")).unwrap();
    let made = view.create_broadcast(&path("b")).unwrap();
    assert_eq!(made.path(), &path("a/b"));
    let published = view.publish_broadcast(&path("c"), &*made).unwrap();
    assert_eq!(published.path(), &path("a/c"));
}

#[test]
fn a_withdrawn_announcement_leaves_the_broadcast() {
    let (_executor, _runtime, origin) = world();
    let mut cursor = origin.consume().announced();
    assert!(!cursor.is_closed());
    let made = origin.create_broadcast(&path("a")).unwrap();
    assert!(matches!(cursor.try_next(), Some((_, Announced::Active(_)))));
    let broadcast = made.unannounce();
    assert!(matches!(cursor.try_next(), Some((_, Announced::Ended))));
    assert!(broadcast.create_track("video", None).is_ok());
    let again = origin.publish_broadcast(&path("a"), &broadcast).unwrap();
    assert!(matches!(cursor.try_next(), Some((_, Announced::Active(_)))));
    again.unannounce();
    assert!(matches!(cursor.try_next(), Some((_, Announced::Ended))));
}

#[test]
fn a_cursor_that_goes_takes_along_what_it_did_not_tell() {
    let (_executor, runtime, origin) = world();
    let cursor = origin.consume().announced();
    let made = origin.create_broadcast(&path("a")).unwrap();
    let told = origin.consume().announced();
    let before = runtime.stats().consumers;
    drop(cursor);
    assert_eq!(before - runtime.stats().consumers, 2, "itself and the news");
    drop((made, told));
    assert_eq!(runtime.stats().consumers, 0);
}

#[test]
fn a_handler_learns_who_asks() {
    let (executor, runtime, origin) = world();
    let mut handler = origin.dynamic();
    let peer = Viewer {
        session: 3,
        hops: vec![Origin { id: 7 }],
        ..Viewer::default()
    };
    let wanted = path("a");
    let here = origin.consume();
    let there = here.viewed_by(peer.clone());
    let _first = here.request_broadcast(&wanted).unwrap();
    let _second = there.request_broadcast(&wanted).unwrap();
    let third = there.request_broadcast(&wanted).unwrap();
    let request = executor
        .run_for(Duration::ZERO, handler.requested_broadcast())
        .unwrap()
        .unwrap();
    assert_eq!(request.viewers(), [Viewer::default(), peer]);
    request.accept(BroadcastInfo::new().produce(&runtime));
    assert!(executor.run_for(Duration::ZERO, third).unwrap().is_ok());
}

#[test]
fn a_narrow_cursor_starts_with_what_is_announced_in_its_scope() {
    let (_executor, _runtime, origin) = world();
    let _announced = ["a/x", "ab", "b"].map(|name| origin.create_broadcast(&path(name)).unwrap());
    let narrow = origin.consume().scope(&[path("a"), path("c")]).unwrap();
    let mut cursor = narrow.announced();
    let told: Vec<_> = std::iter::from_fn(|| cursor.try_next())
        .map(|(path, _)| path)
        .collect();
    assert_eq!(told, [path("a/x")]);
}

#[test]
fn followers_of_an_origin_that_is_gone_end_with_its_last_announcement() {
    let (executor, _runtime, origin) = world();
    let mut cursor = origin.consume().announced();
    let made = origin.create_broadcast(&path("a")).unwrap();
    drop(origin);
    assert!(matches!(cursor.try_next(), Some((_, Announced::Active(_)))));
    assert!(!cursor.is_closed());
    let ended = executor.spawn(async move {
        let event = cursor.next().await;
        (event.is_some(), cursor.next().await.is_none())
    });
    executor.run_until_idle();
    assert!(ended.take().is_none(), "it is still announced");
    drop(made);
    executor.run_until_idle();
    assert_eq!(ended.take(), Some((true, true)));
}

#[test]
fn parked_followers_hear_of_the_end_of_their_origin() {
    let (executor, _runtime, origin) = world();
    let mut everything = origin.consume().announced();
    let ended = executor.spawn(async move { everything.next().await.is_none() });
    executor.run_until_idle();
    drop(origin);
    executor.run_until_idle();
    assert_eq!(ended.take(), Some(true));
}

#[test]
fn parked_followers_hear_of_the_end_though_it_is_outside_of_their_scope() {
    let (executor, _runtime, origin) = world();
    let narrow = origin.consume().scope(&[path("a")]).unwrap();
    let mut cursor = narrow.announced();
    let made = origin.create_broadcast(&path("b")).unwrap();
    drop(origin);
    let ended = executor.spawn(async move { cursor.next().await.is_none() });
    executor.run_until_idle();
    assert_eq!(ended.take(), None);
    drop(made);
    executor.run_until_idle();
    assert_eq!(ended.take(), Some(true));
}

#[test]
fn what_a_peer_served_is_not_given_back_to_it() {
    let (executor, runtime, origin) = world();
    let mut handler = origin.dynamic();
    let wanted = path("a");
    let pending = origin.consume().request_broadcast(&wanted).unwrap();
    let request = executor
        .run_for(Duration::ZERO, handler.requested_broadcast())
        .unwrap()
        .unwrap();
    let info = BroadcastInfo {
        session: 3,
        ..BroadcastInfo::new()
    };
    let broadcast = info.produce(&runtime);
    request.accept(&broadcast);
    assert!(executor.run_for(Duration::ZERO, pending).unwrap().is_ok());
    let seen_by = |session| {
        let viewer = Viewer {
            session,
            ..Viewer::default()
        };
        let found = origin
            .consume()
            .viewed_by(viewer)
            .request_broadcast(&wanted)?;
        executor.run_for(Duration::ZERO, found).unwrap()
    };
    assert_eq!(seen_by(3).err(), Some(Error::NotFound));
    assert!(seen_by(4).unwrap().is_clone(&broadcast.consume()));
}
