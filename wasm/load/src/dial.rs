//! Connections to the relay under load: every peer has a socket of its own, as if it were on a machine of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use moq_net::{
    BroadcastConsumer, Client, Config, Limits, Origin, OriginProducer, Path, Rate, Runtime,
    Session, Version,
};
use moq_worker_relay::{dial::pinned, host::TokioHost};
use tokio::time::timeout;
use url::Url;
use web_transport_quinn as wt;
use wt::{proto::ConnectRequest, quinn};

use crate::counted::Counted;

/// How long anything but the load itself may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Streams the relay may have open towards one peer, the same for every relay.
const MAX_STREAMS: u32 = 1024;
/// Handshakes at a time.
const DIALS: usize = 16;

/// The relay under load.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Address of the relay.
    #[arg(long)]
    relay: SocketAddr,
    /// SHA-256 of the relay's certificate, in hexadecimal.
    #[arg(long)]
    certificate: String,
    /// Process id of the relay, for what it uses.
    #[arg(long)]
    pid: u32,
    /// The version to speak.
    #[arg(long, default_value = "moq-lite-06")]
    speak: Version,
}

/// Makes peers.
pub(crate) struct Dialer {
    relay: SocketAddr,
    version: Version,
    quic: quinn::ClientConfig,
    runtime: Runtime,
    /// Process id of the relay.
    pub(crate) pid: u32,
}

/// What a peer is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It only offers broadcasts.
    Publish,
    /// It only sees those of others.
    View,
    /// Both.
    Both,
}

/// One end of a connection: what it publishes and what it sees is in one origin.
pub(crate) struct Peer {
    /// Where it publishes, and where the broadcasts of others appear.
    pub(crate) origin: OriginProducer,
    connection: quinn::Connection,
    // Ends with the last handle.
    _session: Session,
}

impl Dialer {
    /// Prepares for one relay.
    pub(crate) fn new(target: &Target) -> anyhow::Result<Self> {
        let protocols = vec![wt::ALPN.as_bytes().to_vec()];
        let tls = pinned(&target.certificate, protocols)?;
        let tls: quinn::crypto::rustls::QuicClientConfig = tls.try_into()?;
        let mut quic = quinn::ClientConfig::new(Arc::new(tls));
        let mut transport = quinn::TransportConfig::default();
        transport
            .max_concurrent_uni_streams(MAX_STREAMS.into())
            .max_concurrent_bidi_streams(MAX_STREAMS.into());
        quic.transport_config(Arc::new(transport));
        Ok(Self {
            relay: target.relay,
            version: target.speak,
            quic,
            runtime: Runtime::new(TokioHost::default(), limits()),
            pid: target.pid,
        })
    }

    /// Connects a peer whose root is `path` (empty: the relay's own).
    pub(crate) async fn dial(&self, path: &str, part: Part) -> anyhow::Result<Peer> {
        let transport = timeout(PATIENCE, self.transport(path)).await??;
        let connection = (*transport).clone();
        self.start(transport, connection, part).await
    }

    /// Connects a publisher, and counts what the relay asks of it.
    pub(crate) async fn dial_counted(&self, path: &str) -> anyhow::Result<(Peer, Arc<Counted>)> {
        let transport = timeout(PATIENCE, self.transport(path)).await??;
        let connection = (*transport).clone();
        let (transport, counted) = Counted::new(transport, self.version);
        let peer = self.start(transport, connection, Part::Publish).await?;
        Ok((peer, counted))
    }

    /// Connects many peers, a few at a time.
    pub(crate) async fn dial_all(
        &self,
        paths: impl IntoIterator<Item = String>,
        part: Part,
    ) -> anyhow::Result<Vec<Peer>> {
        let dials = paths
            .into_iter()
            .map(|path| async move { self.dial(&path, part).await });
        stream::iter(dials).buffered(DIALS).try_collect().await
    }

    async fn transport(&self, path: &str) -> anyhow::Result<wt::Session> {
        let url: Url = format!("https://{}/{path}", self.relay).parse()?;
        let request = ConnectRequest::new(url).with_protocol(self.version.alpn());
        let local: SocketAddr = match self.relay {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        let endpoint = quinn::Endpoint::client(local)?;
        let client = wt::Client::new(endpoint, self.quic.clone());
        client.connect(request).await.context("cannot connect")
    }

    async fn start<T: web_transport_trait::Session>(
        &self,
        transport: T,
        connection: quinn::Connection,
        part: Part,
    ) -> anyhow::Result<Peer> {
        let origin = Origin::random(&self.runtime).produce(&self.runtime);
        let mut config = Config::new(self.runtime.clone()).with_versions([self.version]);
        if part != Part::View {
            config = config.with_publish(origin.consume());
        }
        if part != Part::Publish {
            config = config.with_subscribe(origin.clone());
        }
        let client = Client::new(config);
        let (session, driver) = timeout(PATIENCE, client.connect(transport)).await??;
        tokio::spawn(driver);
        timeout(PATIENCE, session.ready()).await??;
        Ok(Peer {
            origin,
            connection,
            _session: session,
        })
    }
}

impl Peer {
    /// Waits for a broadcast to be announced.
    pub(crate) async fn find(&self, path: &str) -> anyhow::Result<BroadcastConsumer> {
        let consumer = self.origin.consume();
        let path = Path::parse(path)?;
        let found = timeout(PATIENCE, consumer.announced_broadcast(&path)).await;
        let found = found.with_context(|| format!("{path} is not announced"))?;
        found.ok_or_else(|| anyhow!("nothing can be announced on {path}"))
    }

    /// UDP payload bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.connection.stats().udp_rx.bytes
    }
}

/// This process stands for many, so no limit may hit it before the relay's.
fn limits() -> Limits {
    let unlimited = Rate::new(1_000_000, 1_000_000);
    Limits {
        cache_bytes: 4 << 30,
        announces: 1 << 20,
        total_announces: 1 << 26,
        announce_rate: unlimited,
        lookup_rate: unlimited,
        group_rate: unlimited,
        reset_rate: unlimited,
        group_requests: 1 << 16,
        fetches: 1 << 16,
        total_fetches: 1 << 20,
        ..Limits::relay()
    }
}
