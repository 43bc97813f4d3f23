//! What bad input ends: the smallest thing there is, with its code, on every version. One table, one case per line.

#[path = "../support/mod.rs"]
mod support;

mod rows;

use std::{collections::BTreeSet, time::Duration};

use moq_net::{
    Error, Session, Subscription, Timescale, Timestamp, TrackInfo, TrackSubscriber, Version,
};
use rows::{Ends, Place, Row, Then, limits, preamble, subscribe, table};
use support::{
    downstream::Downstream,
    net::{End, Net, path},
    raw::{self, Bidi, Raw, hex, stopped},
    transport,
    upstream::Upstream,
};
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn bad_input_ends_the_least_it_can() {
    let mut inputs = BTreeSet::new();
    let mut failed = Vec::new();
    for version in Version::ALL {
        for row in table(version) {
            inputs.insert(row.input);
            for server in [false, true] {
                let case = format!("{version} {} [{}] server: {server}", row.input, row.bytes);
                if !holds(|| check(version, &row, server, &case)) {
                    failed.push(case);
                }
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} lines do not hold: {failed:#?}",
        failed.len()
    );
    assert!(inputs.len() > 40, "lines got lost: {inputs:?}");
}

/// Whether the line holds. All that do not are wanted at once, where a panic can be survived.
#[cfg(not(target_arch = "wasm32"))]
fn holds(line: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(line)).is_ok()
}

#[cfg(target_arch = "wasm32")]
fn holds(line: impl FnOnce()) -> bool {
    line();
    true
}

/// Plays one line against a session of one version, on either side of the connection.
fn check(version: Version, row: &Row, server: bool, case: &str) {
    match row.place {
        Place::Request => request(version, row, server, case),
        Place::Data | Place::Late | Place::Reply => live(version, row, server, case),
        Place::Datagram => datagram(version, row, server, case),
        Place::Announce | Place::Preamble => announcement(version, row, server, case),
        Place::ServerSetup | Place::ClientSetup | Place::SecondSetup => setup(version, row, case),
    }
}

/// The other end of a session that lets its peer read "room" and nothing else; "room" has the track "v" with one group.
fn request(version: Version, row: &Row, server: bool, case: &str) {
    let net = Net::with_limits(limits());
    let origin = net.origin(1);
    let room = origin.create_broadcast(&path("room")).unwrap();
    let _secret = origin.create_broadcast(&path("secret")).unwrap();
    let track = room.create_track("v", TrackInfo::default()).unwrap();
    track.write_frame("canary").unwrap();
    let end = End {
        publish: origin.consume().scope(&[path("room")]),
        subscribe: None,
    };
    let (session, transport, _stream) = match server {
        false => net.client(version, &end),
        true => {
            let (session, transport, stream) = net.server(version, &end, "01 01 00", None);
            (session.expect("accepted"), transport, stream)
        }
    };
    let raw = Raw {
        executor: &net.executor,
        transport,
    };
    if version.has_setup_stream() {
        raw.read_uni().expect("a SETUP");
        if !server {
            raw.uni_fin("01 01 00");
        }
    }
    let before = net.runtime.stats();
    let mut stream = raw.bidi(&row.bytes);
    after(&mut stream, row.then);
    match (&row.ends, row.then) {
        (Ends::Session(code), _) => return assert_eq!(raw.closed(), Some(*code), "{case}"),
        (Ends::Nothing, _) => {
            let ended = net.runtime.stats().empty_streams - before.empty_streams;
            assert_eq!(ended, 1, "{case}: not counted");
        }
        (Ends::Stream(code), then) => {
            assert_eq!(stream.read().1, raw::End::Reset(*code), "{case}");
            if matches!(then, Then::Open) {
                assert_eq!(stream.stopped(), Some(*code), "{case}");
            }
        }
        (other, _) => panic!("{case}: a request cannot end {other:?}"),
    }
    lives(&session, case);
    let _canary = raw.bidi(&subscribe(version, 7, "room", "v"));
    let (bytes, _) = raw.read_uni().unwrap_or_else(|| panic!("{case}: no group"));
    assert!(bytes.ends_with("63616e617279"), "{case}: {bytes}");
}

fn after(stream: &mut Bidi<'_>, then: Then) {
    match then {
        Then::Open => {}
        Then::Fin => stream.fin(),
        Then::Reset(code) => stream.reset(code),
    }
}

fn lives(session: &Session, case: &str) {
    assert_eq!(session.close_reason(), None, "{case}: the session ended");
}

fn upstream(net: &Net, version: Version, server: bool) -> Upstream<'_> {
    match server {
        false => Upstream::new(net, version),
        true => Upstream::server(net, version),
    }
}

