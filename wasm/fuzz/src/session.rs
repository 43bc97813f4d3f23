//! Whole sessions against a peer that keeps no rules: nothing panics, nothing spins, and nothing is left behind.

use std::time::Duration;

use moq_net::{
    BroadcastConsumer, Limits, OriginProducer, Server, Session, Stats, Subscription, Timescale,
    Timestamp, TrackInfo, TrackProducer, Version,
};

use crate::{
    input::{Input, version_byte},
    peer::Peer,
    support::{
        executor::Task,
        net::{End, Net, path},
        transport::pair,
    },
};

/// Small enough for an input to reach them.
fn limits() -> Limits {
    Limits {
        max_frame: 4096,
        group_bytes: 16 << 10,
        group_frames: 16,
        cache_bytes: 128 << 10,
        assembly_bytes: 8 << 10,
        announces: 8,
        fetches: 8,
        subscriptions: 8,
        ..Limits::default()
    }
}

/// What uses the session on our side: publishes "room" with the timed track "v", and reads whatever the peer announces.
struct App {
    origin: OriginProducer,
    broadcast: Option<moq_net::BroadcastPublish>,
    track: Option<TrackProducer>,
    viewers: Vec<Task<()>>,
    sequence: u64,
}

impl App {
    fn new(net: &Net) -> Self {
        let origin = net.origin(2);
        let broadcast = origin.create_broadcast(&path("room")).expect("free");
        let info = TrackInfo::default().with_timescale(Timescale::MILLI);
        let track = broadcast.create_track("v", info).expect("free");
        let this = Self {
            origin,
            broadcast: Some(broadcast),
            track: Some(track),
            viewers: Vec::new(),
            sequence: 0,
        };
        for _ in 0..3 {
            this.publish(2);
        }
        this
    }

    fn publish(&self, frames: u64) {
        let Some(track) = &self.track else { return };
        // Refused once the track is over.
        if let Ok(group) = track.append_group() {
            for frame in 0..frames {
                let time = Timestamp::from_millis(group.sequence() * 100 + frame);
                if group.write_timed(time, frame.to_string()).is_err() {
                    return;
                }
            }
            let _over = group.finish();
        }
    }

    /// Reads every track "v" that is announced, as an application would.
    fn watch(&mut self, net: &Net) {
        let mut announced = self.origin.consume().announced();
        let executor = net.executor.clone();
        self.viewers.push(net.executor.spawn(async move {
            while let Some((path, event)) = announced.next().await {
                if path.as_str() != "room"
                    && let Some(broadcast) = event.broadcast()
                {
                    drop(executor.spawn(view(broadcast)));
                }
            }
        }));
    }

    fn step(&mut self, net: &Net, session: &Session, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0 | 1 => self.publish(u64::from(input.byte() % 20)),
            2 => {
                if let Some(track) = &self.track {
                    let _over = track.finish();
                }
            }
            3 => self.track = None,
            4 => self.broadcast = None,
            5 => {
                self.sequence = input.number();
                let sequence = self.sequence;
                let found = self.origin.consume().request_broadcast(&path("peer"));
                drop(net.executor.spawn(async move {
                    let Ok(pending) = found else { return };
                    let Ok(broadcast) = pending.await else { return };
                    fetch(broadcast, sequence).await;
                }));
            }
            6 => session.goaway("https://elsewhere/"),
            _ => net.executor.run_until_idle(),
        }
    }
}

async fn view(broadcast: BroadcastConsumer) {
    let Ok(track) = broadcast.track("v") else {
        return;
    };
    let wish = Subscription::default().with_max_latency(Duration::from_secs(1));
    let Ok(pending) = track.subscribe(wish) else {
        return;
    };
    let Ok(mut subscriber) = pending.await else {
        return;
    };
    while let Ok(Some(mut group)) = subscriber.recv_group().await {
        while let Ok(Some(_)) = group.read_frame().await {}
    }
}

async fn fetch(broadcast: BroadcastConsumer, sequence: u64) {
    let Ok(track) = broadcast.track("v") else {
        return;
    };
    let Ok(pending) = track.fetch_group(sequence, None) else {
        return;
    };
    let Ok(mut group) = pending.await else { return };
    while let Ok(Some(_)) = group.read_frame().await {}
}

