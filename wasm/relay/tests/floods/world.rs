//! A relay with real sockets, honest clients, and one that does what it likes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use moq_net::{
    BroadcastPublish, Client, Config, Limits, Origin, OriginProducer, Path, Runtime, Session,
    Subscription, TrackProducer, TrackSubscriber, Version,
};
use moq_worker_relay::bounds::Bounds;
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::host::TokioHost;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;
use web_transport_quinn as wt;
use wt::quinn;

/// The version everybody speaks here.
pub(crate) const VERSION: Version = Version::Lite05;

/// How long a step may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_elapsed| panic!("{what} takes too long"))
}

/// Waits until `done`.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, wait).await;
}

/// A relay that serves until the test ends.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) relay: Arc<Relay>,
    roots: Arc<rustls::RootCertStore>,
}

impl World {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
        let relay = Relay::with_bounds(Limits::relay(), Version::DEFAULT.to_vec(), bounds);
        let bind = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(bind, &certificate, relay.clone()).unwrap();
        let address = server.address();
        tokio::spawn(server.run(std::future::pending()));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.chain[0].clone()).unwrap();
        Self {
            address,
            relay,
            roots: Arc::new(roots),
        }
    }

    pub(crate) fn client_config(&self) -> quinn::ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        tls.alpn_protocols = vec![VERSION.alpn().as_bytes().to_vec()];
        let tls: quinn::crypto::rustls::QuicClientConfig = tls.try_into().unwrap();
        quinn::ClientConfig::new(Arc::new(tls))
    }

    /// A connection on which nothing has been said.
    pub(crate) async fn connect(&self) -> quinn::Connection {
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = endpoint.connect_with(self.client_config(), self.address, "localhost");
        soon("QUIC", connecting.unwrap()).await.unwrap()
    }

    /// An honest client.
    pub(crate) async fn client(&self) -> Honest {
        let runtime = Runtime::new(TokioHost::default(), Limits::default());
        let origin = Origin::random(&runtime).produce(&runtime);
        let config = Config::new(runtime)
            .with_versions([VERSION])
            .with_publish(origin.consume())
            .with_subscribe(origin.clone());
        let transport = wt::Session::raw(self.connect().await);
        let client = Client::new(config);
        let connecting = client.connect(transport);
        let (session, driver) = soon("the handshake", connecting).await.unwrap();
        tokio::spawn(driver);
        Honest { origin, session }
    }

    /// A client that does what the test says, admitted.
    pub(crate) async fn flooder(&self) -> Flooder {
        let before = self.relay.sessions();
        let connection = self.connect().await;
        let mut setup = connection.open_uni().await.unwrap();
        setup.write_all(&[1, 1, 0]).await.unwrap();
        setup.finish().unwrap();
        until("admission", || self.relay.sessions() > before).await;
        Flooder { connection }
    }

    /// An honest broadcast and somebody who watches it.
    pub(crate) async fn canary(&self) -> Canary {
        let (publisher, viewer) = (self.client().await, self.client().await);
        let path = Path::parse("canary").unwrap();
        let broadcast = publisher.origin.create_broadcast(&path).unwrap();
        let track = broadcast.create_track("v", None).unwrap();
        let consumer = viewer.origin.consume();
        let found = soon("the announcement", consumer.announced_broadcast(&path)).await;
        // From the first group on, whichever comes first.
        let wish = Subscription::default()
            .with_max_latency(Duration::from_secs(20))
            .with_group_start(0);
        let pending = found.unwrap().track("v").unwrap().subscribe(wish).unwrap();
        let subscriber = soon("the subscription", pending).await.unwrap();
        let mut canary = Canary {
            track,
            subscriber,
            next: 0,
            _broadcast: broadcast,
            _ends: [publisher, viewer],
        };
        canary.sings().await;
        canary
    }
}

/// A client as it should be.
pub(crate) struct Honest {
    pub(crate) origin: OriginProducer,
    pub(crate) session: Session,
}

/// A connection on which anything may be sent.
pub(crate) struct Flooder {
    pub(crate) connection: quinn::Connection,
}

impl Flooder {
    /// The code and the reason with which the relay let it go.
    pub(crate) async fn closed(&self) -> (u64, String) {
        match soon("the end", self.connection.closed()).await {
            quinn::ConnectionError::ApplicationClosed(close) => {
                let reason = String::from_utf8_lossy(&close.reason).into_owned();
                (close.error_code.into_inner(), reason)
            }
            other => panic!("not closed by the relay: {other}"),
        }
    }
}

/// Somebody who publishes and somebody who watches, and must not notice the flood.
pub(crate) struct Canary {
    track: TrackProducer,
    subscriber: TrackSubscriber,
    next: u64,
    _broadcast: BroadcastPublish,
    _ends: [Honest; 2],
}

impl Canary {
    /// Twenty groups arrive, in time to be read, and none is missing.
    pub(crate) async fn sings(&mut self) {
        for _ in 0..20 {
            self.track.write_frame(vec![7; 1000]).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut missing: BTreeSet<u64> = (self.next..self.next + 20).collect();
        self.next += 20;
        while !missing.is_empty() {
            let group = soon("a group", self.subscriber.recv_group()).await;
            let mut group = group.unwrap().expect("the track lives");
            assert!(missing.remove(&group.sequence()), "a group came twice");
            let frame = soon("its frame", group.read_frame()).await.unwrap();
            assert_eq!(frame.map(|frame| frame.len()), Some(1000));
        }
    }
}
