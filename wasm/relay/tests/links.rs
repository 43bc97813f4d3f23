//! Relays connected to relays, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use moq_net::{
    BroadcastConsumer, BroadcastPublish, Config, Error, Limits, Origin, OriginProducer, Path,
    Runtime, Session, Subscription, TrackInfo, TrackProducer, TrackSubscriber, Version,
};
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::dial::{self, DialFlags, Dialer};
use moq_worker_relay::host::TokioHost;
use moq_worker_relay::links::Links;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a step may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_elapsed| panic!("{what} takes too long"))
}

/// A relay of this test.
struct Running {
    port: u16,
    fingerprint: String,
    relay: Arc<Relay>,
    _links: Links,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    fn start(port: u16, versions: &[Version], flags: &DialFlags) -> Self {
        let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
        let relay = Relay::new(Limits::relay(), versions.to_vec());
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let server = Server::bind(address, &certificate, relay.clone()).unwrap();
        let port = server.address().port();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let told = async {
                // Gone with the test, it is told too.
                let _ = stopped.await;
            };
            server.run(told).await.unwrap();
        });
        Self {
            port,
            fingerprint: certificate.fingerprint.clone(),
            _links: Links::start(&relay, flags).unwrap(),
            relay,
            stop,
            serving,
        }
    }

    fn alone() -> Self {
        Self::start(0, &Version::DEFAULT, &DialFlags::default())
    }

    /// Ends it, and waits until its port is free.
    async fn stop(self) {
        drop(self.stop);
        soon("the end of a relay", self.serving).await.unwrap();
    }

    fn url(&self, scheme: &str) -> url::Url {
        dial::address(&format!("{scheme}://127.0.0.1:{}", self.port)).unwrap()
    }

    /// A client of this relay.
    async fn client(&self) -> Client {
        Self::client_at(&self.url("moqt")).await
    }

    async fn client_at(url: &url::Url) -> Client {
        let runtime = Runtime::new(TokioHost::default(), Limits::default());
        let origin = Origin::random(&runtime).produce(&runtime);
        let config = Config::new(runtime)
            .with_publish(origin.consume())
            .with_subscribe(origin.clone());
        let dialer = Dialer::new(&insecure()).unwrap();
        let dialed = soon("dialing", dialer.dial(url, config)).await;
        let (session, driver) = dialed.unwrap();
        tokio::spawn(driver);
        soon("the session", session.ready()).await.unwrap();
        Client {
            origin,
            _session: session,
        }
    }

    /// Subscribes as the relay's own clients do, announced or not.
    async fn subscribe(&self, path: &str) -> Result<(BroadcastConsumer, TrackSubscriber), Error> {
        let asked = moq_worker_relay::auth::Asked::target("/");
        let access = self.relay.authorize(&asked).await.unwrap();
        let origin = access.read.unwrap();
        let broadcast = origin
            .request_broadcast(&Path::parse(path).unwrap())?
            .await?;
        let wish = Subscription::default().with_max_latency(Duration::from_secs(30));
        let subscriber = broadcast.track("data")?.subscribe(wish)?.await?;
        Ok((broadcast, subscriber))
    }

    /// The status and the body of a GET.
    async fn get(&self, target: &str) -> (u16, Vec<u8>) {
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .unwrap();
        let request =
            format!("GET {target} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let end = answer
            .windows(4)
            .position(|part| part == b"\r\n\r\n")
            .unwrap();
        let status = std::str::from_utf8(&answer[9..12])
            .unwrap()
            .parse()
            .unwrap();
        (status, answer[end + 4..].to_vec())
    }
}

struct Client {
    origin: OriginProducer,
    _session: Session,
}

impl Client {
    fn publish(&self, path: &str) -> (BroadcastPublish, TrackProducer) {
        let path = Path::parse(path).unwrap();
        let broadcast = self.origin.create_broadcast(&path).unwrap();
        let info = TrackInfo::default().with_cache(Duration::from_secs(60));
        let track = broadcast.create_track("data", info).unwrap();
        (broadcast, track)
    }

