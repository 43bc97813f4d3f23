//! What happens at the bounds: each waits, refuses or ends what it says, names itself, and leaves everybody else alone.

mod support;

use std::time::Duration;

use moq_net::{Error, Limits, Rate, Session, Subscription, TrackSubscriber, Version};
use support::{
    downstream::Downstream,
    net::{End as Ends, Net, path},
    raw::{self, Bidi, End, Raw, hex, stopped},
    transport::Options,
    upstream::Upstream,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const VERSION: Version = Version::Lite05;

/// Why the peer was let go, with the limit it passed.
fn reason(session: &Session) -> Option<(Error, String)> {
    let close = session.close_reason()?;
    Some((close.error, close.reason))
}

fn passed(limit: &str) -> Option<(Error, String)> {
    Some((Error::BoundsExceeded, format!("limit passed: {limit}")))
}

/// SUBSCRIBE of track "v" of "room".
fn subscribe(id: u8) -> String {
    format!("02 0e {id:02x} 04726f6f6d 0176 05 00 41f4 00 00")
}

/// A viewer of "v", live.
fn viewer<'a>(up: &'a Upstream<'_>, wish: Subscription) -> (TrackSubscriber, Bidi<'a>, Bidi<'a>) {
    let (announce, broadcast) = up.announce();
    let pending = broadcast.track("v").unwrap().subscribe(wish).unwrap();
    let pending = up.net.executor.spawn(pending);
    up.answer_track();
    let (stream, _) = up.answer_subscribe();
    let viewer = up.net.executor.run_until(pending).unwrap();
    (viewer, announce, stream)
}

fn patient() -> Subscription {
    Subscription::default().with_max_latency(Duration::from_secs(5))
}

/// A session that lets its peer read `origin`, and that peer.
fn reader<'a>(net: &'a Net, up: &Upstream<'_>, options: Options) -> (Session, Raw<'a>) {
    let (session, transport, _) = net.client_with(options, VERSION, &Ends::publish(&up.origin));
    let raw = Raw {
        executor: &net.executor,
        transport,
    };
    raw.read_uni().expect("a SETUP");
    raw.uni_fin("01 01 00");
    (session, raw)
}

#[test]
fn announcements_beyond_the_limit_of_a_session_or_of_all_end_the_session_that_passes_it() {
    for (limits, limit) in [
        (
            Limits {
                announces: 2,
                ..Limits::default()
            },
            "announces",
        ),
        (
            Limits {
                total_announces: 3,
                ..Limits::default()
            },
            "total_announces",
        ),
    ] {
        let net = Net::with_limits(limits);
        let (one, two) = (Upstream::new(&net, VERSION), Upstream::new(&net, VERSION));
        let mut announcing = [one.accept("01"), two.accept("01")];
        for stream in &mut announcing {
            stream.read();
            stream.write("02 00 00");
        }
        announcing[0].write("04 01 0161 00");
        announcing[1].write("04 01 0162 00  04 01 0163 00");
        assert_eq!(net.runtime.stats().announcements, 3);
        assert_eq!((reason(&one.session), reason(&two.session)), (None, None));
        announcing[1].write("04 01 0164 00");
        assert_eq!(reason(&two.session), passed(limit));
        assert_eq!(two.raw.closed(), Some(3));
        assert_eq!(reason(&one.session), None);
        net.executor.run_until_idle();
        assert_eq!(net.runtime.stats().announcements, 1, "counted no more");
        assert!(one.origin.consume().request_broadcast(&path("a")).is_ok());
    }
}

#[test]
fn a_relay_may_announce_more_than_a_publisher() {
    let net = Net::with_limits(Limits {
        announces: 1,
        peer_announces: 2,
        ..Limits::default()
    });
    let origin = net.origin(2);
    let (ours, theirs) = support::transport::pair(Net::options(VERSION));
    let config = Ends::subscribe(&origin)
        .config(&net.runtime, VERSION)
        .with_peer(true);
    let connecting = moq_net::Client::new(config);
    let (session, driver) = net.executor.run_until(connecting.connect(ours)).unwrap();
    drop(net.executor.spawn(driver));
    let raw = Raw {
        executor: &net.executor,
        transport: theirs,
    };
    raw.uni_fin("01 01 00");
    let mut stream = raw.accept_bidi().unwrap();
    stream.read();
    stream.write("02 00 00  04 01 0161 00  04 01 0162 00");
    assert_eq!(reason(&session), None);
    stream.write("04 01 0163 00");
    // As many as it may have may come at once; this one had to wait.
    net.executor.advance(Duration::from_secs(1));
    assert_eq!(reason(&session), passed("announces"));
}

