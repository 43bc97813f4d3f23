//! The task that serves one upstream track: what it asks of the publisher, and when.

mod support;

use std::time::Duration;

use moq_net::{
    BroadcastConsumer, Error, Limits, Subscription, TrackConsumer, TrackSubscriber, Version,
};
use support::{
    executor::Task,
    net::{self, Net, path},
    raw::{End, hex},
    upstream::Upstream,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const UPDATING: [Version; 4] = [
    Version::Lite03,
    Version::Lite04,
    Version::Lite05,
    Version::Lite06,
];

/// Versions whose publisher confirms nothing before groups.
const PUBLISHED: [Version; 2] = [Version::Lite05, Version::Lite06];

fn wish() -> Subscription {
    Subscription::default().with_max_latency(Duration::from_secs(5))
}

fn subscribe(net: &Net, track: &TrackConsumer, wish: Subscription) -> Task<TrackSubscriber> {
    let pending = track.subscribe(wish).expect("open");
    net.executor
        .spawn(async { pending.await.expect("subscribed") })
}

/// A viewer of track "v", with the subscription that it made upstream.
fn live<'a>(
    up: &'a Upstream<'_>,
    broadcast: &BroadcastConsumer,
) -> (TrackSubscriber, support::raw::Bidi<'a>, String) {
    let track = broadcast.track("v").unwrap();
    let viewer = subscribe(up.net, &track, wish());
    up.answer_track();
    let (stream, request) = up.answer_subscribe();
    (up.net.executor.run_until(viewer), stream, request)
}

/// A subscription that the upstream has ended after group 2, though no group has come yet, and what keeps the broadcast there.
fn over<'a>(up: &'a Upstream<'_>) -> (TrackSubscriber, impl Sized + use<'a>) {
    let (announce, broadcast) = up.announce();
    let (viewer, mut stream, _) = live(up, &broadcast);
    // START 0, END 2, FIN.
    stream.write("00 01 00  01 01 02");
    stream.fin();
    (viewer, (announce, stream))
}

fn recv(net: &Net, viewer: &mut TrackSubscriber) -> (u64, String) {
    net.executor.run_until(async {
        let mut group = viewer.recv_group().await.unwrap().expect("a group");
        let frame = group.read_frame().await.unwrap().expect("a frame");
        (group.sequence(), String::from_utf8(frame.to_vec()).unwrap())
    })
}

fn fetch(net: &Net, track: &TrackConsumer, sequence: u64) -> Task<Result<String, Error>> {
    let pending = track.fetch_group(sequence, None);
    net.executor.spawn(async {
        let frame = pending?.await?.read_frame().await?;
        Ok(String::from_utf8(frame.expect("a frame").to_vec()).unwrap())
    })
}

#[test]
fn a_past_group_is_fetched_while_the_subscription_goes_on() {
    for version in PUBLISHED {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let (mut viewer, _stream, _) = live(&up, &broadcast);
        let fetched = fetch(&net, &broadcast.track("v").unwrap(), 1);
        let mut answer = up.accept("03");
        up.raw.uni_fin(&(up.group(0, 5) + &up.frame("live")));
        assert_eq!(recv(&net, &mut viewer), (5, "live".to_owned()));
        answer.write(&up.frame("past"));
        answer.fin();
        assert_eq!(net.executor.run_until(fetched), Ok("past".to_owned()));
        up.raw.uni_fin(&(up.group(0, 6) + &up.frame("more")));
        assert_eq!(recv(&net, &mut viewer), (6, "more".to_owned()));
    }
}

#[test]
fn ten_fetches_and_a_subscription_are_ten_streams_and_one() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (_announce, broadcast) = up.announce();
    let (_viewer, _stream, _) = live(&up, &broadcast);
    let track = broadcast.track("v").unwrap();
    let fetches: Vec<_> = (0..10)
        .map(|sequence| fetch(&net, &track, sequence))
        .collect();
    let mut answers: Vec<_> = (0..10).map(|_| up.accept("03")).collect();
    assert!(up.try_accept("03").is_none());
    for answer in answers.iter_mut().rev() {
        answer.write(&up.frame("x"));
        answer.fin();
    }
    for fetched in fetches {
        assert_eq!(net.executor.run_until(fetched), Ok("x".to_owned()));
    }
}

