//! Floods: a peer sends as much as it can of something, and neither memory nor anybody else suffers. An allocator that counts
//! tells what is held.

mod support;

use std::{cell::Cell, collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};
use moq_net::{
    BroadcastPublish, Error, Limits, OriginProducer, Session, Subscription, TrackInfo,
    TrackProducer, TrackSubscriber, Version,
    coding::{Decode, Encode},
    lite,
};
use moq_worker_world::allocator::Counting;
use support::{
    net::{Connection, End as Ends, Net, path},
    raw::{Raw, hex, stopped},
    transport::Options,
};
use web_transport_trait::{SendStream as _, Session as _};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

thread_local! {
    /// Bytes held now, and the most that were held since it was last set. Each test has a thread of its own.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn note(change: isize) {
    let live = LIVE.get() + change;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(note);

fn live() -> isize {
    LIVE.get()
}

/// The most that `work` held at a time beyond what was held before.
fn peak<T>(work: impl FnOnce() -> T) -> (isize, T) {
    let before = live();
    PEAK.set(before);
    let result = work();
    (PEAK.get() - before, result)
}

const KIB: isize = 1 << 10;
const MIB: isize = 1 << 20;
const VERSION: Version = Version::Lite05;

/// Somebody who publishes and somebody who watches over the same relay, and must not notice the flood.
struct Canary {
    _origin: OriginProducer,
    track: TrackProducer,
    viewer: TrackSubscriber,
    /// When it was last written, in milliseconds.
    clock: u64,
    _broadcast: BroadcastPublish,
    _connections: [Connection; 2],
}

impl Canary {
    /// Connects both ends over a relay with this origin.
    fn new(net: &Net, relay: &OriginProducer) -> Self {
        let (home, far) = (net.origin(100), net.origin(101));
        let broadcast = home.create_broadcast(&path("canary")).unwrap();
        // What is sung is soon forgotten: it must not look like the flood's.
        let info = TrackInfo::default().with_cache(Duration::from_millis(100));
        let track = broadcast.create_track("v", info).unwrap();
        let publisher = net.connect(VERSION, &Ends::publish(&home), &Ends::subscribe(relay));
        let viewer = net.connect(VERSION, &Ends::subscribe(&far), &Ends::publish(relay));
        let found = net
            .executor
            .run_until(async { far.consume().announced_broadcast(&path("canary")).await });
        let wish = Subscription::default().with_max_latency(Duration::from_secs(2));
        let pending = found.unwrap().track("v").unwrap().subscribe(wish).unwrap();
        let viewer_end = net.executor.run_until(pending).unwrap();
        let mut this = Self {
            _origin: far,
            track,
            viewer: viewer_end,
            clock: 0,
            _broadcast: broadcast,
            _connections: [publisher, viewer],
        };
        this.sings(net);
        this
    }

    /// A group arrives, at the instant at which it is published.
    fn sings(&mut self, net: &Net) {
        let sequence = self.track.write_frame(Bytes::from(vec![7; 500])).unwrap();
        let now = net.executor.now();
        let group = net
            .executor
            .run_for(Duration::ZERO, self.viewer.recv_group())
            .unwrap_or_else(|| panic!("group {sequence} is late"))
            .unwrap()
            .expect("a group");
        assert_eq!(group.sequence(), sequence, "a group was lost");
        assert_eq!(net.executor.now(), now);
        self.clock += 1;
    }
}

/// A relay's session with a peer that the test plays: it may read and fill `relay`.
fn flooder<'a>(net: &'a Net, relay: &OriginProducer, options: Options) -> (Session, Raw<'a>) {
    let (ours, transport) = {
        let (session, transport, _) = net.client_with(options, VERSION, &Ends::both(relay));
        (session, transport)
    };
    let raw = Raw {
        executor: &net.executor,
        transport,
    };
    raw.read_uni().expect("a SETUP");
    raw.uni_fin("01 01 00");
    (ours, raw)
}

