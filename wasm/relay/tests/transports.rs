//! The relay over its real transports: what one client publishes another reads, live and from the past, on each of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use moq_net::{
    BroadcastPublish, Client, Config, Error, Limits, Origin, OriginProducer, Path, Runtime,
    Session, Subscription, TrackInfo, TrackProducer, Version,
};
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::host::TokioHost;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;
use web_transport_quinn as wt;
use wt::{proto::ConnectRequest, quinn};

/// How long a step may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(10);

/// A relay that serves until the test ends.
struct Running {
    address: SocketAddr,
    fingerprint: Vec<u8>,
    roots: Arc<rustls::RootCertStore>,
    relay: Arc<Relay>,
}

fn start() -> Running {
    start_until(std::future::pending(), Duration::ZERO).0
}

/// A relay that ends with `stop`, and gives clients `drain` to leave.
fn start_until(
    stop: impl Future<Output = ()> + Send + 'static,
    drain: Duration,
) -> (Running, tokio::task::JoinHandle<std::io::Result<()>>) {
    let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
    let relay = Relay::new(Limits::relay(), Version::DEFAULT.to_vec());
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), &certificate, relay.clone()).unwrap();
    let address = server.address();
    let ended = tokio::spawn(server.run_and_drain(stop, drain));
    let digest = ring::digest::digest(&ring::digest::SHA256, &certificate.chain[0]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.chain[0].clone()).unwrap();
    let running = Running {
        address,
        fingerprint: digest.as_ref().to_vec(),
        roots: Arc::new(roots),
        relay,
    };
    (running, ended)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    WebTransport,
    WebSocket,
    Quic,
}

/// A connected client and the origin it shares with the relay.
struct Peer {
    origin: OriginProducer,
    session: Session,
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_elapsed| panic!("{what} takes too long"))
}

impl Running {
    async fn dial(&self, transport: Binding, version: Version, path: &str) -> Peer {
        let runtime = Runtime::new(TokioHost::default(), Limits::default());
        let origin = Origin::random(&runtime).produce(&runtime);
        let config = Config::new(runtime)
            .with_versions([version])
            .with_publish(origin.consume())
            .with_subscribe(origin.clone());
        let session = match transport {
            Binding::WebTransport => {
                let url = format!("https://localhost:{}{path}", self.address.port());
                let request = ConnectRequest::new(url.parse::<url::Url>().unwrap())
                    .with_protocol(version.alpn());
                let client = wt::ClientBuilder::new()
                    .with_server_certificate_hashes(vec![self.fingerprint.clone()])
                    .unwrap();
                let session = soon("WebTransport", client.connect(request)).await.unwrap();
                run(config, session).await
            }
            Binding::WebSocket => {
                let url = format!("ws://127.0.0.1:{}{path}", self.address.port());
                let client = qmux::ws::Client::new()
                    .with_protocol(version.alpn(), &[qmux::Version::QMux01])
                    .require_protocol();
                let session = soon("WebSocket", client.connect(&url)).await.unwrap();
                run(config, session).await
            }
            Binding::Quic => {
                let session = soon("QUIC", self.quic(version)).await;
                run(config.with_path(path), session).await
            }
        };
        Peer { origin, session }
    }

    async fn quic(&self, version: Version) -> wt::Session {
        wt::Session::raw(self.quic_as(version.alpn()).await)
    }