    async fn find(&self, path: &str) -> BroadcastConsumer {
        let consumer = self.origin.consume();
        let path = Path::parse(path).unwrap();
        let found = soon("the announcement", consumer.announced_broadcast(&path)).await;
        found.expect("the origin lives")
    }
}

fn insecure() -> DialFlags {
    DialFlags {
        dial_insecure: true,
        ..DialFlags::default()
    }
}

fn upstream(relay: &Running, scheme: &str) -> DialFlags {
    DialFlags {
        upstream: vec![relay.url(scheme)],
        ..insecure()
    }
}

async fn frame(reader: &mut TrackSubscriber) -> Result<Option<bytes::Bytes>, Error> {
    let group = soon("a group", reader.recv_group()).await?;
    soon("a frame", group.expect("the track goes on").read_frame()).await
}

async fn an_upstream_serves(scheme: &str, version: Version) {
    let above = Running::start(0, &[version], &DialFlags::default());
    let edge = Running::start(0, &Version::DEFAULT, &upstream(&above, scheme));
    let publisher = Running::client_of(&above, version).await;
    let (_broadcast, track) = publisher.publish("room");
    soon("the announcement", async {
        while above.get("/announced").await.1 != b"room\n" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (_found, mut reader) = soon("subscribing", edge.subscribe("room")).await.unwrap();
    track.write_frame("hello").unwrap();
    assert_eq!(frame(&mut reader).await.unwrap(), Some("hello".into()));
    assert_eq!(
        edge.get("/announced").await,
        (200, Vec::new()),
        "never announced"
    );
    let missing = soon("a refusal", edge.subscribe("other")).await;
    assert_eq!(missing.err(), Some(Error::NotFound));
}

impl Running {
    async fn client_of(relay: &Self, version: Version) -> Client {
        let runtime = Runtime::new(TokioHost::default(), Limits::default());
        let origin = Origin::random(&runtime).produce(&runtime);
        let config = Config::new(runtime)
            .with_versions([version])
            .with_publish(origin.consume());
        let dialer = Dialer::new(&insecure()).unwrap();
        let url = relay.url("ws");
        let (session, driver) = soon("dialing", dialer.dial(&url, config)).await.unwrap();
        tokio::spawn(driver);
        Client {
            origin,
            _session: session,
        }
    }
}

macro_rules! upstreams {
    ($($name:ident: $scheme:literal on $version:ident;)*) => {$(
        #[tokio::test]
        async fn $name() {
            an_upstream_serves($scheme, Version::$version).await;
        }
    )*};
}

upstreams! {
    an_upstream_by_web_transport_on_06: "https" on Lite06;
    an_upstream_by_its_fingerprint_on_05: "http" on Lite05;
    an_upstream_by_web_socket_on_04: "ws" on Lite04;
    an_upstream_by_quic_on_03: "moqt" on Lite03;
    an_upstream_by_web_transport_on_02: "https" on Lite02;
}

#[tokio::test]
async fn an_upstream_that_goes_away_is_found_again() {
    let above = Running::alone();
    let port = above.port;
    let edge = Running::start(0, &Version::DEFAULT, &upstream(&above, "moqt"));
    let publisher = above.client().await;
    let (_broadcast, track) = publisher.publish("room");
    track.write_frame("before").unwrap();
    let (_found, mut reader) = soon("subscribing", async {
        loop {
            if let Ok(served) = edge.subscribe("room").await {
                break served;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(frame(&mut reader).await.unwrap(), Some("before".into()));
    drop(publisher);
    above.stop().await;
    let lost = soon("the loss", async {
        loop {
            match reader.recv_group().await {
                Ok(Some(_)) => {}
                other => break other.map(|_| ()),
            }
        }
    })
    .await;
    assert!(lost.is_err(), "{lost:?}: a loss is no end");

    let above = Running::start(port, &Version::DEFAULT, &DialFlags::default());
    let publisher = above.client().await;
    let (_broadcast, track) = publisher.publish("room");
    track.write_frame("after").unwrap();
    let (_found, mut reader) = soon("subscribing again", async {
        loop {
            match edge.subscribe("room").await {
                Ok(served) => break served,
                Err(_not_yet) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(frame(&mut reader).await.unwrap(), Some("after".into()));
}

/// A publisher on a thread of its own, as a process is that can be killed.
struct Process {
    runtime: tokio::runtime::Runtime,
    _client: (Client, BroadcastPublish, TrackProducer),
}

impl Process {
    fn start(relay: &Running, text: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let url = relay.url("moqt");
        let started = runtime.spawn(async move {
            let client = Running::client_at(&url).await;
            let (broadcast, track) = client.publish("room");
            track.write_frame(text).unwrap();
            (client, broadcast, track)
        });
        let client = std::thread::scope(|scope| {
            let started = scope.spawn(|| runtime.block_on(started).unwrap());
            started.join().unwrap()
        });
        Self {
            runtime,
            _client: client,
        }
    }

    /// Without a word to anybody, as by SIGKILL: nothing drives its sockets any more.
    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_publisher_does_not_hold_its_path() {
    let relay = Running::alone();
    // The ids are random: by their hashes the old one would win every second time.
    for round in 0..6 {
        let old = Process::start(&relay, "old");
        let viewer = relay.client().await;
        let found = viewer.find("room").await;
        let read = async |found: &BroadcastConsumer| {
            let track = found.track("data").unwrap();
            let wish = Subscription::default().with_max_latency(Duration::from_secs(30));
            let mut reader = track.subscribe(wish).unwrap().await.unwrap();
            frame(&mut reader).await.unwrap()
        };
        assert_eq!(soon("data", read(&found)).await, Some("old".into()));
        let mut announced = viewer.origin.consume().announced();
        assert!(announced.next().await.is_some());
        old.kill();
        let began = std::time::Instant::now();
        let new = Process::start(&relay, "new");
        let (_, event) = soon("news", announced.next()).await.unwrap();
        let found = event.broadcast().expect("the successor");
        assert_eq!(soon("data", read(&found)).await, Some("new".into()));
        // Long before the relay knows that the old one is dead.
        assert!(began.elapsed() < Duration::from_secs(3), "round {round}");
        new.kill();
    }
}

#[tokio::test]
async fn peers_in_a_ring_share_everything_once() {
    let first = Running::alone();
    let peers = |of: &[&Running]| DialFlags {
        peer: of.iter().map(|relay| relay.url("moqt")).collect(),
        ..insecure()
    };
    let second = Running::start(0, &Version::DEFAULT, &peers(&[&first]));
    let third = Running::start(0, &Version::DEFAULT, &peers(&[&first, &second]));
    let publisher = first.client().await;
    let viewer = third.client().await;
    let (broadcast, track) = publisher.publish("room");
    let found = viewer.find("room").await;
    let wish = Subscription::default().with_max_latency(Duration::from_secs(30));
    let wanted = found.track("data").unwrap().subscribe(wish).unwrap();
    let mut reader = soon("subscribing", wanted).await.unwrap();
    track.write_frame("hello").unwrap();
    assert_eq!(frame(&mut reader).await.unwrap(), Some("hello".into()));
    assert_eq!(second.get("/announced").await, (200, b"room\n".to_vec()));
    // When it goes, it is gone everywhere: nobody hears of it from somebody who heard it from them.
    drop((broadcast, track));
    soon("the withdrawal", async {
        for relay in [&first, &second, &third] {
            while relay.get("/announced").await.1 != b"" {
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_group_is_read_over_http() {
    let above = Running::alone();
    let edge = Running::start(0, &Version::DEFAULT, &upstream(&above, "https"));
    let publisher = above.client().await;
    let (_broadcast, track) = publisher.publish("demo/room");
    for number in 0..3 {
        let group = track.create_group(number).unwrap();
        for part in ["a", "bc", "def"] {
            group.write_frame(format!("{number}{part}")).unwrap();
        }
        group.finish().unwrap();
    }
    soon("the announcement", async {
        while above.get("/announced").await.1.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let once = soon("an answer", above.get("/fetch/demo/room/data?group=0")).await;
    assert_eq!(once, (200, b"0a0bc0def".to_vec()));
    assert!(
        track.subscription().is_none(),
        "a fetch subscribes to nothing"
    );
    for relay in [&above, &edge] {
        let get = async |query: &str| {
            let target = format!("/fetch/demo/room/data{query}");
            soon("an answer", relay.get(&target)).await
        };
        assert_eq!(get("?group=1").await, (200, b"1a1bc1def".to_vec()));
        assert_eq!(get("?group=1&frame=1").await, (200, b"1bc".to_vec()));
        assert_eq!(get("?group=1&frame=3").await.0, 404);
        assert_eq!(get("?group=9").await.0, 404);
        assert_eq!(get("?group=latest").await, (200, b"2a2bc2def".to_vec()));
        assert_eq!(get("").await, (200, b"2a2bc2def".to_vec()));
        assert_eq!(get("?group=-1").await.0, 400);
        assert_eq!(get("?group=1&group=1").await.0, 400);
        assert_eq!(relay.get("/fetch/demo/room/none?group=1").await.0, 404);
        for bad in [
            "/fetch/data",
            "/fetch/a/../data",
            "/fetch/a/%2e%2e/data",
            "/fetch/a//data",
            "/fetch/a/%00",
            "/fetch/a/",
        ] {
            assert_eq!(relay.get(bad).await.0, 400, "{bad}");
        }
    }
}

#[tokio::test]
async fn a_group_that_goes_on_is_streamed_and_one_that_fails_has_no_proper_end() {
    let relay = Running::alone();
    let publisher = relay.client().await;
    let (_broadcast, track) = publisher.publish("room");
    let group = track.create_group(0).unwrap();
    group.write_frame("first").unwrap();
    soon("the announcement", async {
        while relay.get("/announced").await.1.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", relay.port))
        .await
        .unwrap();
    let request = "GET /fetch/room/data?group=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut read_until = async |text: &str| {
        soon(text, async {
            while !String::from_utf8_lossy(&answer).contains(text) {
                assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0, "it ended");
            }
        })
        .await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let head = read_until("first").await.to_lowercase();
    assert!(
        head.contains("content-type: application/octet-stream"),
        "{head}"
    );
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    group.write_frame("second").unwrap();
    read_until("second").await;
    group.abort(Error::App(1)).unwrap();
    // Whether it is a reset or an end, the last chunk never comes.
    let _end = soon("the end", socket.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn only_the_pinned_certificate_will_do() {
    let relay = Running::alone();
    let runtime = Runtime::new(TokioHost::default(), Limits::default());
    let dial = async |flags: DialFlags| {
        let dialer = Dialer::new(&flags).unwrap();
        let config = Config::new(runtime.clone());
        let dialed = soon("an answer", dialer.dial(&relay.url("https"), config)).await;
        dialed.map(|_| ())
    };
    let pinned = |sum: &str| DialFlags {
        dial_fingerprint: vec![sum.to_owned()],
        ..DialFlags::default()
    };
    dial(pinned(&relay.fingerprint)).await.unwrap();
    assert!(dial(pinned(&"00".repeat(32))).await.is_err());
}

#[tokio::test]
async fn an_endless_fingerprint_is_not_read_to_its_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let writing = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _request = socket.read(&mut [0; 4096]).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut written = 0;
        let chunk = format!("1000\r\n{}\r\n", "0".repeat(0x1000));
        while socket.write_all(chunk.as_bytes()).await.is_ok() {
            written += 0x1000;
        }
        written
    });
    let dialer = Dialer::new(&DialFlags::default()).unwrap();
    let url = dial::address(&format!("http://127.0.0.1:{port}")).unwrap();
    let runtime = Runtime::new(TokioHost::default(), Limits::default());
    let error = soon("the answer", dialer.dial(&url, Config::new(runtime))).await;
    let error = error.expect_err("no relay there").to_string();
    assert!(error.contains("too long"), "{error}");
    let written = soon("the end of the answer", writing).await.unwrap();
    assert!(written < 64 << 20, "{written} bytes");
}