/// Track "v" of the broadcast "big", which somebody publishes over `relay`, and what keeps it there.
fn big(net: &Net, relay: &OriginProducer) -> (TrackProducer, impl Sized + use<>) {
    let home = net.origin(50);
    let broadcast = home.create_broadcast(&path("big")).unwrap();
    let track = broadcast.create_track("v", None).unwrap();
    let publisher = net.connect(VERSION, &Ends::publish(&home), &Ends::subscribe(relay));
    (track, (broadcast, publisher))
}

/// A viewer's connection on which 16 bytes of each stream wait to be read, and no more.
fn stalled() -> Options {
    Options {
        window: 16,
        ..Net::options(VERSION)
    }
}

/// What a flood makes the relay hold while it lasts: the second half of it must be no more than the first.
struct Plateau {
    before: isize,
    /// The most that may be held at all.
    bound: isize,
    /// The most that was held in each half.
    halves: [isize; 2],
}

impl Plateau {
    fn new(bound: isize) -> Self {
        Self {
            before: live(),
            bound,
            halves: [0; 2],
        }
    }

    /// Takes note of what is held at `step` of `steps`.
    fn note(&mut self, step: usize, steps: usize) {
        let half = &mut self.halves[usize::from(2 * step >= steps)];
        *half = (*half).max(live() - self.before);
    }

    fn check(&self) {
        let Self { bound, halves, .. } = self;
        assert!(halves[1] < *bound, "{halves:?} bytes held");
        assert!(halves[1] - halves[0] < bound / 100, "{halves:?}: it grows");
    }
}

/// Everything is as before, give or take what allocators and maps keep.
fn settles(net: &Net, before: isize) {
    net.executor.advance(Duration::from_secs(10));
    let left = live() - before;
    let stats = net.runtime.stats();
    assert!(left < MIB + before / 20, "{left} bytes are left: {stats:?}");
}

/// Every length and count of every message, replaced by a number that promises far more than there is.
#[test]
fn a_number_costs_nothing_before_the_bytes_it_promises() {
    fn sweep<M: Encode<Version> + Decode<Version>>(sample: &M) -> usize {
        let mut cases = 0;
        for version in Version::ALL {
            let mut bytes = BytesMut::new();
            if sample.encode(&mut bytes, version).is_err() {
                continue;
            }
            for at in 0..bytes.len() {
                for number in [64 << 10, (64 << 10) + 1, 1 << 32, (1_u64 << 62) - 1] {
                    let mut bomb = BytesMut::from(&bytes[..at]);
                    number.encode(&mut bomb, version).unwrap();
                    bomb.extend_from_slice(&bytes[at + 1..]);
                    // The outer length must not be what refuses it.
                    if at > 0 {
                        bomb[0] = bomb[0].saturating_add((bomb.len() - bytes.len()) as u8);
                    }
                    let (held, _) = peak(|| M::decode(&mut &bomb[..], version).map(drop));
                    assert!(held <= KIB, "{held} bytes for {version} {bomb:x?}");
                    cases += 1;
                }
            }
        }
        cases
    }
    let room = moq_net::PathOwned::parse_owned("room").unwrap();
    let preferences = lite::Preferences::default();
    let cases = sweep(&lite::Subscribe {
        id: 1,
        broadcast: room.clone(),
        track: "v".into(),
        preferences: preferences.clone(),
    }) + sweep(&lite::Subscribe {
        id: 1,
        broadcast: room.clone(),
        track: "v".into(),
        preferences: lite::Preferences {
            max_latency: lite::Preferences::UNLIMITED,
            ..preferences.clone()
        },
    }) + sweep(&lite::SubscribeUpdate { preferences })
        + sweep(&lite::TrackQuery {
            broadcast: room.clone(),
            track: "v".into(),
        })
        + sweep(&lite::Fetch {
            broadcast: room.clone(),
            track: "v".into(),
            priority: 1,
            group: 3,
            frame_start: 0,
            frame_end: None,
        })
        + sweep(&lite::AnnounceRequest {
            prefix: room.clone(),
            exclude_hop: None,
            hidden: false,
        })
        + sweep(&lite::AnnounceInit {
            suffixes: vec![room.clone(), moq_net::PathOwned::parse_owned("b").unwrap()],
        })
        + sweep(&lite::AnnounceOk {
            hop: Some(1),
            active: 1,
        })
        + sweep(&lite::Announce::Active {
            suffix: lite::Suffix::literal(room),
            hops: lite::Chain::literal(vec![1, 2]),
            cost: moq_net::Cost::UNPRICED,
        })
        + sweep(&lite::Goaway {
            uri: "https://a/".into(),
        })
        + sweep(&lite::Setup {
            path: Some("/a".into()),
            hop: Some(1),
            ..lite::Setup::default()
        })
        + sweep(&lite::GroupHeader {
            subscribe: 0,
            sequence: 1,
            frame_start: 0,
        })
        + sweep(&lite::Probe::default());
    assert!(cases > 1000, "only {cases}");
}

