//! What one peer can make the relay hold, let in or not, and what all of them can.

use std::time::Duration;

use bytes::BytesMut;
use moq_net::coding::Encode;
use moq_net::{Limits, Path, lite};
use moq_worker_relay::auth::Asked;
use moq_worker_relay::bounds::Bounds;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use web_transport_quinn::quinn;

use crate::deaf::Deaf;
use crate::memory::{KIB, MIB};
use crate::world::{Flooder, VERSION, World, soon, until};

/// What somebody may cost who has not shown a token.
const STRANGER: isize = 256 * KIB;
/// What a session may cost besides the cache.
const SESSION: isize = 64 * MIB;

/// A send that does not make progress for so long is blocked.
const BLOCKED: Duration = Duration::from_millis(100);

/// Waits until the relay has taken what it takes, and gives what it holds for each of `count` since `before`.
async fn each(world: &World, before: isize, count: usize) -> isize {
    let mut last = world.memory.live();
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = world.memory.live();
        if (now - last).abs() < 16 * KIB {
            break;
        }
        last = now;
    }
    // The most it was on the way counts as well.
    (world.memory.peak() - before) / count as isize
}

/// How the first stream of each kind begins.
#[derive(Clone, Copy, Default)]
struct Heads {
    uni: &'static [u8],
    bidi: &'static [u8],
}

/// Opens every stream it may and fills it as far as it may. What is returned keeps them open.
async fn fill(connection: &quinn::Connection, heads: Heads) -> Vec<quinn::SendStream> {
    let mut streams = Vec::new();
    while let Ok(Ok(send)) = timeout(BLOCKED, connection.open_uni()).await {
        streams.push(send);
    }
    let unis = streams.len();
    while let Ok(Ok((send, _recv))) = timeout(BLOCKED, connection.open_bi()).await {
        streams.push(send);
    }
    let chunk = vec![0x40; 8 << 10];
    for (at, head) in [(0, heads.uni), (unis, heads.bidi)] {
        if let Some(send) = streams.get_mut(at) {
            let _first = timeout(BLOCKED, send.write_all(head)).await;
        }
    }
    // All of them in turn, so that no stream has everything.
    let mut moving = true;
    while moving {
        moving = false;
        for send in &mut streams {
            moving |= matches!(timeout(BLOCKED, send.write_all(&chunk)).await, Ok(Ok(())));
        }
    }
    streams
}