#[test]
fn fetches_alone_never_subscribe() {
    for version in PUBLISHED {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let track = broadcast.track("v").unwrap();
        let fetched = fetch(&net, &track, 3);
        up.answer_track();
        let mut answer = up.accept("03");
        answer.write(&up.frame("x"));
        answer.fin();
        assert_eq!(net.executor.run_until(fetched), Ok("x".to_owned()));
        net.executor.advance(Duration::from_secs(20));
        assert!(up.try_accept("02").is_none());
    }
}

#[test]
fn the_first_subscriber_opens_one_subscription_with_everybodys_wishes() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (_announce, broadcast) = up.announce();
    let track = broadcast.track("v").unwrap();
    let one = subscribe(&net, &track, wish().with_priority(3).with_group_start(7));
    let two = subscribe(&net, &track, wish().with_priority(5).with_group_start(9));
    up.answer_track();
    let (_stream, request) = up.answer_subscribe();
    // id 0, "room", "v", priority 5, ordered 0, max age 5000, start 7 (+1), no end
    assert_eq!(
        hex(&request),
        hex("02 0e 00 04726f6f6d 0176 05 00 5388 08 00")
    );
    net.executor.run_until(one);
    net.executor.run_until(two);
    assert!(up.try_accept("02").is_none());
}

#[test]
fn another_wish_is_one_update_and_an_accepted_track_repeats_none() {
    for version in UPDATING {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let (_viewer, mut stream, _) = live(&up, &broadcast);
        assert_eq!(
            stream.read(),
            (String::new(), End::Open),
            "{version}: nothing is repeated"
        );
        let track = broadcast.track("v").unwrap();
        let second = subscribe(&net, &track, wish().with_priority(9));
        net.executor.run_until(second);
        let ordered = if version.has_ordered() { "00" } else { "" };
        let frames = if version.has_frame_bounds() {
            "00 00"
        } else {
            ""
        };
        let bytes = format!("09 {ordered} 5388 00 00 {frames}");
        let update = format!("{:02x} {bytes}", hex(&bytes).len());
        // The second one has left at once: back to the first wish.
        let (sent, end) = stream.read();
        assert!(hex(&sent).starts_with(&hex(&update)), "{version}: {sent}");
        assert_eq!(end, End::Open);
    }
}

#[test]
fn the_last_subscriber_pauses_the_subscription_and_the_next_resumes_it() {
    for version in UPDATING {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let (mut viewer, mut stream, _) = live(&up, &broadcast);
        up.raw.uni_fin(&(up.group(0, 4) + &up.frame("x")));
        recv(&net, &mut viewer);
        drop(viewer);
        let ordered = if version.has_ordered() { "00" } else { "" };
        let frames = if version.has_frame_bounds() {
            "00 00"
        } else {
            ""
        };
        let message = |body: String| {
            let bytes = hex(&body);
            [vec![u8::try_from(bytes.len()).unwrap()], bytes].concat()
        };
        // Priority 0, nothing beyond group 4.
        let (paused, end) = stream.read();
        assert_eq!(
            hex(&paused),
            message(format!("00 {ordered} 5388 00 05 {frames}")),
            "{version}"
        );
        assert_eq!(end, End::Open);

        net.executor.advance(Duration::from_secs(3));
        let again = subscribe(
            &net,
            &broadcast.track("v").unwrap(),
            wish().with_priority(2),
        );
        let mut again = net.executor.run_until(again);
        let (resumed, _) = stream.read();
        assert_eq!(
            hex(&resumed),
            message(format!("02 {ordered} 5388 00 00 {frames}")),
            "{version}"
        );
        assert!(
            up.try_accept("02").is_none(),
            "{version}: no second subscription"
        );
        up.raw.uni_fin(&(up.group(0, 9) + &up.frame("new")));
        // What was cached is served again, without asking anybody.
        assert_eq!(recv(&net, &mut again), (4, "x".to_owned()), "{version}");
        assert_eq!(recv(&net, &mut again), (9, "new".to_owned()), "{version}");
    }
}