/// A live subscription of the relay to the flooder's track "v", announced as "flood".
fn subscribed(
    net: &Net,
    relay: &OriginProducer,
    raw: &Raw<'_>,
) -> (TrackSubscriber, Vec<Box<dyn std::any::Any>>) {
    let mut kept: Vec<Box<dyn std::any::Any>> = Vec::new();
    let mut announcing = raw.accept_bidi().expect("interest");
    announcing.read();
    announcing.write("02 00 01  08 01 05666c6f6f64 00");
    let found = net
        .executor
        .run_until(async { relay.consume().announced_broadcast(&path("flood")).await })
        .unwrap();
    let wish = Subscription::default().with_max_latency(Duration::from_secs(5));
    let pending = found.track("v").unwrap().subscribe(wish).unwrap();
    let pending = net.executor.spawn(pending);
    let mut query = raw.accept_bidi().expect("TRACK");
    query.read();
    query.write("06 7f 00 5388 43e8");
    query.fin();
    let viewer = net.executor.run_until(pending).unwrap();
    let mut stream = raw.accept_bidi().expect("SUBSCRIBE");
    stream.read();
    for stream in [announcing, stream] {
        let (send, recv, _) = stream.into_parts();
        kept.push(Box::new((send, recv)));
    }
    (viewer, kept)
}

/// What unidirectional streams with these first bytes cost the test itself.
fn own_cost(net: &Net, count: u16, bytes: &str) -> isize {
    let (raw, other) = support::transport::pair(Net::options(VERSION));
    let raw = Raw {
        executor: &net.executor,
        transport: raw,
    };
    let before = live();
    let sends: Vec<_> = (0..count).map(|_| raw.uni(bytes)).collect();
    let cost = live() - before;
    drop((sends, other));
    cost
}

#[test]
fn frames_that_are_only_declared_cost_nothing() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let mut canary = Canary::new(&net, &relay);
    // 16 MiB each, of which nothing comes.
    let header = |sequence: u16| format!("00 03 00 {:04x} 00 81000000", 0x4000 | sequence);
    let own = own_cost(&net, 2047, &header(0));
    let before = live();
    let (session, raw) = flooder(&net, &relay, Net::options(VERSION));
    let (viewer, kept) = subscribed(&net, &relay, &raw);
    let mut sends: Vec<_> = (0..2047)
        .map(|sequence| raw.uni(&header(sequence)))
        .collect();
    let held = live() - before - own;
    assert!(
        held < 4 * MIB,
        "{held} bytes for 2047 headers, {own} of the test's own"
    );
    canary.sings(&net);
    // With a byte of each, which has to be kept, there is a frame as well.
    for send in &mut sends {
        support::raw::write(&net.executor, send, "61");
    }
    let held = live() - before - own;
    assert!(held < 7 * MIB, "{held} bytes for 2047 beginnings");
    canary.sings(&net);
    assert!(session.close_reason().is_none());
    net.executor.advance(Duration::from_secs(31));
    assert!(stopped(&mut sends[0]).is_some(), "stalled");
    canary.sings(&net);
    drop((sends, viewer, kept, raw, session));
    settles(&net, before);
}