#[test]
fn changes_of_announcements_wait_for_their_turn_and_none_is_lost() {
    let limits = Limits {
        announce_rate: Rate::new(10, 3),
        ..Limits::default()
    };
    let net = Net::with_limits(limits);
    let up = Upstream::new(&net, VERSION);
    let mut announced = up.origin.consume().announced();
    let mut stream = up.accept("01");
    stream.read();
    stream.write("02 00 00");
    let all: String = (0..8)
        .map(|name| format!("04 01 01{:02x} 00", 0x61 + name))
        .collect();
    stream.write(&all);
    let mut heard = || std::iter::from_fn(|| announced.try_next()).count();
    assert_eq!(heard(), 3);
    net.executor.advance(Duration::from_millis(250));
    assert_eq!(heard(), 2);
    net.executor.advance(Duration::from_secs(1));
    assert_eq!(heard(), 3);
    assert_eq!(reason(&up.session), None);
}

#[test]
fn announce_streams_beyond_the_limit_are_refused_until_one_ends() {
    let net = Net::with_limits(Limits {
        interests: 2,
        ..Limits::default()
    });
    let down = Downstream::new(&net, VERSION);
    let mut streams: Vec<_> = (0..3).map(|_| down.raw.bidi("01 02 00 02")).collect();
    assert_eq!(streams[2].read().1, End::Reset(0x30));
    assert_eq!(net.runtime.stats().interests, 2);
    streams[0].fin();
    assert_eq!(down.raw.bidi("01 02 00 02").read().1, End::Open);
}

#[test]
fn frames_of_lower_priority_make_way_when_too_much_is_incomplete() {
    let limits = Limits {
        max_frame: 60,
        assembly_bytes: 40,
        ..Limits::default()
    };
    let net = Net::with_limits(limits);
    let up = Upstream::new(&net, VERSION);
    let (_low, _announce, _replies) = viewer(&up, patient().with_priority(1));
    let broadcast = net
        .executor
        .run_until(async { up.origin.consume().announced_broadcast(&path("room")).await })
        .unwrap();
    let wish = patient().with_priority(9);
    let pending = broadcast.track("w").unwrap().subscribe(wish).unwrap();
    let pending = net.executor.spawn(pending);
    up.answer_track();
    let (_replies, _) = up.answer_subscribe();
    let _high = net.executor.run_until(pending).unwrap();
    // Frames of 60 bytes, of which 40 come: two fit. The low one is neither first nor last.
    let part = format!("00 3c {}", "61".repeat(40));
    let mut first = up.raw.uni(&(up.group(1, 0) + &part));
    let mut low = up.raw.uni(&(up.group(0, 0) + &part));
    assert_eq!(net.runtime.stats().assembly_bytes, 80);
    let mut last = up.raw.uni(&(up.group(1, 1) + &part));
    assert_eq!(stopped(&mut low), Some(0x38));
    assert_eq!((stopped(&mut first), stopped(&mut last)), (None, None));
    assert_eq!(net.runtime.stats().assembly_bytes, 80);
    drop((first, last));
    net.executor.run_until_idle();
    assert_eq!(net.runtime.stats().assembly_bytes, 0);
}

#[test]
fn new_groups_beyond_the_rate_wait_and_so_does_their_publisher() {
    let net = Net::with_limits(Limits {
        group_rate: Rate::new(10, 2),
        ..Limits::default()
    });
    let up = Upstream::new(&net, VERSION);
    let (mut viewer, _announce, _replies) = viewer(&up, patient());
    for sequence in 0..5 {
        up.raw.uni_fin(&(up.group(0, sequence) + &up.frame("x")));
    }
    let mut count = || {
        let mut groups = 0;
        while support::look::look(|waiter| viewer.poll_recv_group(waiter)).is_some() {
            groups += 1;
        }
        groups
    };
    assert_eq!(count(), 2);
    net.executor.advance(Duration::from_millis(110));
    assert_eq!(count(), 1);
    net.executor.advance(Duration::from_secs(1));
    assert_eq!(count(), 2);
    assert_eq!(reason(&up.session), None);
}