/// Counters that only count are no leak.
fn live(stats: Stats) -> Stats {
    Stats {
        evicted_groups: 0,
        dropped_datagrams: 0,
        refused_datagrams: 0,
        empty_streams: 0,
        rescaled_tracks: 0,
        ..stats
    }
}

/// Plays the input out, then everybody leaves, and the books must balance.
fn play(
    net: &Net,
    before: Stats,
    mut app: App,
    session: Session,
    mut peer: Peer<'_>,
    input: &mut Input<'_>,
) {
    net.executor.run_until_idle();
    app.watch(net);
    let how = input.byte();
    while !input.is_empty() {
        if !peer.step(input) {
            app.step(net, &session, input);
        }
        net.executor.run_until_idle();
    }
    peer.read();
    assert!(peer.received < 4 << 20, "answers {} bytes", peer.received);
    peer.leave(how);
    net.executor.run_until_idle();
    drop(session);
    let App {
        origin,
        viewers,
        track,
        broadcast,
        ..
    } = app;
    viewers.into_iter().for_each(Task::cancel);
    drop((origin, track, broadcast));
    // Whatever still waits has a deadline.
    net.executor.advance(Duration::from_secs(120));
    assert_eq!(net.executor.live(), 0, "a task never ends");
    assert_eq!(live(net.runtime.stats()), before);
}

pub(crate) fn run_client(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let version = input.version();
    let net = Net::with_limits(limits());
    let before = live(net.runtime.stats());
    let app = App::new(&net);
    let (session, transport, stream) = net.client(version, &End::both(&app.origin));
    let mut peer = Peer::new(&net.executor, transport);
    if version.has_setup_stream() && input.byte() & 1 == 0 {
        peer.open_uni(&crate::hex("01 01 00"), true);
    }
    play(&net, before, app, session, peer, &mut input);
    drop(stream);
}

pub(crate) fn run_server(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let version = input.version();
    let honest = input.byte() & 1 == 0;
    let net = Net::with_limits(limits());
    let before = live(net.runtime.stats());
    let app = App::new(&net);
    let end = End::both(&app.origin);
    let (theirs, ours) = pair(Net::options(version));
    let mut peer = Peer::new(&net.executor, theirs.clone());
    let server = Server::new(end.config(&net.runtime, version));
    if honest && version.has_session_stream() {
        let offer = format!("20 000a 01 c0000000{:08x} 00", version.code());
        peer.open_bidi(&crate::hex(&offer));
    }
    if honest && version.has_setup_stream() {
        peer.open_uni(&crate::hex("01 04 01 05 01 07"), true);
    }
    // Before it is let in the peer may do what it likes, but has only so much time.
    let accepting = net.executor.spawn(async move {
        let request = server.accept(ours).await.ok()?;
        Some(request.ok(end.publish, end.subscribe))
    });
    net.executor.run_until_idle();
    for _ in 0..8 {
        if accepting.is_finished() || input.is_empty() {
            break;
        }
        peer.step(&mut input);
        net.executor.run_until_idle();
    }
    if !accepting.is_finished() {
        net.executor.advance(Duration::from_secs(30));
    }
    let accepted = accepting.take();
    assert!(accepted.is_some(), "a handshake has no end");
    let Some((session, driver)) = accepted.flatten() else {
        assert!(theirs.close_reason().is_some(), "refused without a word");
        return;
    };
    drop(net.executor.spawn(driver));
    drop(theirs);
    play(&net, before, app, session, peer, &mut input);
}

/// One input: a version, an honest handshake, a way to leave, and what the peer does.
fn seed(version: Version, steps: &[(u8, &str)]) -> Vec<u8> {
    let mut seed = vec![version_byte(version)];
    if version.has_setup_stream() {
        seed.push(0);
    }
    seed.push(0);
    for (op, bytes) in steps {
        let bytes = crate::hex(bytes);
        seed.push(*op);
        if matches!(op, 6..=8) {
            seed.push(0);
        }
        if !matches!(op, 9..=12 | 14 | 15) {
            seed.push(bytes.len() as u8);
        }
        seed.extend(bytes);
    }
    seed
}