#[test]
fn slow_senders_are_let_go_in_time() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let mut canary = Canary::new(&net, &relay);
    let before = live();
    let (session, raw) = flooder(&net, &relay, Net::options(VERSION));
    let connected = live();
    let mut streams: Vec<_> = (0..1000).map(|_| raw.bidi("02")).collect();
    let each = (live() - connected) / 1000;
    assert!(
        each < 4 * KIB,
        "{each} bytes for an idle stream, the test's own end included"
    );
    // A byte a second keeps nobody.
    for _ in 0..9 {
        net.executor.advance(Duration::from_secs(1));
        for stream in &mut streams {
            stream.write("00");
        }
        canary.sings(&net);
    }
    net.executor.advance(Duration::from_secs(2));
    let refused = streams
        .iter_mut()
        .map(|stream| usize::from(stream.stopped().is_some()))
        .sum::<usize>();
    assert_eq!(refused, 1000);
    canary.sings(&net);
    assert!(session.close_reason().is_none());
    drop(streams);
    drop((raw, session));
    settles(&net, before);
}

#[test]
fn requests_that_are_reset_at_once_reach_nobody_else() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let mut canary = Canary::new(&net, &relay);
    let before = live();
    let (session, raw) = flooder(&net, &relay, Net::options(VERSION));
    let mut sent = 0;
    let mut most = 0;
    while sent < 100_000 && session.close_reason().is_none() {
        raw.bidi("02 10 00 0663616e617279 0176 05 00 41f4 00 00")
            .reset(1);
        sent += 1;
        if sent % 100 == 0 {
            canary.sings(&net);
            most = most.max(live() - before);
        }
    }
    let close = session.close_reason().expect("it is let go");
    assert_eq!(close.reason, "limit passed: reset_rate");
    assert!(sent <= 1100, "after {sent}");
    assert!(most < 4 * MIB, "{most} bytes");
    canary.sings(&net);
    drop((raw, session));
    settles(&net, before);
}

#[test]
fn whoever_comes_back_after_each_reset_leaves_nothing() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let mut canary = Canary::new(&net, &relay);
    let before = live();
    let mut plateau = Plateau::new(4 * MIB);
    for second in 0..60 {
        let (session, raw) = flooder(&net, &relay, Net::options(VERSION));
        while session.close_reason().is_none() {
            raw.bidi("02 10 00 0663616e617279 0176 05 00 41f4 00 00")
                .reset(1);
        }
        plateau.note(second, 60);
        canary.sings(&net);
        drop((raw, session));
        net.executor.advance(Duration::from_secs(1));
    }
    plateau.check();
    settles(&net, before);
}

#[test]
fn announcements_that_come_and_go_cost_their_rate_and_no_memory() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let mut canary = Canary::new(&net, &relay);
    let before = live();
    let (session, raw) = flooder(&net, &relay, Net::options(VERSION));
    let mut stream = raw.accept_bidi().expect("interest");
    stream.read();
    stream.write("02 00 00");
    // Nobody looks at this one, so what it has not seen must not add up.
    let asleep = relay.consume().announced();
    let polls = net.executor.polls();
    let mut plateau = Plateau::new(4 * MIB);
    for second in 0..60_usize {
        // First as many as there is room for, then as many as are read: what is unread is the test's own.
        let changes = if second < 10 { 1000 } else { 50 };
        let burst: String = (0..changes)
            .map(|path| {
                format!(
                    "05 01 02{:04x} 00  05 00 02{:04x} 00",
                    0x3030 + path % 64,
                    0x3030 + path % 64
                )
            })
            .collect();
        stream.write(&burst);
        net.executor.advance(Duration::from_secs(1));
        plateau.note(second, 60);
        canary.sings(&net);
    }
    plateau.check();
    assert!(
        net.executor.polls() - polls < 60_000,
        "the others are kept busy"
    );
    assert!(session.close_reason().is_none());
    drop((asleep, stream));
    drop((raw, session));
    settles(&net, before);
}