#[test]
fn a_viewer_that_does_not_read_holds_no_more_than_its_share() {
    let limits = Limits {
        viewer_bytes: 250,
        ..Limits::default()
    };
    let net = Net::with_limits(limits);
    let down = Downstream::with(
        &net,
        VERSION,
        Options {
            window: 10,
            ..Net::options(VERSION)
        },
    );
    let mut stream = down.raw.bidi("");
    for byte in hex("02 0e 00 04726f6f6d 0176 05 00 6a60 00 00") {
        stream.write(&format!("{byte:02x}"));
    }
    let _answer = stream.read();
    let groups: Vec<_> = (0..4)
        .map(|sequence| {
            let group = down.track.create_group(sequence).unwrap();
            let time = moq_net::Timestamp::from_millis(sequence);
            group.write_timed(time, vec![b'x'; 100]).unwrap();
            group.finish().unwrap();
            net.executor.run_until_idle();
            down.raw.accept_uni().expect("a stream")
        })
        .collect();
    assert!(net.runtime.stats().unsent_bytes <= 250);
    let ends: Vec<_> = groups
        .into_iter()
        .map(|mut group| raw::read(&net.executor, &mut group).1)
        .collect();
    // The oldest two made way for the others.
    assert_eq!(ends, [End::Reset(5), End::Reset(5), End::Fin, End::Fin]);
    assert_eq!(net.runtime.stats().unsent_bytes, 0);
    assert!(down.raw.closed().is_none());
}

#[test]
fn so_many_groups_are_on_their_way_to_one_viewer_blocked_or_not() {
    let limits = Limits {
        viewer_groups: 3,
        ..Limits::default()
    };
    let net = Net::with_limits(limits);
    let down = Downstream::new(&net, VERSION);
    let mut stream = down.raw.bidi("02 0e 00 04726f6f6d 0176 05 00 6a60 00 00");
    let _answer = stream.read();
    // Each has a stream, and each goes on: nothing of them waits.
    let mut groups: Vec<_> = (0..5)
        .map(|sequence| {
            let group = down.track.create_group(sequence).unwrap();
            let time = moq_net::Timestamp::from_millis(sequence);
            group.write_timed(time, "x").unwrap();
            net.executor.run_until_idle();
            (group, down.raw.accept_uni().expect("a stream"))
        })
        .collect();
    let stats = net.runtime.stats();
    assert_eq!((stats.served_groups, stats.unsent_bytes), (3, 0));
    let mut ended = |index: usize| {
        let (group, stream) = &mut groups[index];
        let _over = group.finish();
        net.executor.run_until_idle();
        raw::read(&net.executor, stream).1
    };
    let ends = [ended(0), ended(1), ended(2), ended(3), ended(4)];
    assert_eq!(
        ends,
        [End::Reset(5), End::Reset(5), End::Fin, End::Fin, End::Fin]
    );
    assert_eq!(net.runtime.stats().served_groups, 0);
    assert!(down.raw.closed().is_none());
}