#[test]
fn a_track_nobody_comes_back_to_is_torn_down_and_asked_for_anew() {
    for version in UPDATING {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let (viewer, mut stream, _) = live(&up, &broadcast);
        drop(viewer);
        net.executor.advance(Duration::from_millis(4900));
        assert_eq!(stream.read().1, End::Open, "{version}");
        net.executor.advance(Duration::from_millis(200));
        assert!(
            matches!(stream.read().1, End::Fin | End::Reset(1)),
            "{version}"
        );
        let (_viewer, _stream, request) = live(&up, &broadcast);
        assert_eq!(
            &hex(&request)[..3],
            [2, hex(&request)[1], 1],
            "{version}: a new id"
        );
    }
}

#[test]
fn without_updates_the_last_reader_tears_the_track_down_at_once() {
    for version in [Version::Lite01, Version::Lite02] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let (viewer, mut stream, _) = live(&up, &broadcast);
        drop(viewer);
        let (bytes, end) = stream.read();
        assert!(bytes.is_empty(), "{version}: no update");
        assert!(matches!(end, End::Fin | End::Reset(1)), "{version}");
    }
}

#[test]
fn a_consumer_that_asks_for_nothing_keeps_the_track() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (_announce, broadcast) = up.announce();
    let (viewer, mut stream, _) = live(&up, &broadcast);
    drop(viewer);
    net.executor.advance(Duration::from_secs(2));
    let _held = broadcast.track("v").unwrap();
    net.executor.advance(Duration::from_secs(10));
    assert_eq!(stream.read().1, End::Open);
}

#[test]
fn a_fetch_under_way_holds_back_the_linger() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (_announce, broadcast) = up.announce();
    let track = broadcast.track("v").unwrap();
    let fetched = fetch(&net, &track, 1);
    drop(track);
    up.answer_track();
    let mut answer = up.accept("03");
    net.executor.advance(Duration::from_secs(8));
    answer.write(&up.frame("slow"));
    answer.fin();
    assert_eq!(net.executor.run_until(fetched), Ok("slow".to_owned()));
    // Five seconds from now: the group is served from the cache of the same track.
    net.executor.advance(Duration::from_secs(4));
    let cached = broadcast.track("v").unwrap().get_group(1);
    assert!(cached.is_some());
}

#[test]
fn a_fetch_does_not_wait_for_a_stalled_subscription() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05Wip);
    let (_announce, broadcast) = up.announce();
    let track = broadcast.track("v").unwrap();
    let _viewer = subscribe(&net, &track, wish());
    let _unanswered = up.accept("02");
    let fetched = fetch(&net, &track, 1);
    let mut answer = up.accept("03");
    // FETCH_OK: group 1, timescale 1000, no codec
    answer.write(&("04 01 43e8 00".to_owned() + &up.frame("x")));
    answer.fin();
    assert_eq!(net.executor.run_until(fetched), Ok("x".to_owned()));
}

#[test]
fn answers_about_different_tracks_of_one_name_are_not_mixed() {
    // What was republished between two requests answers them with different properties: 05-wip reads frames by them.
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05Wip);
    let (_announce, broadcast) = up.announce();
    let track = broadcast.track("v").unwrap();
    let viewer = subscribe(&net, &track, wish());
    let mut stream = up.accept("02");
    let asked = track.fetch_group(1, None).unwrap();
    let fetched = net.executor.spawn(async { asked.await.map(|_group| ()) });
    let mut answer = up.accept("03");
    // FETCH_OK: group 1, untimed; and no frames
    answer.write("03 01 00 00");
    answer.fin();
    assert_eq!(net.executor.run_until(fetched), Ok(()));
    // SUBSCRIBE_OK: timescale 1000
    stream.write("00 0a 00 00 00 00 00 43e8 5388 00");
    up.raw.uni_fin(&(up.group(0, 3) + &up.frame("x")));
    let mut viewer = net.executor.run_until(viewer);
    let read = net.executor.run_until(viewer.recv_group());
    assert_eq!(read.err(), Some(Error::TimestampMismatch));
}