#[test]
fn a_hundred_thousand_empty_groups_level_off() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let mut canary = Canary::new(&net, &relay);
    let before = live();
    let (session, raw) = flooder(&net, &relay, Net::options(VERSION));
    let (viewer, kept) = subscribed(&net, &relay, &raw);
    let mut plateau = Plateau::new(64 * MIB);
    let mut sequence = 0_u32;
    // For a minute, nearly as many as there may be.
    for step in 0..600_usize {
        for _ in 0..200 {
            let header = format!("00 05 00 {:08x}", 0x8000_0000 | sequence);
            raw.uni_fin(&header);
            sequence += 1;
        }
        net.executor.advance(Duration::from_millis(100));
        plateau.note(step, 600);
        if step % 20 == 0 {
            canary.sings(&net);
        }
    }
    assert_eq!(sequence, 120_000);
    plateau.check();
    assert!(session.close_reason().is_none());
    drop((viewer, kept, raw, session));
    settles(&net, before);
}

#[test]
fn a_gap_of_half_of_all_numbers_is_no_work() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let (_session, raw) = flooder(&net, &relay, Net::options(VERSION));
    let (mut viewer, _kept) = subscribed(&net, &relay, &raw);
    let before = (live(), net.executor.polls());
    for sequence in ["00", "e000000000000000", "ffffffffffffffff"] {
        let length = 1 + hex(sequence).len();
        raw.uni_fin(&format!("00 {length:02x} 00 {sequence} 00 01 61"));
        let group = net
            .executor
            .run_until(viewer.next_group())
            .unwrap()
            .unwrap();
        assert_eq!(group.sequence() & 1, u64::from(sequence.ends_with('f')));
    }
    assert!(net.executor.polls() - before.1 < 50);
    assert!(live() - before.0 < 64 * KIB);
}

#[test]
fn a_viewer_that_never_reads_costs_its_share_and_stops_nobody() {
    let limits = Limits {
        viewer_bytes: 1 << 20,
        ..Limits::relay()
    };
    let net = Net::with_limits(limits);
    let relay = net.origin(1);
    let (track, publisher) = big(&net, &relay);
    let mut canary = Canary::new(&net, &relay);
    let (session, raw) = flooder(&net, &relay, stalled());
    let wish = raw.bidi("02 0d 00 03626967 0176 05 00 6a60 00 00");
    let before = live();
    let mut most = 0;
    let mut plateau = Plateau::new(64 * MIB);
    for step in 0..1200 {
        track.write_frame(Bytes::from(vec![1; 64 << 10])).unwrap();
        net.executor.advance(Duration::from_millis(50));
        most = most.max(net.runtime.stats().unsent_bytes);
        plateau.note(step, 1200);
        if step % 10 == 0 {
            canary.sings(&net);
        }
    }
    plateau.check();
    assert!(most > 1 << 19, "only {most} bytes wait: nothing was tried");
    assert!(most <= 1 << 20, "{most} bytes wait");
    drop(wish);
    drop((session, raw, track, publisher));
    settles(&net, before);
}