#[test]
fn a_peer_that_does_little_but_reset_is_let_go() {
    let limits = Limits {
        reset_rate: Rate::new(1, 3),
        ..Limits::default()
    };
    type Flood = fn(&Raw<'_>);
    let floods: [(&str, Flood); 3] = [
        ("requests", |raw| raw.bidi(&subscribe(0)).reset(1)),
        ("nothing", |raw| raw.bidi("").reset(1)),
        ("empty groups", |raw| {
            raw.uni_fin("");
        }),
    ];
    for (kind, flood) in floods {
        let net = Net::with_limits(limits.clone());
        let down = Downstream::new(&net, VERSION);
        for _ in 0..3 {
            flood(&down.raw);
        }
        net.executor.advance(Duration::from_secs(5));
        assert_eq!(reason(&down.session), None, "{kind}: within the rate");
        for _ in 0..5 {
            if down.raw.closed().is_none() {
                flood(&down.raw);
            }
        }
        net.executor.run_until_idle();
        assert_eq!(reason(&down.session), passed("reset_rate"), "{kind}");
    }
}

#[test]
fn changes_of_mind_are_told_upstream_at_most_ten_times_a_second() {
    let net = Net::new();
    let up = Upstream::new(&net, VERSION);
    let (viewer, _announce, mut stream) = viewer(&up, patient());
    let mut told = 0;
    for change in 0..2000_u32 {
        viewer.update(patient().with_priority((change % 200) as u8));
        net.executor.advance(Duration::from_millis(1));
        told += stream.read().0.len() / 2 / 7;
    }
    assert!((10..=21).contains(&told), "{told} in two seconds");
    viewer.update(patient().with_priority(250));
    net.executor.advance(Duration::from_secs(1));
    // length, priority, ordered, latency, start, end
    let (last, _) = stream.read();
    assert!(
        last.ends_with("06fa0053880000"),
        "the last wish counts: {last}"
    );
}

#[test]
fn invented_names_cost_the_upstream_no_more_than_the_rate() {
    let limits = Limits {
        lookup_rate: Rate::new(10, 4),
        ..Limits::default()
    };
    let net = Net::with_limits(limits);
    let up = Upstream::new(&net, VERSION);
    let (_announce, _broadcast) = up.announce();
    let (session, raw) = reader(&net, &up, Net::options(VERSION));
    // Answered with "not found" as they come.
    let asked = || {
        let mut asked = 0;
        while let Some(mut query) = up.try_accept("06") {
            query.reset(0x33);
            asked += 1;
        }
        asked
    };
    let mut queries: Vec<_> = (0..20)
        .map(|name| raw.bidi(&format!("06 07 04726f6f6d 01{:02x}", 0x61 + name)))
        .collect();
    assert_eq!(asked(), 4);
    net.executor.advance(Duration::from_millis(550));
    assert_eq!(asked(), 5);
    // Who leaves costs nothing.
    for query in queries.drain(10..) {
        drop(query);
    }
    net.executor.advance(Duration::from_secs(2));
    assert!(asked() <= 1);
    assert_eq!(reason(&session), None);
    for mut query in queries {
        assert_eq!(query.read().1, End::Reset(0x33));
    }
    net.executor.advance(Duration::from_secs(20));
    assert_eq!(
        (net.runtime.stats().tracks, asked()),
        (0, 0),
        "nothing is left of them"
    );
}

#[test]
fn what_is_here_already_is_answered_at_any_rate() {
    let limits = Limits {
        lookup_rate: Rate::new(10, 4),
        ..Limits::default()
    };
    let net = Net::with_limits(limits);
    let up = Upstream::new(&net, VERSION);
    let home = up.origin.create_broadcast(&path("home")).unwrap();
    let _tracks: Vec<_> = ('a'..='t')
        .map(|name| home.create_track(name.to_string(), None).unwrap())
        .collect();
    let (_session, raw) = reader(&net, &up, Net::options(VERSION));
    let began = net.executor.now();
    for name in 'a'..='t' {
        let (answer, end) = raw
            .bidi(&format!("06 07 04686f6d65 01{:02x}", name as u8))
            .read();
        assert!(!answer.is_empty(), "{name}: {end:?}");
    }
    assert_eq!(net.executor.now(), began);
}

/// A session that may look up four tracks at once, with an upstream that has all of "room".
fn lookups(net: &Net, work: impl FnOnce(&Upstream<'_>, &Raw<'_>)) {
    let up = Upstream::new(net, VERSION);
    let (_announce, _broadcast) = up.announce();
    let (session, raw) = reader(net, &up, Net::options(VERSION));
    work(&up, &raw);
    assert_eq!(reason(&session), None);
}

fn few_lookups() -> Net {
    Net::with_limits(Limits {
        lookup_rate: Rate::new(10, 4),
        linger: Duration::from_millis(1),
        ..Limits::default()
    })
}

/// TRACK of track `name` of "room".
fn query(name: u8) -> String {
    format!("06 07 04726f6f6d 01{name:02x}")
}

#[test]
fn tracks_that_exist_upstream_are_found_at_any_rate() {
    let net = few_lookups();
    lookups(&net, |up, raw| {
        let mut queries: Vec<_> = (0..40).map(|name| raw.bidi(&query(name))).collect();
        // Four at once, and the next four when their turn comes: at the bare rate these would take 3.6 s.
        for _ in 0..11 {
            while up.try_answer_track() {}
            net.executor.advance(Duration::from_millis(100));
        }
        for query in &mut queries {
            let (answer, end) = query.read();
            assert!(!answer.is_empty(), "{end:?}");
        }
    });
}

#[test]
fn an_answered_question_is_open_until_its_requester_ends_it() {
    let net = few_lookups();
    lookups(&net, |up, raw| {
        // The requester may keep it for the credit that comes back with its end.
        let mut stream = raw.bidi(&query(0x76));
        up.answer_track();
        assert_eq!(stream.read().1, End::Fin);
        net.executor.advance(Duration::from_secs(60));
        assert_eq!(stream.stopped(), None);
        let served = net.runtime.stats().served_streams;
        stream.fin();
        net.executor.run_until_idle();
        assert_eq!(net.runtime.stats().served_streams, served - 1);
    });
}

#[test]
fn a_track_that_is_looked_up_again_and_again_is_paid_for() {
    let net = few_lookups();
    lookups(&net, |up, raw| {
        let mut answered = 0;
        for _ in 0..20 {
            let mut stream = raw.bidi(&query(0x76));
            if up.try_answer_track() {
                answered += 1;
                stream.read();
            }
            drop(stream);
            // Long enough for the track to be let go.
            net.executor.advance(Duration::from_millis(10));
        }
        // The first one is free, four are there at once, and two come in 200 ms.
        assert!((5..=7).contains(&answered), "{answered}");
    });
}

#[test]
fn what_was_not_found_is_not_asked_for_again_at_once() {
    let net = Net::new();
    let up = Upstream::new(&net, VERSION);
    let (_announce, _broadcast) = up.announce();
    let (_session, raw) = reader(&net, &up, Net::options(VERSION));
    let mut first = raw.bidi("06 07 04726f6f6d 0176");
    up.accept("06").reset(0x33);
    assert_eq!(first.read().1, End::Reset(0x33));
    for kind in ["06 07 04726f6f6d 0176".to_owned(), subscribe(1)] {
        assert_eq!(raw.bidi(&kind).read().1, End::Reset(0x33), "at once");
        assert!(up.try_accept("06").is_none());
    }
    let _other = raw.bidi("06 07 04726f6f6d 0177");
    assert!(
        up.try_accept("06").is_some(),
        "other names are not concerned"
    );
    net.executor.advance(Duration::from_millis(1100));
    let _again = raw.bidi("06 07 04726f6f6d 0176");
    assert!(up.try_accept("06").is_some(), "later it may exist");
}

#[test]
fn fetches_of_all_tracks_together_are_bounded_and_the_rest_waits() {
    let net = Net::with_limits(Limits {
        total_fetches: 2,
        ..Limits::default()
    });
    let up = Upstream::new(&net, VERSION);
    let (_announce, broadcast) = up.announce();
    let tracks: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let track = broadcast.track(name).unwrap();
            let info = track.clone();
            let info = net.executor.spawn(async move { info.info().await });
            up.answer_track();
            net.executor.run_until(info).unwrap();
            track
        })
        .collect();
    let mut pending: Vec<_> = (0..6)
        .map(|group| {
            let fetch = tracks[group % 2].fetch_group(group as u64, None).unwrap();
            net.executor.spawn(fetch)
        })
        .collect();
    net.executor.run_until_idle();
    assert_eq!(net.runtime.stats().upstream_fetches, 2);
    let mut served = 0;
    while let Some(mut stream) = up.try_accept("03") {
        assert!(net.runtime.stats().upstream_fetches <= 2);
        stream.read();
        stream.write(&up.frame("x"));
        stream.fin();
        served += 1;
    }
    assert_eq!(served, 6, "each of them, in its turn");
    for fetch in pending.drain(..) {
        assert!(net.executor.run_until(fetch).is_ok());
    }
    net.executor.run_until_idle();
    assert_eq!(net.runtime.stats().upstream_fetches, 0);
}