/// Conversations as published peers have them, in both directions: what a side has no use for it refuses.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for version in Version::ALL {
        let ordered = if version.has_ordered() { "00" } else { "" };
        let frames = if version.has_frame_bounds() {
            "00 00"
        } else {
            ""
        };
        let subscribe = match version.has_update() {
            false => "02 09 00 04726f6f6d 0176 05".to_owned(),
            true => {
                let body = format!("00 04726f6f6d 0176 05 {ordered} 41f4 00 00 {frames}");
                format!("02 {:02x} {body}", crate::hex(&body).len())
            }
        };
        let update = {
            let body = format!("09 {ordered} 5388 00 00 {frames}");
            format!("{:02x} {body}", crate::hex(&body).len())
        };
        let (time, bounds) = (
            if version.has_timestamps() { "00" } else { "" },
            if version.has_frame_bounds() { "00" } else { "" },
        );
        let group = format!(
            "00 {:02x} 00 05 {bounds} {time} 02 6869 {time} 03 796f21",
            if bounds.is_empty() { 2 } else { 3 }
        );
        let fetch = match version {
            Version::Lite06 | Version::Lite07Wip => "03 0b 04726f6f6d 0176 03 00 01 00",
            Version::Lite05Wip => "03 0a 04726f6f6d 0176 03 00 01",
            _ => "03 09 04726f6f6d 0176 03 00",
        };
        let interest = match version {
            Version::Lite04 | Version::Lite05Wip | Version::Lite05 => "01 02 00 02",
            Version::Lite07Wip => "01 02 00 01",
            _ => "01 01 00",
        };
        // To a publisher.
        seeds.push(seed(version, &[(0, interest), (12, "")]));
        seeds.push(seed(
            version,
            &[
                (0, &subscribe),
                (12, ""),
                (6, &update),
                (15, "00 03"),
                (12, ""),
                (9, "00"),
            ],
        ));
        seeds.push(seed(
            version,
            &[
                (0, "06 07 04726f6f6d 0176"),
                (0, fetch),
                (12, ""),
                (0, "04"),
                (0, "05 01 00"),
                (14, "06"),
            ],
        ));
        // To a subscriber: its announce stream first, then what it asks in turn.
        let announce = match version {
            Version::Lite01 | Version::Lite02 => "06 01 0470656572",
            Version::Lite03 => "07 01 0470656572 01",
            Version::Lite04 => "08 01 0470656572 01 09",
            Version::Lite05Wip | Version::Lite05 => "02 09 01  07 01 0470656572 00",
            Version::Lite06 => "02 09 01  00 08 0470656572 00 00 00",
            _ => "02 09 01  00 0c 00 00 0470656572 00 00 00 00 00",
        };
        let ok = match version {
            Version::Lite01 => "01 00",
            Version::Lite02 => "00",
            Version::Lite03 | Version::Lite04 => "00 05 00 00 00 00 00",
            Version::Lite05Wip => "00 0a 00 00 00 00 00 43e8 5388 00",
            _ => "00 01 00",
        };
        let info = match version {
            Version::Lite05 => "06 7f 00 5388 43e8",
            Version::Lite07Wip => "05 7f 9388 83e8",
            _ => "05 7f 5388 43e8",
        };
        let answers = match version.has_track_stream() {
            true => vec![
                (12, ""),
                (6, announce),
                (12, ""),
                (6, info),
                (9, "00"),
                (12, ""),
                (6, ok),
            ],
            false => vec![(12, ""), (6, announce), (12, ""), (6, ok)],
        };
        let mut steps = answers.clone();
        steps.extend([
            (5, &*group),
            (3, &*group),
            (10, "00 04"),
            (13, "00 02 40c8 6467"),
            (14, "05"),
        ]);
        seeds.push(seed(version, &steps));
        let mut steps = answers;
        steps.extend([
            (15, "05 01"),
            (12, ""),
            (6, "00 03 6f6c64"),
            (9, "00"),
            (15, "06"),
        ]);
        seeds.push(seed(version, &steps));
    }
    seeds
}