#[test]
fn a_viewer_with_many_subscriptions_that_reads_none_costs_its_share() {
    let limits = Limits::relay();
    let bound = limits.viewer_groups;
    let net = Net::with_limits(limits);
    let relay = net.origin(1);
    let (track, publisher) = big(&net, &relay);
    let mut canary = Canary::new(&net, &relay);
    let options = Options {
        max_uni: 4 * bound,
        ..stalled()
    };
    let (session, raw) = flooder(&net, &relay, options);
    let before = live();
    let wishes: Vec<_> = (0x4000..0x4000 + 600)
        .map(|id| raw.bidi(&format!("02 0e {id:04x} 03626967 0176 05 00 6a60 00 00")))
        .collect();
    let (mut most, mut unread) = (0, VecDeque::new());
    let mut plateau = Plateau::new(64 * MIB);
    for step in 0..60 {
        track.write_frame(Bytes::from(vec![1; 500])).unwrap();
        net.executor.advance(Duration::from_millis(500));
        most = most.max(net.runtime.stats().served_groups);
        unread.extend(std::iter::from_fn(|| raw.accept_uni()));
        // Only what must have been reset: letting go of a stream would stop it.
        unread.drain(..unread.len().saturating_sub(2 * bound));
        plateau.note(step, 60);
        canary.sings(&net);
        assert!(session.held_bytes() <= 28 << 20);
    }
    plateau.check();
    assert!(most > bound / 2, "only {most} groups: nothing was tried");
    // The others have a few on their way as well.
    assert!(most <= bound + 10, "{most} groups are on their way");
    drop((wishes, unread));
    drop((raw, session, track, publisher));
    settles(&net, before);
}

/// Gives `work` one turn, which is all it needs.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut turn = std::task::Context::from_waker(std::task::Waker::noop());
    match work.as_mut().poll(&mut turn) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("it has to wait"),
    }
}

#[test]
fn what_one_session_has_sent_is_not_waited_for_by_the_others() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let mut canary = Canary::new(&net, &relay);
    // With nothing else to do, a group takes so many turns.
    let before = net.executor.polls();
    canary.sings(&net);
    let alone = net.executor.polls() - before;
    let (session, raw) = flooder(&net, &relay, Net::options(VERSION));
    let (mut viewer, mut kept) = subscribed(&net, &relay, &raw);
    // All of this is there at once, and nobody has looked at any of it.
    for number in 0..2000_u16 {
        let mut group = at_once(raw.transport.open_uni()).unwrap();
        let header = format!("00 03 00 {:04x} 00 01 61", 0x4000 | number);
        at_once(group.write_chunk(hex(&header).into())).unwrap();
        group.finish().unwrap();
        let datagram = format!("00 {:08x} 00 61", 0x8001_0000 | u32::from(number));
        let _full = raw.transport.send_datagram(hex(&datagram).into());
    }
    for number in 0..1000_u16 {
        let (mut send, recv) = at_once(raw.transport.open_bi()).unwrap();
        let id = 0x4000 | number;
        let request = format!("02 11 {id:04x} 0663616e617279 0178 05 00 41f4 00 00");
        at_once(send.write_chunk(hex(&request).into())).unwrap();
        kept.push(Box::new((send, recv)));
    }
    let before = net.executor.polls();
    canary.sings(&net);
    let taken = net.executor.polls() - before;
    assert!(taken <= 3 * alone + 20, "{taken} turns, {alone} without");
    let before = net.executor.polls();
    net.executor.run_until_idle();
    let rest = net.executor.polls() - before;
    assert!(rest > 10, "only {rest} turns were left: nothing was tried");
    let came = net
        .executor
        .run_for(Duration::ZERO, viewer.recv_group())
        .expect("a group of the flood");
    assert!(came.unwrap().is_some());
    drop((viewer, kept, raw, session));
}