#[test]
fn the_rest_of_a_message_is_not_waited_for_for_ever() {
    let net = Net::new();
    let down = Downstream::new(&net, VERSION);
    let mut stream = down.raw.bidi(&subscribe(0));
    stream.read();
    net.executor.advance(Duration::from_secs(60));
    assert_eq!(
        stream.read().1,
        End::Open,
        "silence between messages is fine"
    );
    // Half of an update, then a byte now and then, and groups that come in between.
    stream.write("06 05");
    for sequence in 0..4 {
        net.executor.advance(Duration::from_secs(3));
        down.group(sequence, &[sequence * 3000]);
        if sequence < 2 {
            stream.write("00");
        }
    }
    net.executor.run_until_idle();
    assert_eq!(stream.read().1, End::Reset(0x31));
    assert!(down.raw.closed().is_none());
}

#[test]
fn a_stream_is_read_in_pieces_of_the_size_of_its_buffer() {
    let net = Net::with_limits(Limits {
        read_buffer: 16,
        ..Limits::default()
    });
    let up = Upstream::new(&net, VERSION);
    let (mut viewer, _announce, _replies) = viewer(&up, patient());
    let frame = format!("00 40c8 {}", "61".repeat(200));
    up.raw.uni_fin(&(up.group(0, 0) + &frame));
    let frame = net.executor.run_until(async {
        let mut group = viewer.recv_group().await.unwrap().unwrap();
        group.read_frame_chunks().await.unwrap().unwrap()
    });
    assert!(frame.iter().all(|chunk| chunk.len() <= 16));
    assert_eq!(frame.iter().map(bytes::Bytes::len).sum::<usize>(), 200);
}