/// What a client costs that fills all it may on each of its streams without ever being let in.
async fn a_stranger_on(protocol: &str, heads: Heads) {
    const COUNT: usize = 12;
    let world = World::new(Bounds::default());
    let before = world.memory.live();
    world.memory.peak();
    let connections: Vec<_> = {
        let connecting = (0..COUNT).map(|_| world.connect_for(protocol));
        futures_util::future::join_all(connecting).await
    };
    let filling = connections.iter().map(|connection| fill(connection, heads));
    let streams = futures_util::future::join_all(filling).await;
    let cost = each(&world, before, COUNT).await;
    assert!(
        cost > 96 * KIB,
        "{protocol}: only {cost} bytes: nothing was tried"
    );
    assert!(cost <= STRANGER, "{protocol}: {cost} bytes");
    assert_eq!(world.relay.sessions(), 0);
    drop((streams, connections));
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_on_quic_costs_little() {
    // A SETUP that promises more than comes, and as much as nobody looks at.
    let setup = Heads {
        uni: &[1, 0x80, 0, 0xf0, 0],
        bidi: &[],
    };
    a_stranger_on(VERSION.alpn(), setup).await;
    let offer = Heads {
        uni: &[],
        bidi: &[0x20, 0xf0, 0],
    };
    a_stranger_on("moql", offer).await;
    a_stranger_on(VERSION.alpn(), Heads::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_on_web_transport_costs_little() {
    // SETTINGS that do not end, and a request whose HEADERS do not.
    let heads = Heads {
        uni: &[0, 4, 0x80, 0, 0xf0, 0],
        bidi: &[1, 0x80, 0, 0xf0, 0],
    };
    a_stranger_on("h3", heads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_does_not_end_costs_little() {
    const COUNT: usize = 200;
    let world = World::new(Bounds::default());
    let before = world.memory.live();
    world.memory.peak();
    let mut flood = Deaf::new(&world);
    for _ in 0..COUNT {
        flood.connect();
    }
    until("the handshakes", || world.memory.live() > before + MIB).await;
    let cost = each(&world, before, COUNT).await;
    assert!(cost > KIB, "only {cost} bytes: nothing was tried");
    assert!(cost <= STRANGER, "{cost} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_end_costs_little() {
    const COUNT: usize = 100;
    let world = World::new(Bounds::default());
    let before = world.memory.live();
    world.memory.peak();
    let mut sockets = Vec::new();
    for _ in 0..COUNT {
        let mut socket = TcpStream::connect(world.address).await.unwrap();
        let head = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}",
            "x".repeat(60 << 10)
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        sockets.push(socket);
    }
    let cost = each(&world, before, COUNT).await;
    assert!(cost > 32 * KIB, "only {cost} bytes: nothing was tried");
    assert!(cost <= STRANGER, "{cost} bytes");
    drop(sockets);
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_costs_little() {
    const COUNT: usize = 100;
    let world = World::new(Bounds::default());
    let access = world.relay.authorize(&Asked::target("/")).await.unwrap();
    let path = Path::parse("room").unwrap();
    let broadcast = access.write.unwrap().create_broadcast(&path).unwrap();
    let track = broadcast.create_track("data", None).unwrap();
    let group = track.append_group().unwrap();
    for _ in 0..256 {
        group.write_frame(vec![7; 64 << 10]).unwrap();
    }
    let before = world.memory.live();
    world.memory.peak();
    let mut sockets = Vec::new();
    for _ in 0..COUNT {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut socket = socket.connect(world.address).await.unwrap();
        let request = b"GET /fetch/room/data?group=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        socket.write_all(request).await.unwrap();
        sockets.push(socket);
    }
    let cost = each(&world, before, COUNT).await;
    assert!(cost > KIB, "only {cost} bytes: nothing was tried");
    assert!(cost <= STRANGER, "{cost} bytes");
    drop(sockets);
    world.settles(before).await;
}

/// Announces broadcasts with names as long as they may be, and `first` before them. What is returned keeps them announced.
async fn announce(
    flooder: &Flooder,
    first: &str,
    count: usize,
) -> (quinn::SendStream, quinn::RecvStream) {
    let (mut send, recv) = soon("interest", flooder.connection.accept_bi())
        .await
        .unwrap();
    let mut bytes = BytesMut::from(&b"\x02\x00\x00"[..]);
    for number in 0..count {
        let path = match number {
            0 => first.to_owned(),
            _ => format!("{number:04}/{}", "x".repeat(4000)),
        };
        let announce = lite::Announce::Active {
            suffix: lite::Suffix::literal(Path::parse(&path).unwrap().into_owned()),
            hops: lite::Chain::literal(vec![1]),
            cost: moq_net::Cost::UNPRICED,
        };
        announce.encode(&mut bytes, VERSION).unwrap();
    }
    send.write_all(&bytes).await.unwrap();
    (send, recv)
}

/// Answers what the relay asks about track "v" of "flood", until it has subscribed.
async fn confirm(flooder: &Flooder) -> Vec<(quinn::SendStream, quinn::RecvStream)> {
    let mut kept = Vec::new();
    loop {
        let (mut send, mut recv) = soon("a request", flooder.connection.accept_bi())
            .await
            .unwrap();
        let mut kind = [0];
        soon("its type", recv.read_exact(&mut kind)).await.unwrap();
        if kind == [6] {
            send.write_all(&moq_hex("06 7f 00 5388 43e8"))
                .await
                .unwrap();
            send.finish().unwrap();
        }
        kept.push((send, recv));
        if kind == [2] {
            return kept;
        }
    }
}

fn moq_hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// Sends so many groups of one frame of 16 MiB each, of which so many times 16 KiB come, if it can.
async fn assemble(flooder: &Flooder, most: usize, rounds: u32) -> Vec<quinn::SendStream> {
    // The machine may have much else to do.
    const BLOCKED: Duration = Duration::from_secs(1);
    let mut streams = Vec::new();
    while streams.len() < most
        && let Ok(Ok(mut send)) = timeout(BLOCKED, flooder.connection.open_uni()).await
    {
        let sequence = 0x4000 | streams.len();
        let header = moq_hex(&format!("00 03 00 {sequence:04x} 00 81000000"));
        let _first = timeout(BLOCKED, send.write_all(&header)).await;
        streams.push(send);
    }
    let chunk = vec![1; 16 << 10];
    for _ in 0..rounds {
        let mut moving = false;
        for send in &mut streams {
            moving |= matches!(timeout(BLOCKED, send.write_all(&chunk)).await, Ok(Ok(())));
        }
        if !moving {
            break;
        }
    }
    streams
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_does_everything_at_once_costs_its_share() {
    let world = World::new(Bounds::default());
    let mut canary = world.canary().await;
    let before = world.held();
    world.memory.peak();
    let mut most = 0;
    let flooder = world.flooder().await;
    let watch = async {
        loop {
            let cached = world.relay.stats().cached_bytes as isize;
            most = most.max(world.memory.peak() - cached - before);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let flood = async {
        let announced = announce(&flooder, "flood", 1000).await;
        let (viewer, requests) = tokio::join!(world.viewer("flood"), confirm(&flooder));
        // Everything the canary sings, many times over, and none of it is read.
        let mut subscriptions = Vec::new();
        for id in 0..900_u16 {
            let (mut send, recv) = flooder.connection.open_bi().await.unwrap();
            let mut request = b"\x02\x11\x40\x00\x06canary\x01v\x05\x00\x41\xf4\x00\x00".to_vec();
            request[2..4].copy_from_slice(&(0x4000 | id).to_be_bytes());
            send.write_all(&request).await.unwrap();
            subscriptions.push((send, recv));
        }
        let streams = assemble(&flooder, 2000, 3).await;
        (announced, viewer, requests, subscriptions, streams)
    };
    let kept = canary.sings_during(async {
        tokio::select! {
            kept = flood => kept,
            () = watch => unreachable!("it watches for ever"),
        }
    });
    let kept = kept.await;
    assert!(most > 24 * MIB, "only {most} bytes: nothing was tried");
    assert!(most <= SESSION, "{most} bytes");
    if let Some((_, reason)) = flooder.end().await {
        assert_eq!(reason, "limit passed: held_bytes");
    }
    drop((kept, flooder));
    canary.sings().await;
    until("their end", || world.relay.sessions() == 2).await;
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_sessions_together_stay_within_their_budget() {
    let budget = 16 << 20;
    let limits = Limits {
        cache_bytes: 64 << 20,
        ..Limits::relay()
    };
    let bounds = Bounds {
        session_bytes: budget,
        ..Bounds::default()
    };
    let world = World::with_limits(limits, bounds);
    let mut canary = world.canary().await;
    let before = world.held();
    world.memory.peak();
    let flood = async {
        let mut kept = Vec::new();
        for number in 0..6 {
            // Somebody may be let go meanwhile, so nobody is counted; who is admitted is asked what it has.
            let flooder = world.comer().await;
            let name = format!("flood-{number}");
            let announced = announce(&flooder, &name, 1).await;
            let (viewer, requests) = tokio::join!(world.viewer(&name), confirm(&flooder));
            let streams = assemble(&flooder, 256, 1).await;
            kept.push((announced, viewer, requests, streams, flooder));
        }
        kept
    };
    let kept = canary.sings_during(flood).await;
    let bound = 64 * MIB + budget as isize + 64 * MIB;
    let reason = |flooder: &Flooder| match flooder.connection.close_reason()? {
        quinn::ConnectionError::ApplicationClosed(close) => Some(close.reason),
        other => panic!("not closed by the relay: {other}"),
    };
    let reasons = || kept.iter().filter_map(|(.., flooder)| reason(flooder));
    until("somebody to be let go", || reasons().next().is_some()).await;
    assert!(reasons().all(|reason| &reason[..] == b"limit passed: session_bytes"));
    let most = world.memory.peak();
    assert!(most <= bound, "{most} bytes");
    canary.sings().await;
    drop(kept);
    world.settles(before).await;
}