#[test]
fn a_finished_track_still_serves_old_groups_and_is_not_subscribed_again() {
    for version in PUBLISHED {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let (mut viewer, mut stream, _) = live(&up, &broadcast);
        // START 2, END 3 (exclusive)
        stream.write("00 01 02  01 01 03");
        up.raw.uni_fin(&(up.group(0, 2) + &up.frame("last")));
        stream.fin();
        assert_eq!(recv(&net, &mut viewer), (2, "last".to_owned()));
        assert_eq!(
            net.executor
                .run_until(viewer.recv_group())
                .map(|group| group.is_none()),
            Ok(true)
        );

        let track = broadcast.track("v").unwrap();
        let fetched = fetch(&net, &track, 0);
        let mut answer = up.accept("03");
        answer.write(&up.frame("first"));
        answer.fin();
        assert_eq!(net.executor.run_until(fetched), Ok("first".to_owned()));
        let again = subscribe(&net, &track, wish());
        net.executor.run_until(again);
        net.executor.advance(Duration::from_secs(1));
        assert!(up.try_accept("02").is_none(), "{version}");
    }
}

#[test]
fn a_reset_subscription_fails_the_track_with_its_reason() {
    for (code, error) in [
        (0x33, Error::NotFound),
        (0x36, Error::NotFound),
        (0x34, Error::Old),
        (0x47, Error::App(7)),
        // The sender may say that it is cancelled; for a reader it is gone.
        (0x00, Error::Dropped),
        (0x01, Error::Dropped),
        (0x03, Error::Dropped),
    ] {
        let net = Net::new();
        let up = Upstream::new(&net, Version::Lite05);
        let (_announce, broadcast) = up.announce();
        let (mut viewer, mut stream, _) = live(&up, &broadcast);
        stream.reset(code);
        let ended = net.executor.run_until(viewer.recv_group()).map(|_| ());
        assert_eq!(ended, Err(error));
        assert!(up.ended().is_none(), "the session lives");
        // The name can be asked for again.
        let _again = live(&up, &broadcast);
    }
}

#[test]
fn a_fin_without_an_end_is_a_failure_where_ends_are_declared() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (_announce, broadcast) = up.announce();
    let (mut viewer, mut stream, _) = live(&up, &broadcast);
    stream.fin();
    let ended = net.executor.run_until(viewer.recv_group()).map(|_| ());
    assert_eq!(ended, Err(Error::Dropped));
}

#[test]
fn a_withdrawn_broadcast_ends_those_who_wait_and_not_what_flows() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut announce, broadcast) = up.announce();
    let (mut viewer, mut stream, _) = live(&up, &broadcast);
    let waiting = broadcast.track("w").unwrap();
    let waiting = waiting.subscribe(wish()).unwrap();
    let _unanswered = up.accept("06");
    // ended "room", no hops
    announce.write("07 00 04726f6f6d 00");
    assert_eq!(
        net.executor.run_until(waiting).map(|_| ()),
        Err(Error::Dropped)
    );
    assert_eq!(net.executor.run_until(broadcast.closed()), Error::Dropped);
    assert_eq!(broadcast.track("x").map(|_| ()), Err(Error::Dropped));

    up.raw.uni_fin(&(up.group(0, 1) + &up.frame("tail")));
    assert_eq!(recv(&net, &mut viewer), (1, "tail".to_owned()));
    stream.write("01 01 02");
    stream.fin();
    assert_eq!(
        net.executor
            .run_until(viewer.recv_group())
            .map(|group| group.is_none()),
        Ok(true)
    );
}

#[test]
fn a_question_ends_with_the_broadcast_that_lost_its_path() {
    for version in Version::ALL {
        // With as many fetches under way as there may be, nothing else says that the track has ended.
        let net = Net::with_limits(Limits {
            fetches: 0,
            ..Limits::default()
        });
        let up = Upstream::new(&net, version);
        let (_announce, room) = up.announce();
        let track = room.track("v").unwrap();
        let asked = track.subscribe(wish()).unwrap();
        let pending = net.executor.spawn(async move { asked.await.map(|_| ()) });
        net.executor.run_until_idle();
        // Another publisher takes the path over before this one has answered.
        let other = net.origin(7);
        let (from, to) = (net::End::publish(&other), net::End::subscribe(&up.origin));
        let _other = net.connect(version, &from, &to);
        let _room = other.create_broadcast(&path("room")).unwrap();
        net.executor.run_until_idle();
        let answer = net.executor.run_until(pending);
        assert_eq!(answer, Err(Error::Dropped), "{version}");
    }
}