/// A viewer of "v", live, with the streams that keep it so.
fn viewer<'a>(up: &'a Upstream<'_>) -> (TrackSubscriber, Bidi<'a>, Bidi<'a>) {
    let (announce, broadcast) = up.announce();
    let wish = Subscription::default().with_max_latency(Duration::from_secs(5));
    let pending = broadcast.track("v").unwrap().subscribe(wish).unwrap();
    let pending = up.net.executor.spawn(pending);
    up.answer_track();
    let (stream, _) = up.answer_subscribe();
    let viewer = up.net.executor.run_until(pending).unwrap();
    (viewer, announce, stream)
}

/// The sequence of the next group and how reading it ends.
fn read(net: &Net, viewer: &mut TrackSubscriber) -> (u64, Result<usize, Error>) {
    net.executor.run_until(async {
        let mut group = viewer.recv_group().await.unwrap().expect("a group");
        let mut frames = 0;
        loop {
            match group.read_frame().await {
                Ok(Some(_)) => frames += 1,
                Ok(None) => break (group.sequence(), Ok(frames)),
                Err(error) => break (group.sequence(), Err(error)),
            }
        }
    })
}

/// The other end of a session that has a live subscription.
fn live(version: Version, row: &Row, server: bool, case: &str) {
    let net = Net::with_limits(limits());
    let up = upstream(&net, version, server);
    let (mut viewer, _announce, mut replies) = viewer(&up);
    if let Some(bytes) = &row.before {
        up.raw.uni_fin(bytes);
        assert_eq!(read(&net, &mut viewer), (0, Ok(1)), "{case}");
    }
    let before = net.runtime.stats();
    let mut stopped_with = None;
    match row.place {
        Place::Reply => {
            replies.write(&row.bytes);
            after(&mut replies, row.then);
        }
        place => {
            if place == Place::Late {
                // The end of the track, and of the subscription with it.
                if version.has_subscribe_end() {
                    replies.write("00 01 00");
                    replies.write(if version.has_stream_count() {
                        "01 02 00 00"
                    } else {
                        "01 01 00"
                    });
                }
                replies.fin();
                net.executor.advance(Duration::from_secs(20));
            }
            let mut send = match row.then {
                // Together, so that there is nothing to refuse.
                Then::Fin => up.raw.uni_fin(&row.bytes),
                _ => up.raw.uni(&row.bytes),
            };
            if let Then::Reset(code) = row.then {
                send.reset(code);
            }
            stopped_with = {
                net.executor.run_until_idle();
                stopped(&mut send)
            };
        }
    }
    let expected = match &row.ends {
        Ends::Session(code) => return assert_eq!(up.raw.closed(), Some(*code), "{case}"),
        Ends::Stream(code) if matches!(row.then, Then::Open) => Some(*code),
        Ends::Group(_, code) => *code,
        _ => None,
    };
    assert_eq!(
        stopped_with.filter(|_| matches!(row.then, Then::Open)),
        expected,
        "{case}"
    );
    match &row.ends {
        Ends::Nothing => {
            let ended = net.runtime.stats().empty_streams - before.empty_streams;
            assert_eq!(ended, 1, "{case}: not counted");
        }
        Ends::Group(error, _) | Ends::Reader(error) => {
            assert_eq!(read(&net, &mut viewer), (0, Err(error.clone())), "{case}");
        }
        Ends::Track(error) => {
            let ended = net.executor.run_until(viewer.recv_group());
            assert_eq!(ended.map(|_| ()), Err(error.clone()), "{case}");
        }
        _ => {}
    }
    lives(&up.session, case);
    if row.place == Place::Data {
        up.raw.uni_fin(&(up.group(0, 9) + &up.frame("next")));
        assert_eq!(
            read(&net, &mut viewer),
            (9, Ok(1)),
            "{case}: the track is over"
        );
    }
}

fn datagram(version: Version, row: &Row, server: bool, case: &str) {
    let net = Net::with_limits(limits());
    let up = upstream(&net, version, server);
    let (mut viewer, _announce, _replies) = viewer(&up);
    let before = net.runtime.stats();
    for bytes in [row.bytes.as_str(), "00 02 40 6467"] {
        up.raw.transport.send_datagram(hex(bytes).into()).unwrap();
    }
    let next = net.executor.run_until(viewer.recv_datagram());
    assert_eq!(
        next.unwrap().map(|datagram| datagram.sequence),
        Some(2),
        "{case}"
    );
    let refused = net.runtime.stats().refused_datagrams - before.refused_datagrams;
    assert_eq!(refused, 1, "{case}: not counted");
    lives(&up.session, case);
}