#[test]
fn a_session_that_costs_more_than_its_share_ends_and_says_so() {
    let cost = |held_bytes| {
        let net = Net::with_limits(Limits {
            held_bytes,
            ..Limits::default()
        });
        let (one, two) = (Upstream::new(&net, VERSION), Upstream::new(&net, VERSION));
        let mut announcing = [one.accept("01"), two.accept("01")];
        for stream in &mut announcing {
            stream.read();
            stream.write("02 00 00");
            stream.write("04 01 0161 00  04 01 0162 00");
        }
        let cost = one.session.held_bytes();
        assert_eq!((reason(&one.session), reason(&two.session)), (None, None));
        announcing[1].write("04 01 0163 00");
        assert_eq!(reason(&one.session), None);
        (cost, reason(&two.session))
    };
    let (cost_of_two, ended) = cost(Limits::default().held_bytes);
    assert!(cost_of_two > 0);
    assert_eq!(ended, None);
    assert_eq!(cost(cost_of_two), (cost_of_two, passed("held_bytes")));
}

#[test]
fn what_a_session_holds_is_counted_and_given_back() {
    let net = Net::new();
    let before = net.runtime.stats();
    let up = Upstream::new(&net, VERSION);
    let idle = up.session.held_bytes();
    let (viewer, announce, replies) = viewer(&up, patient());
    let part = up.raw.uni(&(up.group(0, 0) + "00 43e8 6162"));
    net.executor.run_until_idle();
    assert!(up.session.held_bytes() > idle);
    let stats = net.runtime.stats();
    assert_eq!(
        (
            stats.announcements,
            stats.assembly_bytes,
            stats.served_streams
        ),
        (1, 2, 1)
    );
    drop((viewer, announce, replies, part));
    drop(up);
    net.executor.advance(Duration::from_secs(60));
    let after = net.runtime.stats();
    assert_eq!(
        moq_net::Stats {
            cached_bytes: 0,
            ..after
        },
        moq_net::Stats {
            cached_bytes: 0,
            ..before
        },
    );
}

#[test]
fn the_page_of_limits_lists_every_setting_and_no_other() {
    let page = include_str!("../../../docs/limits.md");
    let section = page
        .split("\n## ")
        .find(|part| part.starts_with("Core"))
        .expect("a section");
    let mut listed: Vec<(String, String)> = section
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`').to_owned();
            // The figure as it is, perhaps with a more readable one behind it.
            let figure = cells.next()?.split(" (").next()?;
            Some((name, figure.to_owned()))
        })
        .collect();
    listed.sort();
    let mut settings: Vec<(String, String)> = format!("{:#?}", Limits::relay())
        .lines()
        .filter_map(|line| {
            line.strip_prefix("    ")?
                .strip_suffix(',')?
                .split_once(": ")
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    settings.sort();
    assert_eq!(listed, settings);
}
