//! Floods over real sockets: one client sends as much of something as it can, the relay's memory stays within its bounds and
//! returns, and the others notice nothing.

mod canary;
mod deaf;
mod faults;
mod memory;
mod shares;
mod world;

use std::time::Duration;

use moq_worker_relay::bounds::Bounds;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::canary::Canary;
use self::memory::MIB;
use self::world::{World, soon, until};

/// Runs `flood` while the canary sings. It must not notice: what it gets, it gets as soon as a canary of another relay on the
/// same machine, or nearly; and the flooded relay must not hold much.
async fn unnoticed<T>(world: &World, canary: &mut Canary, flood: impl Future<Output = T>) -> T {
    let calm = World::new(Bounds::default());
    let mut control = calm.canary().await;
    let before = world.memory.live();
    world.memory.peak();
    let (_old, _older) = (canary.p99(), control.p99());
    let over = std::cell::Cell::new(false);
    let flooding = async {
        let result = canary.sings_during(soon("the flood", flood)).await;
        over.set(true);
        result
    };
    let singing = async {
        while !over.get() {
            control.sings().await;
        }
    };
    let (result, ()) = tokio::join!(flooding, singing);
    let (taken, unloaded) = (canary.p99(), control.p99());
    // Without optimisation the flood and its relay want more than a small machine has.
    let more = match cfg!(debug_assertions) {
        true => Duration::from_secs(2),
        false => Duration::from_millis(50),
    };
    let most = (2 * unloaded).max(unloaded + more);
    assert!(taken <= most, "{taken:?}, {unloaded:?} elsewhere");
    let held = world.memory.peak() - before;
    assert!(held <= 64 * MIB, "{held} bytes");
    result
}