fn announcement(version: Version, row: &Row, server: bool, case: &str) {
    let net = Net::with_limits(limits());
    let up = upstream(&net, version, server);
    let mut stream = up.accept("01");
    stream.read();
    if row.place == Place::Announce {
        stream.write(preamble(version));
    }
    stream.write(&row.bytes);
    after(&mut stream, row.then);
    let hears = |name: &str| {
        net.executor.run_until_idle();
        up.origin.consume().request_broadcast(&path(name)).is_ok()
    };
    match &row.ends {
        Ends::Session(code) => {
            assert_eq!(up.raw.closed(), Some(*code), "{case}");
            return assert!(!hears("room"), "{case}: its announcements outlived it");
        }
        Ends::Announcement => assert!(!hears("room"), "{case}"),
        Ends::Nothing => {}
        other => panic!("{case}: an announcement cannot end {other:?}"),
    }
    lives(&up.session, case);
    let room = rows::announce(version, &[9]);
    stream.write(&room.replace("04726f6f6d", "046e657874"));
    assert!(hears("next"), "{case}: the stream is over");
    if version.has_announce_ids() {
        // It took id 0, whatever became of it.
        stream.write("010101");
        assert!(!hears("next"), "{case}: it was not counted");
    }
}

fn setup(version: Version, row: &Row, case: &str) {
    let net = Net::with_limits(moq_net::Limits::default());
    let origin = net.origin(2);
    let end = End::subscribe(&origin);
    if row.place == Place::ClientSetup {
        let (session, transport, _) = net.server(version, &end, &row.bytes, Some("/room"));
        return match &row.ends {
            Ends::Session(code) => {
                let reason = transport.close_reason();
                let Some(transport::Error::Closed { code: got, .. }) = reason else {
                    panic!("{case}: {reason:?}");
                };
                assert_eq!(got, *code, "{case}");
            }
            _ => lives(&session.expect("accepted"), case),
        };
    }
    let (session, transport, _) = net.client(version, &end);
    let raw = Raw {
        executor: &net.executor,
        transport,
    };
    if row.place == Place::SecondSetup {
        raw.uni_fin("01 01 00");
    }
    raw.uni_fin(&row.bytes);
    match &row.ends {
        Ends::Session(code) => assert_eq!(raw.closed(), Some(*code), "{case}"),
        _ => {
            lives(&session, case);
            assert_eq!(net.executor.run_until(session.ready()), Ok(()), "{case}");
        }
    }
}

#[test]
fn a_refusal_of_no_known_meaning_ends_its_group_alone() {
    for version in Version::ALL {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        let open = down.track.create_group(0).unwrap();
        open.write_timed(Timestamp::from_millis(0), "one").unwrap();
        let mut subscription = down.raw.bidi(&subscribe(version, 0, "room", "v"));
        let mut group = down.raw.accept_uni().expect("a group");
        group.stop(0x2a);
        open.write_timed(Timestamp::from_millis(0), "two").unwrap();
        down.group(1, &[0]);
        let (bytes, end) = down.raw.read_uni().expect("the next group");
        assert!(bytes.ends_with("30"), "{version} {bytes}");
        assert_eq!(end, raw::End::Fin, "{version}");
        assert_eq!(subscription.read().1, raw::End::Open, "{version}");
        lives(&down.session, version.name());
    }
}

#[test]
fn what_we_cannot_say_ends_only_what_was_to_be_said() {
    // No version has numbers for it: a sequence, and a time where there are times.
    for version in Version::ALL {
        let net = Net::new();
        let down = Downstream::new(&net, version);
        let mut subscription = down.raw.bidi(&subscribe(version, 0, "room", "v"));
        subscription.read();
        if version.has_timestamps() {
            let group = down.track.create_group(0).unwrap();
            let never = Timestamp::new(u64::MAX, Timescale::MILLI);
            group.write_timed(never, "x").unwrap();
            let (_, end) = down.raw.read_uni().expect("a stream");
            let code = if version.has_decimal_codes() { 18 } else { 0 };
            assert_eq!(end, raw::End::Reset(code), "{version}");
        }
        down.group(1, &[0]);
        let (bytes, end) = down.raw.read_uni().expect("the next group");
        assert!(bytes.ends_with("30"), "{version} {bytes}");
        assert_eq!(end, raw::End::Fin, "{version}");
        lives(&down.session, version.name());
        down.group(1 << 62, &[0]);
        if let Some((bytes, end)) = down.raw.read_uni() {
            assert_eq!(bytes, "", "{version}");
            assert!(matches!(end, raw::End::Reset(_)), "{version}");
        }
        lives(&down.session, version.name());
    }
}
