//! The whole core, called as the worker calls it.

use moq_net::{Limits, Stats};

use super::Core;
use crate::{command::Command, slab::Key};

fn core() -> Core {
    Core::with_limits(&[7; 32], Limits::browser())
}

/// A track of our own, in a broadcast of its own.
fn track(core: &mut Core) -> f64 {
    let origin = core.create_origin();
    let broadcast = core.create_broadcast(origin, "room", "", true).unwrap();
    let nan = f64::NAN;
    core.create_track(broadcast, "video", nan, nan, nan, false, false)
        .unwrap()
}

/// Polls, and gives what the worker would be told.
fn poll<R>(core: &mut Core, look: impl FnOnce(&[Command]) -> R) -> R {
    core.poll(0.0);
    let seen = core.network.commands(|commands| look(commands.draining()));
    core.drained();
    seen
}

fn assert_nothing_is_left(core: &Core) {
    assert_eq!(core.runtime.stats(), Stats::default());
    assert_eq!((core.operations.len(), core.executor.len()), (0, 0));
    assert_eq!(core.network.counts(), (0, 0));
}

#[test]
fn shutdown_ends_a_wait_that_holds_what_it_waits_for() {
    let mut core = core();
    let track = track(&mut core);
    core.track_used(track).unwrap();
    poll(&mut core, |_| ());
    assert_eq!(core.operations.len(), 1);
    core.shutdown();
    assert_nothing_is_left(&core);
}

#[test]
fn shutdown_ends_a_reader_that_waits_for_credit() {
    let mut core = core();
    let nan = f64::NAN;
    let producer = track(&mut core);
    core.write_track_frame(producer, vec![1], nan).unwrap();
    let track = core.consume_track(producer).unwrap();
    core.subscribe(track, 0.0, false, 1000.0, nan, nan, 0.0)
        .unwrap();
    core.finish_track(producer).unwrap();
    poll(&mut core, |_| ());
    // The reader, and the hold of the broadcast.
    assert_eq!(core.executor.len(), 2);
    core.shutdown();
    assert_nothing_is_left(&core);
}

#[test]
fn shutdown_ends_a_listener_without_a_last_word() {
    let mut core = core();
    let origin = core.create_origin();
    core.announced(origin, "").unwrap();
    poll(&mut core, |_| ());
    core.shutdown();
    assert_nothing_is_left(&core);
    let told = poll(&mut core, <[Command]>::len);
    assert_eq!(told, 0, "nobody listens any more");
}

#[test]
fn shutdown_closes_the_transport_of_a_connection_that_is_under_way() {
    let mut core = core();
    let origin = core.create_origin();
    let transport = core.open_transport("moq-lite-06".to_owned(), 1200.0);
    core.connect(transport, origin, 0.0, "moq-lite-06").unwrap();
    poll(&mut core, |_| ());
    core.shutdown();
    let closed = poll(&mut core, |told| {
        told.iter().any(|command| {
            matches!(command, Command::Close { session, .. } if *session == transport as Key)
        })
    });
    assert!(closed);
    assert_nothing_is_left(&core);
}

/// The hops that a reader of `path` is told, and that the announcement carries.
fn route(core: &mut Core, origin: f64, path: &str) -> (String, String) {
    core.announced(origin, "").unwrap();
    let (handle, json) = poll(core, |told| {
        told.iter()
            .find_map(|command| match command {
                Command::Announce {
                    broadcast, json, ..
                } => Some((*broadcast, String::from_utf8(json.to_vec()).unwrap())),
                _ => None,
            })
            .unwrap()
    });
    assert!(json.contains(path));
    (core.broadcast_info(handle as f64).unwrap(), json)
}

#[test]
fn a_broadcast_from_elsewhere_keeps_the_route_it_came_by() {
    let mut core = core();
    let origin = core.create_origin();
    core.create_broadcast(origin, "far", " 7 4611686018427387903", true)
        .unwrap();
    let (info, announced) = route(&mut core, origin, "far");
    assert_eq!(info, r#"{"hops":["7","4611686018427387903"]}"#);
    assert!(announced.contains(r#""hops":["7","4611686018427387903"]"#));
}

#[test]
fn a_broadcast_of_our_own_has_passed_nobody() {
    let mut core = core();
    let origin = core.create_origin();
    core.create_broadcast(origin, "near", "", true).unwrap();
    let (info, _) = route(&mut core, origin, "near");
    assert_eq!(info, r#"{"hops":[]}"#);
}

#[test]
fn a_route_that_is_none_is_refused_and_makes_nothing() {
    let mut core = core();
    let origin = core.create_origin();
    let own = core.objects.borrow().origin(origin).unwrap().info().id;
    let own = own.to_string();
    let long = " 9".repeat(33);
    for (hops, kind) in [
        ("x", "usage"),
        ("-1", "usage"),
        ("4611686018427387904", "usage"),
        (long.as_str(), "usage"),
        (own.as_str(), "duplicate"),
    ] {
        let refused = core
            .create_broadcast(origin, "room", hops, true)
            .unwrap_err();
        let refused = refused.to_json();
        assert!(
            refused.contains(&format!(r#""kind":"{kind}""#)),
            "{hops}: {refused}"
        );
    }
    core.release(origin).unwrap();
    assert_nothing_is_left(&core);
}