#[test]
fn datagrams_beyond_the_queue_are_dropped_oldest_first() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let mut canary = Canary::new(&net, &relay);
    let before = live();
    let (session, raw) = flooder(&net, &relay, Net::options(VERSION));
    let (mut viewer, kept) = subscribed(&net, &relay, &raw);
    let mut plateau = Plateau::new(64 * MIB);
    for step in 0..600_usize {
        for at in 0..200 {
            let sequence = 0x8000_0000 | (step * 200 + at);
            let body = format!("00 {sequence:08x} 00 {}", "61".repeat(100));
            // The session may not have taken the last ones yet.
            let _full = raw.transport.send_datagram(hex(&body).into());
        }
        net.executor.advance(Duration::from_millis(100));
        plateau.note(step, 600);
        if step % 10 == 0 {
            canary.sings(&net);
        }
    }
    plateau.check();
    for at in 120_000..121_000_u32 {
        let body = format!("00 {:08x} 00 61", 0x8000_0000 | at);
        let _full = raw.transport.send_datagram(hex(&body).into());
    }
    net.executor.advance(Duration::from_millis(10));
    let mut read = Vec::new();
    while let Some(Ok(Some(datagram))) =
        net.executor.run_for(Duration::ZERO, viewer.recv_datagram())
    {
        read.push(datagram.sequence);
    }
    assert!(read.len() <= 64, "{} waited", read.len());
    assert_eq!(read.last(), Some(&120_999), "the newest are kept");
    assert!(net.runtime.stats().dropped_datagrams > 0);
    drop((viewer, kept, raw, session));
    settles(&net, before);
}

#[test]
fn a_long_broadcast_keeps_nothing_of_what_is_over() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let mut canary = Canary::new(&net, &relay);
    let mut song = |groups: u32| {
        for _ in 0..groups {
            canary.sings(&net);
            net.executor.advance(Duration::from_millis(500));
        }
        live()
    };
    let warm = song(200);
    let stats = net.runtime.stats();
    let later = song(3000);
    assert_eq!(net.runtime.stats(), stats);
    assert!(
        later - warm <= 64 * KIB,
        "{} bytes in 3000 groups",
        later - warm
    );
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let net = Net::with_limits(Limits::relay());
    let relay = net.origin(1);
    let home = net.origin(50);
    let broadcast = home.create_broadcast(&path("room")).unwrap();
    let track = broadcast.create_track("v", None).unwrap();
    track.write_frame("x").unwrap();
    let _publisher = net.connect(VERSION, &Ends::publish(&home), &Ends::subscribe(&relay));
    let cycle = |cycle: u32| {
        let far = net.origin(60);
        let connection = net.connect(VERSION, &Ends::both(&far), &Ends::both(&relay));
        let name = format!("mine/{}", cycle % 7);
        let mine = far.create_broadcast(&path(&name)).unwrap();
        let found = net
            .executor
            .run_until(async { far.consume().announced_broadcast(&path("room")).await })
            .unwrap();
        let track = found.track("v").unwrap();
        let wish = Subscription::default().with_max_latency(Duration::from_secs(2));
        let mut viewer = net
            .executor
            .run_until(track.subscribe(wish).unwrap())
            .unwrap();
        let group = net.executor.run_until(viewer.recv_group()).unwrap();
        assert_eq!(group.map(|group| group.sequence()), Some(0));
        drop(net.executor.run_until(track.fetch_group(0, None).unwrap()));
        let cancelled = track.fetch_group(9, None).unwrap();
        drop((cancelled, viewer, track, mine, found));
        connection.client.close(Error::Closed, "");
        net.executor.run_until_idle();
        drop(connection);
        net.executor.advance(Duration::from_secs(6));
    };
    for warm in 0..20 {
        cycle(warm);
    }
    net.executor.advance(Duration::from_secs(60));
    let (before, stats) = (live(), net.runtime.stats());
    // Many thousand in the long run; the sum is what counts.
    for number in 0..1000 {
        cycle(number);
    }
    net.executor.advance(Duration::from_secs(60));
    assert_eq!(net.runtime.stats(), stats);
    let left = live() - before;
    assert!(left <= 64 * KIB, "{left} bytes are left");
}
