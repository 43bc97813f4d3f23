//! A relay with real sockets, honest clients, and one that does what it likes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use moq_net::{
    Client, Config, Limits, Origin, OriginProducer, Path, Runtime, Session, Subscription,
    TrackInfo, TrackSubscriber, Version,
};
use moq_worker_relay::bounds::Bounds;
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::host::TokioHost;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;
use web_transport_quinn as wt;
use wt::quinn;

use crate::canary::Canary;
use crate::memory::{MIB, Memory};

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

/// A relay that serves until the test ends, on threads of its own.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) relay: Arc<Relay>,
    pub(crate) memory: Memory,
    roots: Arc<rustls::RootCertStore>,
    threads: Option<tokio::runtime::Runtime>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

impl World {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self::with_limits(Limits::relay(), bounds)
    }

    pub(crate) fn with_limits(limits: Limits, bounds: Bounds) -> Self {
        let (memory, threads) = Memory::new();
        // Clients that go without a word are missed in time for a test.
        let bounds = Bounds {
            idle_timeout: bounds.idle_timeout.min(Duration::from_secs(5)),
            keep_alive: bounds.keep_alive.min(Duration::from_secs(1)),
            ..bounds
        };
        let (tell, told) = std::sync::mpsc::channel();
        threads.spawn(async move {
            let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
            let relay = Relay::with_bounds(limits, Version::DEFAULT.to_vec(), bounds);
            let bind = "127.0.0.1:0".parse().unwrap();
            let server = Server::bind(bind, &certificate, relay.clone()).unwrap();
            let chain = certificate.chain[0].clone();
            tell.send((server.address(), relay, chain)).unwrap();
            server.run(std::future::pending()).await.unwrap();
        });
        let (address, relay, chain) = told.recv().unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(chain).unwrap();
        Self {
            address,
            relay,
            memory,
            roots: Arc::new(roots),
            threads: Some(threads),
        }
    }

    /// Bytes that the relay holds besides its cache.
    pub(crate) fn held(&self) -> isize {
        self.memory.live() - self.relay.stats().cached_bytes as isize
    }

    /// As much is held as `before`, soon after the last flooder has left.
    pub(crate) async fn settles(&self, before: isize) {
        let most = before + before / 20 + MIB;
        let wait = async {
            while self.held() > most {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let settled = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(
            settled.is_ok(),
            "{} bytes, {before} before: {:?}",
            self.held(),
            self.relay.stats()
        );
    }

    pub(crate) fn client_config(&self) -> quinn::ClientConfig {
        self.config_for(VERSION.alpn())
    }

    fn config_for(&self, protocol: &str) -> quinn::ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        tls.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tls: quinn::crypto::rustls::QuicClientConfig = tls.try_into().unwrap();
        quinn::ClientConfig::new(Arc::new(tls))
    }

    /// A connection on which nothing has been said.
    pub(crate) async fn connect(&self) -> quinn::Connection {
        self.connect_for(VERSION.alpn()).await
    }

    /// The same, for this protocol.
    pub(crate) async fn connect_for(&self, protocol: &str) -> quinn::Connection {
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = self.config_for(protocol);
        let connecting = endpoint.connect_with(config, self.address, "localhost");
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

    /// A client that does what the test says, admitted, while others neither come nor go.
    pub(crate) async fn flooder(&self) -> Flooder {
        let before = self.relay.sessions();
        let flooder = self.comer().await;
        until("admission", || self.relay.sessions() > before).await;
        flooder
    }

    /// A client that does what the test says, about to be admitted.
    pub(crate) async fn comer(&self) -> Flooder {
        let connection = self.connect().await;
        let mut setup = connection.open_uni().await.unwrap();
        setup.write_all(&[1, 1, 0]).await.unwrap();
        setup.finish().unwrap();
        Flooder { connection }
    }

    /// An honest broadcast and somebody who watches it.
    pub(crate) async fn canary(&self) -> Canary {
        let (publisher, viewer) = (self.client().await, self.client().await);
        let path = Path::parse("canary").unwrap();
        let broadcast = publisher.origin.create_broadcast(&path).unwrap();
        // What is sung is soon forgotten: it must not look like the flood's.
        let info = TrackInfo::default().with_cache(Duration::from_secs(2));
        let track = broadcast.create_track("v", info).unwrap();
        let consumer = viewer.origin.consume();
        let found = soon("the announcement", consumer.announced_broadcast(&path)).await;
        // From the first group on, whichever comes first.
        let wish = Subscription::default()
            .with_max_latency(Duration::from_secs(20))
            .with_group_start(0);
        let pending = found.unwrap().track("v").unwrap().subscribe(wish).unwrap();
        let subscriber = soon("the subscription", pending).await.unwrap();
        let mut canary = Canary::new(track, subscriber, broadcast, [publisher, viewer]);
        canary.sings().await;
        canary
    }

    /// An honest viewer of track "v" of a broadcast, however long it takes until that is announced.
    pub(crate) async fn viewer(&self, path: &str) -> (Honest, TrackSubscriber) {
        let viewer = self.client().await;
        let consumer = viewer.origin.consume();
        let path = Path::parse(path).unwrap();
        let found = soon("the announcement", consumer.announced_broadcast(&path)).await;
        let wish = Subscription::default().with_max_latency(Duration::from_secs(20));
        let pending = found.unwrap().track("v").unwrap().subscribe(wish).unwrap();
        let subscriber = soon("the subscription", pending).await.unwrap();
        (viewer, subscriber)
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
        let close = self.end().await;
        close.expect("the packet with the reason arrives")
    }

    /// The same; `None` when a client whose socket had no room left has lost that packet, and learns of its end by a stateless reset.
    pub(crate) async fn end(&self) -> Option<(u64, String)> {
        match soon("the end", self.connection.closed()).await {
            quinn::ConnectionError::ApplicationClosed(close) => {
                let reason = String::from_utf8_lossy(&close.reason).into_owned();
                Some((close.error_code.into_inner(), reason))
            }
            quinn::ConnectionError::Reset => None,
            other => panic!("not closed by the relay: {other}"),
        }
    }
}