#[test]
fn a_refused_fetch_is_answered_and_the_next_one_asks_anew() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite06);
    let (_announce, broadcast) = up.announce();
    let track = broadcast.track("v").unwrap();
    let fetched = fetch(&net, &track, 1);
    up.answer_track();
    up.accept("03").reset(0x33);
    assert_eq!(net.executor.run_until(fetched), Err(Error::NotFound));
    let fetched = fetch(&net, &track, 1);
    let mut answer = up.accept("03");
    answer.write(&up.frame("x"));
    answer.fin();
    assert_eq!(net.executor.run_until(fetched), Ok("x".to_owned()));
}

#[test]
fn a_fetch_that_breaks_off_is_an_error_and_no_hit_of_the_cache() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (_announce, broadcast) = up.announce();
    let track = broadcast.track("v").unwrap();
    let pending = track.fetch_group(1, None).unwrap();
    up.answer_track();
    let mut answer = up.accept("03");
    answer.write(&up.frame("one"));
    let mut group = net.executor.run_until(pending).unwrap();
    assert_eq!(
        net.executor.run_until(group.read_frame()),
        Ok(Some("one".into()))
    );
    answer.reset(0x34);
    assert_eq!(net.executor.run_until(group.read_frame()), Err(Error::Old));
    assert!(track.get_group(1).is_none());
    let _again = track.fetch_group(1, None).unwrap();
    let _asked = up.accept("03");
}

#[test]
fn fetches_fail_locally_where_the_version_has_none() {
    for version in [Version::Lite03, Version::Lite04] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let (_viewer, _stream, _) = live(&up, &broadcast);
        let fetched = fetch(&net, &broadcast.track("v").unwrap(), 1);
        assert_eq!(
            net.executor.run_until(fetched),
            Err(Error::Version),
            "{version}"
        );
        assert!(up.try_accept("03").is_none(), "{version}");
    }
}

#[test]
fn a_publisher_that_does_not_answer_times_out() {
    for version in [Version::Lite04, Version::Lite05] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let pending = broadcast.track("v").unwrap().subscribe(wish()).unwrap();
        net.executor.run_until_idle();
        let before = net.executor.now();
        let failed = net.executor.run_until(pending).map(|_| ());
        let what = match version {
            Version::Lite04 => "the answer to SUBSCRIBE",
            _ => "the answer to TRACK",
        };
        let limit = Duration::from_secs(10);
        assert_eq!(failed, Err(Error::Late { what, limit }), "{version}");
        let text = format!("{what} did not come within 10 s");
        assert_eq!(failed.unwrap_err().to_string(), text);
        assert_eq!(
            net.executor.now() - before,
            Duration::from_secs(10),
            "{version}"
        );
        assert!(up.ended().is_none());
    }
}

#[test]
fn after_a_goaway_new_requests_fail_and_old_ones_go_on() {
    for version in [Version::Lite04, Version::Lite05, Version::Lite06] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let (mut viewer, _stream, _) = live(&up, &broadcast);
        // GOAWAY "https://b/"
        let mut goaway = up.raw.bidi("05 0b 0a 68747470733a2f2f622f");
        goaway.fin();
        assert_eq!(
            net.executor.run_until(up.session.going_away()),
            Ok("https://b/".to_owned())
        );
        let track = broadcast.track("w").unwrap();
        let refused = net.executor.run_until(async {
            match track.subscribe(wish()).unwrap().await {
                Err(error) => error,
                Ok(mut track) => track.recv_group().await.map(|_| ()).unwrap_err(),
            }
        });
        assert_eq!(refused, Error::GoingAway, "{version}");
        up.raw.uni_fin(&(up.group(0, 1) + &up.frame("x")));
        assert_eq!(recv(&net, &mut viewer), (1, "x".to_owned()), "{version}");
        // A second one is one too many.
        let _again = up.raw.bidi("05 01 00");
        assert_eq!(up.raw.closed(), Some(3), "{version}");
    }
}