    async fn quic_as(&self, alpn: &str) -> quinn::Connection {
        let mut tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let tls: quinn::crypto::rustls::QuicClientConfig = tls.try_into().unwrap();
        let config = quinn::ClientConfig::new(Arc::new(tls));
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = endpoint.connect_with(config, self.address, "localhost");
        connecting.unwrap().await.unwrap()
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

async fn run<T: web_transport_trait::Session>(config: Config, transport: T) -> Session {
    let (session, driver) = soon("the handshake", Client::new(config).connect(transport))
        .await
        .unwrap();
    tokio::spawn(driver);
    session
}

impl Peer {
    fn publish(&self, path: &str) -> (BroadcastPublish, TrackProducer) {
        let broadcast = self
            .origin
            .create_broadcast(&Path::parse(path).unwrap())
            .unwrap();
        let info = TrackInfo::default().with_cache(Duration::from_secs(60));
        let track = broadcast.create_track("data", info).unwrap();
        (broadcast, track)
    }

    async fn find(&self, path: &str) -> moq_net::BroadcastConsumer {
        let consumer = self.origin.consume();
        let path = Path::parse(path).unwrap();
        let found = soon("the announcement", consumer.announced_broadcast(&path)).await;
        found.expect("the origin lives")
    }
}

/// Frames of three sizes: empty, small, and larger than one read.
fn payload(number: u64) -> Vec<u8> {
    let size = [0, 100, 50_000][usize::try_from(number % 3).unwrap()];
    vec![u8::try_from(number % 251).unwrap(); size]
}

async fn read_past_and_present(writer: Binding, reader: Binding, version: Version) {
    let relay = start();
    let publisher = relay.dial(writer, version, "/demo").await;
    let viewer = relay.dial(reader, version, "/demo").await;
    let (_broadcast, track) = publisher.publish("room");
    for number in 0..5 {
        track.write_frame(payload(number)).unwrap();
    }
    let found = viewer.find("room").await;
    let consumer = found.track("data").unwrap();
    let wish = Subscription::default().with_max_latency(Duration::from_secs(30));
    let mut subscriber = soon("subscribe", consumer.subscribe(wish).unwrap())
        .await
        .unwrap();
    let first = soon("a group", subscriber.recv_group())
        .await
        .unwrap()
        .unwrap();
    assert!(first.sequence() <= 4);

    if version.has_fetch() {
        // While the subscription is live; group 2 is not among what it brings on versions that start at the latest.
        let mut past = soon("fetch", consumer.fetch_group(2, None).unwrap())
            .await
            .unwrap();
        let frame = soon("a past frame", past.read_frame())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(frame, payload(2));
        assert_eq!(soon("the end", past.read_frame()).await.unwrap(), None);
        let missing = soon("a missing group", consumer.fetch_group(99, None).unwrap()).await;
        assert_eq!(missing.err(), Some(Error::NotFound));
    } else {
        let refused = match consumer.fetch_group(99, None) {
            Ok(pending) => soon("a refusal", pending).await.err(),
            Err(error) => Some(error),
        };
        assert_eq!(refused, Some(Error::Version));
    }

    for number in 5..40 {
        track.write_frame(payload(number)).unwrap();
    }
    track.finish().unwrap();
    let mut next = 5;
    while let Some(mut group) = soon("a live group", subscriber.recv_group()).await.unwrap() {
        let sequence = group.sequence();
        let frame = soon("a live frame", group.read_frame())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(frame, payload(sequence), "group {sequence}");
        next += usize::from(sequence >= 5);
    }
    assert_eq!(
        next, 40,
        "every group written after the subscription arrived"
    );
    assert_eq!(publisher.session.version(), version);
}

macro_rules! pairs {
    ($($name:ident: $writer:ident to $reader:ident on $version:ident;)*) => {$(
        #[tokio::test]
        async fn $name() {
            read_past_and_present(Binding::$writer, Binding::$reader, Version::$version).await;
        }
    )*};
}

pairs! {
    web_transport_on_05: WebTransport to WebTransport on Lite05;
    web_transport_on_06: WebTransport to WebTransport on Lite06;
    web_transport_on_04: WebTransport to WebTransport on Lite04;
    web_transport_on_03: WebTransport to WebTransport on Lite03;
    web_transport_on_02: WebTransport to WebTransport on Lite02;
    web_socket_on_05: WebSocket to WebSocket on Lite05;
    web_socket_to_web_transport_on_06: WebSocket to WebTransport on Lite06;
    quic_to_web_socket_on_06: Quic to WebSocket on Lite06;
    quic_on_05: Quic to Quic on Lite05;
}

#[tokio::test]
async fn the_path_of_the_url_is_the_root_of_what_a_client_sees() {
    let relay = start();
    let version = Version::Lite06;
    let publisher = relay.dial(Binding::Quic, version, "/demo/room").await;
    let (_broadcast, _track) = publisher.publish("alice");
    let outside = relay.dial(Binding::WebTransport, version, "/").await;
    outside.find("demo/room/alice").await;
    let inside = relay.dial(Binding::WebSocket, version, "/demo?jwt=").await;
    inside.find("room/alice").await;
    assert_eq!(relay.relay.sessions(), 3);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_announcements_along() {
    let relay = start();
    let publisher = relay
        .dial(Binding::WebTransport, Version::Lite06, "/")
        .await;
    let viewer = relay.dial(Binding::WebSocket, Version::Lite06, "/").await;
    let (broadcast, _track) = publisher.publish("room");
    let mut announced = viewer.origin.consume().announced();
    let (path, event) = soon("the announcement", announced.next()).await.unwrap();
    assert_eq!(path.as_str(), "room");
    assert!(event.broadcast().is_some());
    drop(broadcast);
    drop(publisher);
    let (path, event) = soon("the withdrawal", announced.next()).await.unwrap();
    assert_eq!(path.as_str(), "room");
    assert!(event.broadcast().is_none());
}

#[tokio::test]
async fn clients_of_a_relay_that_ends_are_told_and_have_time_to_leave() {
    for binding in [Binding::WebTransport, Binding::WebSocket, Binding::Quic] {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let (relay, ended) = start_until(stopped, Duration::from_millis(300));
        let leaves = relay.dial(binding, Version::Lite06, "/").await;
        let stays = relay.dial(binding, Version::Lite04, "/").await;
        // Before 04 there is no word for it.
        let untold = match binding {
            Binding::Quic => None,
            _ => Some(relay.dial(binding, Version::Lite03, "/").await),
        };
        drop(stop);
        for peer in [&leaves, &stays] {
            let uri = soon("GOAWAY", peer.session.going_away()).await;
            assert_eq!(uri, Ok(String::new()), "{binding:?}");
        }
        drop(leaves);
        for peer in [Some(stays), untold].into_iter().flatten() {
            let error = soon("the end", peer.session.closed()).await;
            let version = peer.session.version();
            assert_eq!(error, Error::GoingAway, "{binding:?} {version}");
            let close = peer.session.close_reason().unwrap();
            assert_eq!(
                (close.code, close.reason.as_str()),
                (Some(0x10), "the relay is shutting down"),
                "{binding:?}"
            );
        }
        soon("the end of the relay", ended).await.unwrap().unwrap();
        assert_eq!(relay.relay.sessions(), 0, "{binding:?}");
    }
}

/// A WebTransport client by hand: it says what it must, and does nothing by itself.
async fn by_hand(relay: &Running) -> (quinn::Connection, quinn::SendStream, quinn::RecvStream) {
    let connection = relay.quic_as(wt::ALPN).await;
    let mut settings = wt::proto::Settings::default();
    settings.enable_webtransport(1);
    let mut control = connection.open_uni().await.unwrap();
    settings.write(&mut control).await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    let url = format!("https://localhost:{}/", relay.address.port());
    let request =
        ConnectRequest::new(url.parse::<url::Url>().unwrap()).with_protocol(Version::Lite04.alpn());
    request.write(&mut send).await.unwrap();
    wt::proto::ConnectResponse::read(&mut recv).await.unwrap();
    tokio::spawn(async move {
        let _kept = control;
        std::future::pending::<()>().await;
    });
    (connection, send, recv)
}

#[tokio::test]
async fn a_web_transport_client_that_is_slow_still_hears_why_its_session_ends() {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let (relay, ended) = start_until(stopped, Duration::ZERO);
    let (connection, _send, recv) = by_hand(&relay).await;
    soon("the session", async {
        while relay.relay.sessions() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    drop(stop);
    // Long after the capsule came, and longer than a round trip takes: a busy browser.
    let early = tokio::time::timeout(Duration::from_secs(1), connection.closed()).await;
    assert!(early.is_err(), "{early:?}");
    let mut capsules = wt::proto::Http3CapsuleReader::new(recv);
    let capsule = soon("the capsule", capsules.read()).await.unwrap();
    let why = wt::proto::Capsule::CloseWebTransportSession {
        code: 0x10,
        reason: "the relay is shutting down".to_owned(),
    };
    assert_eq!(capsule, Some(why));
    // One that never closes is not waited for without end.
    soon("the end of the relay", ended).await.unwrap().unwrap();
}
