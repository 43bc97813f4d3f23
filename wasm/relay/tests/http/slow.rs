//! Clients that take their time: with what they ask, and with reading what they are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moq_net::{BroadcastPublish, Limits, Path, TrackInfo, TrackProducer, Version};
use moq_worker_relay::auth::Asked;
use moq_worker_relay::bounds::Bounds;
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::routes::get;

/// How long a step may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_elapsed| panic!("{what} takes too long"))
}

struct World {
    address: SocketAddr,
    relay: Arc<Relay>,
}

impl World {
    fn new(bounds: Bounds) -> Self {
        let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
        let relay = Relay::with_bounds(Limits::relay(), Version::DEFAULT.to_vec(), bounds);
        let bind = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(bind, &certificate, relay.clone()).unwrap();
        let address = server.address();
        tokio::spawn(server.run(std::future::pending()));
        Self { address, relay }
    }

    /// A group of 16 MiB, more than any socket buffers.
    async fn publish(&self) -> (BroadcastPublish, TrackProducer) {
        let access = self.relay.authorize(&Asked::target("/")).await.unwrap();
        let path = Path::parse("room").unwrap();
        let broadcast = access.write.unwrap().create_broadcast(&path).unwrap();
        let info = TrackInfo::default().with_cache(Duration::from_secs(600));
        let track = broadcast.create_track("data", info).unwrap();
        let group = track.append_group().unwrap();
        for _ in 0..256 {
            group.write_frame(vec![7; 64 << 10]).unwrap();
        }
        group.finish().unwrap();
        (broadcast, track)
    }

    /// Asks for that group over a socket that takes little at a time.
    async fn ask(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut socket = socket.connect(self.address).await.unwrap();
        let request = b"GET /fetch/room/data?group=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        socket.write_all(request).await.unwrap();
        socket
    }
}

#[tokio::test]
async fn who_does_not_read_a_group_is_cut_off_when_the_time_is_over() {
    let bounds = Bounds {
        fetch_timeout: Duration::from_secs(2),
        requests: 2,
        ..Bounds::default()
    };
    let world = World::new(bounds);
    let (_broadcast, _track) = world.publish().await;
    let start = Instant::now();
    let _idle = world.ask().await;
    let mut first = [0; 12];
    let mut drip = world.ask().await;
    soon("the head", drip.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    // A kilobyte now and then keeps nobody.
    let drips = tokio::spawn(async move {
        let mut some = [0; 1024];
        while let Ok(1..) = drip.read(&mut some).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let served = async || {
        get(world.address, "/health")
            .await
            .starts_with("HTTP/1.1 200")
    };
    assert!(!served().await, "both places are taken");
    soon("a place", async {
        while !served().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let taken = start.elapsed();
    assert!(taken >= Duration::from_millis(1900), "after {taken:?}");
    assert!(taken < Duration::from_secs(8), "only after {taken:?}");
    // And the other: both still hold their ends.
    let _third = TcpStream::connect(world.address).await.unwrap();
    soon("another place", async {
        while !served().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    drips.abort();
}

#[tokio::test]
async fn who_reads_in_time_gets_all_of_it() {
    let world = World::new(Bounds::default());
    let (_broadcast, _track) = world.publish().await;
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    let request = b"GET /fetch/room/data?group=0 HTTP/1.0\r\nHost: localhost\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    soon("the group", socket.read_to_end(&mut answer))
        .await
        .unwrap();
    let sevens = answer.iter().rev().take_while(|byte| **byte == 7).count();
    assert_eq!(sevens, 16 << 20);
}

/// A connection that does `step` now and then, and how long it lasted.
async fn lasts(world: &World, begin: &[u8], step: &[u8]) -> Duration {
    let start = Instant::now();
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    socket.write_all(begin).await.unwrap();
    let (mut read, mut write) = socket.into_split();
    let step = step.to_vec();
    let sender = tokio::spawn(async move {
        while write.write_all(&step).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = Vec::new();
    // A reset is an end too.
    let _end = soon("the end", read.read_to_end(&mut answer)).await;
    sender.abort();
    start.elapsed()
}

#[tokio::test]
async fn nothing_a_slow_client_sends_makes_its_time_longer() {
    let bounds = Bounds {
        handshake_timeout: Duration::from_secs(1),
        ..Bounds::default()
    };
    let world = World::new(bounds);
    let get = "GET /health HTTP/1.1\r\nHost: localhost\r\n";
    for (what, begin, step) in [
        ("silence", String::new(), ""),
        ("a request line that goes on", "GET /".into(), "x"),
        ("a head that goes on", get.into(), "X: y\r\n"),
        ("an empty line that does not come", format!("{get}X: "), "y"),
        ("a second head", format!("{get}\r\n"), "G"),
        (
            "a body that was promised",
            format!("{get}Content-Length: 100000\r\n\r\n"),
            "y",
        ),
        (
            "a body in chunks",
            format!("{get}Transfer-Encoding: chunked\r\n\r\n"),
            "1\r\ny\r\n",
        ),
    ] {
        let taken = lasts(&world, begin.as_bytes(), step.as_bytes()).await;
        assert!(taken < Duration::from_secs(5), "{what}: {taken:?}");
    }
}

#[tokio::test]
async fn a_socket_counts_among_the_requests_until_its_session_begins() {
    let world = World::new(Bounds {
        requests: 2,
        handshake_timeout: Duration::from_secs(2),
        ..Bounds::default()
    });
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: qmux-01.moq-lite-06\r\n\r\n";
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(world.address).await.unwrap();
        socket.write_all(upgrade.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        soon("an answer", socket.read_exact(&mut head))
            .await
            .unwrap();
        assert_eq!(&head, b"HTTP/1.1 101");
        sockets.push(socket);
    }
    let refused = get(world.address, "/health").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    // Whoever does not begin in time is let go.
    for socket in &mut sockets {
        let mut rest = Vec::new();
        let _reset = soon("the end", socket.read_to_end(&mut rest)).await;
    }
    let served = get(world.address, "/health").await;
    assert!(served.starts_with("HTTP/1.1 200"), "{served}");
}