/// SUBSCRIBE of track "v" of "canary".
const SUBSCRIBE: &[u8] = b"\x02\x10\x00\x06canary\x01v\x05\x00\x41\xf4\x00\x00";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_reset_at_once() {
    let world = World::new(Bounds::default());
    let mut canary = world.canary().await;
    let before = world.held();
    let flooder = world.flooder().await;
    let flood = async {
        for _ in 0..100_000 {
            let Ok((mut send, _recv)) = flooder.connection.open_bi().await else {
                return;
            };
            if send.write_all(SUBSCRIBE).await.is_err() {
                return;
            }
            let _over = send.reset(1_u32.into());
        }
        panic!("it was not let go");
    };
    unnoticed(&world, &mut canary, flood).await;
    assert_eq!(
        flooder.closed().await,
        (3, "limit passed: reset_rate".into())
    );
    canary.sings().await;
    drop(flooder);
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announcements_that_come_and_go() {
    let world = World::new(Bounds::default());
    let mut canary = world.canary().await;
    let flooder = world.flooder().await;
    let (mut send, _interest) = soon("interest", flooder.connection.accept_bi())
        .await
        .unwrap();
    send.write_all(b"\x02\x00\x00").await.unwrap();
    let churn = [&b"\x05\x01\x02aa\x00"[..], b"\x05\x00\x02aa\x00"]
        .concat()
        .repeat(5000);
    let before = world.held();
    let flood = tokio::time::timeout(Duration::from_secs(3), send.write_all(&churn));
    let _blocked = unnoticed(&world, &mut canary, flood).await;
    canary.sings().await;
    assert!(flooder.connection.close_reason().is_none());
    // Too many at a time are another matter.
    let flooder = world.flooder().await;
    let (mut send, _interest) = soon("interest", flooder.connection.accept_bi())
        .await
        .unwrap();
    let mut all = b"\x02\x00\x00".to_vec();
    for name in 0..1100_u32 {
        all.extend_from_slice(b"\x07\x01\x04");
        all.extend_from_slice(format!("{name:04x}").as_bytes());
        all.push(0);
    }
    // It may be let go before it has said everything.
    let _cut = send.write_all(&all).await;
    assert_eq!(
        flooder.closed().await,
        (3, "limit passed: announces".into())
    );
    canary.sings().await;
    drop((send, flooder));
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_and_groups_of_nobody() {
    let world = World::new(Bounds::default());
    let mut canary = world.canary().await;
    let flooder = world.flooder().await;
    let flood = async {
        for number in 0..50_000_u32 {
            // A full queue drops the oldest.
            let _dropped = flooder
                .connection
                .send_datagram(vec![0x3f, 0, 0, 1, 2, 3].into());
            if number % 100 == 0 {
                let Ok(mut send) = flooder.connection.open_uni().await else {
                    return;
                };
                let _refused = send.write_all(b"\x00\x02\x3f\x00payload").await;
                tokio::task::yield_now().await;
            }
        }
    };
    let before = world.held();
    unnoticed(&world, &mut canary, flood).await;
    canary.sings().await;
    assert!(world.relay.stats().refused_datagrams > 0);
    drop(flooder);
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_of_high_priority_that_never_reads() {
    let world = World::new(Bounds::default());
    let heavy = world.client().await;
    let path = moq_net::Path::parse("heavy").unwrap();
    let broadcast = heavy.origin.create_broadcast(&path).unwrap();
    let track = broadcast.create_track("v", None).unwrap();
    let mut canary = world.canary().await;
    let flooder = world.flooder().await;
    let mut kept = Vec::new();
    for id in 0..20_u8 {
        let (mut send, recv) = flooder.connection.open_bi().await.unwrap();
        let mut request = b"\x02\x0f\x00\x05heavy\x01v\xff\x00\x53\x88\x00\x00".to_vec();
        request[2] = id;
        send.write_all(&request).await.unwrap();
        kept.push((send, recv));
    }
    until("its subscriptions", || {
        world.relay.stats().served_subscriptions >= 20
    })
    .await;
    let flood = async {
        for _ in 0..40 {
            track.write_frame(vec![1; 256 << 10]).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    unnoticed(&world, &mut canary, flood).await;
    canary.sings().await;
    assert!(world.relay.stats().unsent_bytes <= 32 << 20);
    assert!(flooder.connection.close_reason().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_never_end() {
    let bounds = Bounds {
        unproven_handshakes: 32,
        handshakes: 64,
        handshake_timeout: Duration::from_secs(3),
        ..Bounds::default()
    };
    let world = World::new(bounds);
    let mut canary = world.canary().await;
    let before = world.held();
    let mut flood = deaf::Deaf::new(&world);
    let flooding = async {
        for _ in 0..500 {
            flood.connect();
            tokio::task::yield_now().await;
        }
    };
    unnoticed(&world, &mut canary, flooding).await;
    // Beyond 32 an address has to be proven, which the deaf cannot and others can.
    let late = world.client().await;
    soon("readiness", late.session.ready()).await.unwrap();
    canary.sings().await;
    drop((late, flood));
    world.settles(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_not_let_in_yet_has_little_credit() {
    let world = World::new(Bounds::default());
    let connection = world.connect().await;
    let mut streams = Vec::new();
    let opening = async {
        loop {
            let mut send = connection.open_uni().await.unwrap();
            // Of no known type: refused as soon as it is read, but read before the SETUP.
            send.write_all(&[0]).await.unwrap();
            streams.push(send);
        }
    };
    let _blocked = tokio::time::timeout(Duration::from_millis(500), opening).await;
    assert!(streams.len() < 64, "{} streams", streams.len());
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    let flood = vec![2; 1 << 20];
    let written = tokio::time::timeout(Duration::from_millis(500), send.write_all(&flood)).await;
    assert!(written.is_err(), "it may send a megabyte");
    assert_eq!(world.relay.sessions(), 0);
}

async fn ask(world: &World, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    let _refused = socket.write_all(request).await;
    let mut answer = Vec::new();
    let _reset = soon("an answer", socket.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_that_are_too_large() {
    let world = World::new(Bounds::default());
    let long = "x".repeat(9000);
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "414"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long.repeat(8)), "431"),
        ("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello".into(), "413"),
        ("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".into(), "200"),
    ] {
        let answer = ask(&world, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
}

#[tokio::test]
async fn requests_that_are_too_many_or_too_slow() {
    let bounds = Bounds {
        requests: 2,
        handshake_timeout: Duration::from_secs(1),
        ..Bounds::default()
    };
    let world = World::new(bounds);
    let health = b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(world.address).await.unwrap();
        socket.write_all(b"GET / HT").await.unwrap();
        slow.push(socket);
    }
    let answer = ask(&world, health).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    // Who does not come to the point is let go.
    for socket in &mut slow {
        let mut rest = Vec::new();
        let _reset = soon("the end", socket.read_to_end(&mut rest)).await;
    }
    let answer = ask(&world, health).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