#[test]
fn groups_that_overtake_the_confirmation_are_kept() {
    for version in [Version::Lite02, Version::Lite04, Version::Lite05Wip] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let viewer = subscribe(&net, &broadcast.track("v").unwrap(), wish());
        let mut stream = up.accept("02");
        let early = up.raw.uni_fin(&(up.group(0, 3) + &up.frame("early")));
        stream.write(match version {
            Version::Lite02 => "00",
            Version::Lite04 => "00 05 00 00 00 00 00",
            _ => "00 0a 00 00 00 00 00 43e8 5388 00",
        });
        let mut viewer = net.executor.run_until(viewer);
        assert_eq!(
            recv(&net, &mut viewer),
            (3, "early".to_owned()),
            "{version}"
        );
        drop(early);
    }
}

#[test]
fn groups_that_the_end_has_overtaken_are_waited_for() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _kept) = over(&up);
    up.raw.uni_fin(&(up.group(0, 1) + &up.frame("one")));
    assert_eq!(recv(&net, &mut viewer), (1, "one".to_owned()));
    net.executor.advance(Duration::from_millis(400));
    up.raw.uni_fin(&(up.group(0, 0) + &up.frame("zero")));
    assert_eq!(recv(&net, &mut viewer), (0, "zero".to_owned()));
    assert_eq!(net.executor.run_until(viewer.finished()), Ok(2));
    // Afterwards the id is nobody's.
    let mut late = up.raw.uni(&(up.group(0, 1) + &up.frame("late")));
    assert_eq!(support::raw::stopped(&mut late), Some(1));
}

#[test]
fn a_group_that_never_comes_delays_the_end_only_for_a_while() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (viewer, _kept) = over(&up);
    let before = net.executor.now();
    assert_eq!(net.executor.run_until(viewer.finished()), Ok(2));
    assert_eq!(
        net.executor.now() - before,
        Duration::from_secs(5),
        "the max latency"
    );
}

#[test]
fn a_reader_in_order_does_not_wait_for_what_was_lost_before_the_end() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05);
    let (mut viewer, _kept) = over(&up);
    up.raw.uni_fin(&(up.group(0, 0) + &up.frame("zero")));
    let before = net.executor.now();
    let ends = net.executor.spawn(async move {
        let mut sequences = Vec::new();
        while let Some(group) = viewer.next_group().await? {
            sequences.push(group.sequence());
        }
        let missing = viewer.get_group(1).await.map(|_| ());
        Ok::<_, Error>((sequences, missing))
    });
    net.executor.advance(Duration::from_secs(6));
    assert!(ends.is_finished(), "waits for ever");
    let ends = net.executor.run_until(ends);
    assert_eq!(ends, Ok((vec![0], Err(Error::Dropped))));
    assert!(net.executor.now() - before < Duration::from_secs(7));
}

#[test]
fn patience_for_old_groups_does_not_hold_up_the_end_of_a_track_at_every_relay() {
    let limit = Duration::from_secs(1);
    let net = Net::with_limits(Limits {
        late_groups_max: limit,
        ..Limits::default()
    });
    let up = Upstream::new(&net, Version::Lite05);
    let (viewer, _kept) = over(&up);
    let before = net.executor.now();
    assert_eq!(net.executor.run_until(viewer.finished()), Ok(2));
    assert_eq!(net.executor.now() - before, limit);
}

#[test]
fn the_announced_broadcast_is_gone_when_the_stream_is_finished() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite06);
    let (mut announce, broadcast) = up.announce();
    announce.fin();
    net.executor.run_until(broadcast.closed());
    assert!(
        up.origin
            .consume()
            .request_broadcast(&path("room"))
            .is_err()
    );
    assert!(up.ended().is_none());
}

#[test]
fn upstream_is_asked_for_whole_groups_and_readers_get_their_part() {
    for (version, asked, ok) in [
        (
            Version::Lite05Wip,
            "03 0a 04726f6f6d 0176 00 01 00",
            "04 01 43e8 00",
        ),
        (Version::Lite05, "03 09 04726f6f6d 0176 00 01", ""),
        (Version::Lite06, "03 0b 04726f6f6d 0176 00 01 00 00", ""),
    ] {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let track = broadcast.track("v").unwrap();
        let tail = moq_net::Fetch::default().with_frame_start(2);
        let pending = track.fetch_group(1, tail).unwrap();
        up.answer_track();
        let mut answer = up.accept("03");
        assert_eq!(hex(&answer.read().0), hex(asked), "{version}");
        answer.write(&(ok.to_owned() + &up.frame("a") + &up.frame("b") + &up.frame("c")));
        answer.fin();
        let mut part = net.executor.run_until(pending).unwrap();
        assert_eq!(part.index(), 2, "{version}");
        assert_eq!(
            net.executor.run_until(part.read_frame()),
            Ok(Some("c".into())),
            "{version}"
        );
        // The whole of it is there for the next one.
        let whole = fetch(&net, &track, 1);
        assert_eq!(net.executor.run_until(whole), Ok("a".to_owned()));
        assert!(up.try_accept("03").is_none(), "{version}");
    }
}

#[test]
fn a_fetch_that_nobody_waits_for_is_given_up() {
    for version in PUBLISHED {
        let net = Net::new();
        let up = Upstream::new(&net, version);
        let (_announce, broadcast) = up.announce();
        let track = broadcast.track("v").unwrap();
        let pending = track.fetch_group(1, None).unwrap();
        up.answer_track();
        let mut answer = up.accept("03");
        answer.read();
        assert_eq!(answer.stopped(), None, "{version}");
        drop(pending);
        let (_, end) = answer.read();
        assert!(matches!(end, End::Reset(_)), "{version}: {end:?}");
    }
}

#[test]
fn packed_payloads_are_unpacked_on_the_version_that_has_them() {
    let net = Net::new();
    let up = Upstream::new(&net, Version::Lite05Wip);
    let (_announce, broadcast) = up.announce();
    let track = broadcast.track("v").unwrap();
    let viewer = subscribe(&net, &track, wish());
    let mut stream = up.accept("02");
    // priority 5, ordered 0, latency 0, start, end, no timescale, cache 5000, DEFLATE
    stream.write("00 09 05 00 00 00 00 00 5388 01");
    let mut viewer = net.executor.run_until(viewer);
    assert!(viewer.info().compress && viewer.info().timescale.is_none());
    let packed = "0a cb48cdc9c957c8402701";
    up.raw.uni_fin(&format!("00 02 00 01  {packed}"));
    let hello = "hello hello hello hello".to_owned();
    assert_eq!(recv(&net, &mut viewer), (1, hello.clone()));
    // In pieces, and then something that is no payload: that group ends, the track goes on.
    let mut send = up.raw.uni("00 02 00 02  0a cb48cdc9");
    support::raw::write(&net.executor, &mut send, "c957c8402701");
    let mut group = net
        .executor
        .run_until(viewer.recv_group())
        .unwrap()
        .unwrap();
    assert_eq!(
        net.executor.run_until(group.read_frame()),
        Ok(Some(hello.clone().into()))
    );
    support::raw::write(&net.executor, &mut send, "02 ffff");
    assert_eq!(
        net.executor.run_until(group.read_frame()),
        Err(Error::Decompress)
    );
    assert_eq!(support::raw::stopped(&mut send), Some(28));
    // A fetch says for itself how it is packed: this one is, the next is not.
    for (sequence, ok, frame) in [(7, "03 07 00 01", packed), (8, "03 08 00 00", "01 78")] {
        let fetched = fetch(&net, &track, sequence);
        let mut answer = up.accept("03");
        answer.write(&format!("{ok} {frame}"));
        answer.fin();
        let expected = if sequence == 7 { &hello } else { "x" };
        assert_eq!(net.executor.run_until(fetched).as_deref(), Ok(expected));
    }
    assert!(up.ended().is_none());
}
