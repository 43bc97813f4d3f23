//! A relay with settings, keys and tokens for it, and clients for each transport.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser as _;
use moq_net::{
    Announced, BroadcastPublish, Client, Config, Error, Limits, Origin, OriginProducer, Path,
    Runtime, Session, Version,
};
use moq_worker_relay::auth::{Authority, Claims, Prefixes, SigningKey};
use moq_worker_relay::certificate::Certificate;
use moq_worker_relay::flags::Flags;
use moq_worker_relay::host::TokioHost;
use moq_worker_relay::relay::Relay;
use moq_worker_relay::server::Server;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use web_transport_quinn as wt;
use wt::{proto::ConnectRequest, quinn};

/// How long a step may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_elapsed| panic!("{what} takes too long"))
}

/// A directory of this test's own, gone with it.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("relay-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Writes a file, and gives its path as text.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn key(algorithm: &str, kid: &str) -> SigningKey {
    SigningKey::generate(algorithm, Some(kid.to_owned())).unwrap()
}

/// Seconds since 1970, `ahead` of now.
pub(crate) fn at(ahead: f64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs_f64() + ahead
}

/// Claims that are good for a minute.
pub(crate) fn claims(root: &str, put: &[&str], get: &[&str]) -> Claims {
    let list = |prefixes: &[&str]| Prefixes(prefixes.iter().map(|&p| p.to_owned()).collect());
    Claims {
        root: root.to_owned(),
        put: list(put),
        get: list(get),
        exp: Some(at(60.0)),
        ..Claims::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    WebTransport,
    Quic,
    WebSocket,
}

pub(crate) const BINDINGS: [Binding; 3] =
    [Binding::WebTransport, Binding::Quic, Binding::WebSocket];

/// A relay that serves until the test ends.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) relay: Arc<Relay>,
    pub(crate) certificate: CertificateDer<'static>,
    roots: Arc<rustls::RootCertStore>,
}

/// The chain and key of a client certificate.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The transport under a client.
#[derive(Clone)]
pub(crate) enum Wire {
    Quic(Box<wt::Session>),
    Mux(Box<qmux::Session>),
}

/// A connected client and the origin it shares with the relay.
pub(crate) struct Peer {
    pub(crate) origin: OriginProducer,
    pub(crate) session: Session,
    pub(crate) wire: Wire,
}

/// How a client is turned away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Denied {
    /// With a status, before there was a session.
    Status(u16),
    /// With the code the session was closed with.
    Session(Error),
}

impl Denied {
    /// What `status` looks like over `binding`.
    pub(crate) fn with(status: u16, binding: Binding) -> Self {
        match (binding, status) {
            (Binding::WebSocket, _) => Self::Status(status),
            (_, 401 | 403) => Self::Session(Error::Unauthorized),
            _ => Self::Session(Error::App(status)),
        }
    }
}

/// Starts a relay as `arguments` of its command line say.
pub(crate) async fn start(arguments: &[&str]) -> Running {
    let flags = Flags::try_parse_from(["relay"].iter().chain(arguments)).unwrap();
    let bind: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let authority = Authority::new(&flags.auth, bind, &flags.listen.names).await;
    let relay = Relay::with_authority(
        Limits::relay(),
        Version::DEFAULT.to_vec(),
        authority.unwrap(),
    );
    let certificate = Certificate::self_signed(&["localhost".into()]).unwrap();
    let server = Server::bind(bind, &certificate, relay.clone()).unwrap();
    let address = server.address();
    tokio::spawn(server.run(std::future::pending()));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.chain[0].clone()).unwrap();
    Running {
        address,
        relay,
        certificate: certificate.chain[0].clone(),
        roots: Arc::new(roots),
    }
}

/// How to dial, besides where.
#[derive(Default)]
pub(crate) struct Dial<'a> {
    pub(crate) version: Option<Version>,
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) page: Option<&'a str>,
}

impl Running {
    /// Dials `target` (path and query) on 06, and waits until the relay has answered.
    pub(crate) async fn dial(&self, binding: Binding, target: &str) -> Result<Peer, Denied> {
        self.dial_as(binding, target, Dial::default()).await
    }

    pub(crate) async fn dial_as(
        &self,
        binding: Binding,
        target: &str,
        dial: Dial<'_>,
    ) -> Result<Peer, Denied> {
        let version = dial.version.unwrap_or(Version::Lite06);
        let runtime = Runtime::new(TokioHost::default(), Limits::default());
        let origin = Origin::random(&runtime).produce(&runtime);
        let mut config = Config::new(runtime)
            .with_versions([version])
            .with_publish(origin.consume())
            .with_subscribe(origin.clone());
        let wire = match binding {
            Binding::WebTransport => {
                let session =
                    soon("WebTransport", self.web_transport(target, version, &dial)).await;
                Wire::Quic(Box::new(session))
            }
            Binding::Quic => {
                config.path = Some(target.to_owned());
                let tls = self.tls(&[version.alpn()], dial.identity);
                let connection = soon("QUIC", self.connect(tls)).await;
                Wire::Quic(Box::new(wt::Session::raw(connection.unwrap())))
            }
            Binding::WebSocket => {
                let url = format!("ws://{}{target}", self.address);
                let client = qmux::ws::Client::new()
                    .with_protocol(version.alpn(), &[qmux::Version::QMux01])
                    .require_protocol();
                match soon("WebSocket", client.connect(&url)).await {
                    Ok(session) => Wire::Mux(Box::new(session)),
                    Err(_refused) => {
                        let status = self.upgrade(target, &[]).await;
                        return Err(Denied::Status(status));
                    }
                }
            }
        };
        let session = match wire.clone() {
            Wire::Quic(transport) => establish(config, *transport).await?,
            Wire::Mux(transport) => establish(config, *transport).await?,
        };
        soon("the answer", session.ready())
            .await
            .map_err(Denied::Session)?;
        Ok(Peer {
            origin,
            session,
            wire,
        })
    }

    async fn web_transport(&self, target: &str, version: Version, dial: &Dial<'_>) -> wt::Session {
        let url = format!("https://localhost:{}{target}", self.address.port());
        let mut request =
            ConnectRequest::new(url.parse::<url::Url>().unwrap()).with_protocol(version.alpn());
        if let Some(page) = dial.page {
            let page = page.parse().unwrap();
            request = request.with_header(axum::http::header::ORIGIN, page);
        }
        let tls = self.tls(&[wt::ALPN], dial.identity);
        let connection = self.connect(tls).await.unwrap();
        wt::Session::connect(connection, request).await.unwrap()
    }

    pub(crate) async fn connect(
        &self,
        tls: rustls::ClientConfig,
    ) -> Result<quinn::Connection, quinn::ConnectionError> {
        let tls: quinn::crypto::rustls::QuicClientConfig = tls.try_into().unwrap();
        let config = quinn::ClientConfig::new(Arc::new(tls));
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = endpoint.connect_with(config, self.address, "localhost");
        connecting.unwrap().await
    }

    pub(crate) fn tls(&self, alpns: &[&str], identity: Option<&Identity>) -> rustls::ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut tls = match identity {
            Some((chain, key)) => tls
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .unwrap(),
            None => tls.with_no_client_auth(),
        };
        tls.alpn_protocols = alpns.iter().map(|alpn| alpn.as_bytes().to_vec()).collect();
        tls
    }

    /// Status and body of a GET with these headers (`Name: value`).
    pub(crate) async fn get(&self, target: &str, headers: &[&str]) -> (u16, String) {
        let answer = self.exchange(target, headers).await;
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("a status"), body.to_owned())
    }

    /// The status of a WebSocket upgrade.
    pub(crate) async fn upgrade(&self, target: &str, headers: &[&str]) -> u16 {
        let socket = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol: qmux-01.moq-lite-06",
        ];
        self.get(target, &[&socket, headers].concat()).await.0
    }

    /// One request, and what came until the head was whole and, without an upgrade, the connection closed.
    async fn exchange(&self, target: &str, headers: &[&str]) -> String {
        let mut socket = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let mut request = format!("GET {target} HTTP/1.1\r\n");
        if !headers.iter().any(|line| line.starts_with("Host:")) {
            request.push_str("Host: localhost\r\n");
        }
        if !headers.iter().any(|line| line.starts_with("Connection:")) {
            request.push_str("Connection: close\r\n");
        }
        for line in headers {
            request.push_str(line);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = async {
            while socket.read_buf(&mut bytes).await.unwrap() > 0 {
                let upgraded = bytes.starts_with(b"HTTP/1.1 101");
                // Answers of an upgrade keep the connection; one header line is all there is to them.
                let refused = headers.iter().any(|line| line.starts_with("Upgrade:"));
                if (upgraded || refused) && bytes.windows(4).any(|end| end == b"\r\n\r\n") {
                    break;
                }
            }
        };
        soon("the answer", read).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

async fn establish<T: web_transport_trait::Session>(
    config: Config,
    transport: T,
) -> Result<Session, Denied> {
    let client = Client::new(config);
    let connected = soon("the handshake", client.connect(transport)).await;
    let (session, driver) = connected.map_err(Denied::Session)?;
    tokio::spawn(driver);
    Ok(session)
}

impl Peer {
    /// Announces `path`; withdrawn with what is returned.
    pub(crate) fn publish(&self, path: &str) -> BroadcastPublish {
        let path = Path::parse(path).unwrap();
        self.origin.create_broadcast(&path).unwrap()
    }

    /// Reads announcements until all of `paths` were there, and gives everything that was, sorted.
    pub(crate) async fn sees(&self, paths: &[&str]) -> Vec<String> {
        let consumer = self.origin.consume();
        let mut cursor = consumer.announced();
        let mut seen = Vec::new();
        while !paths.iter().all(|path| seen.iter().any(|s| s == path)) {
            let (path, event) = soon("an announcement", cursor.next()).await.unwrap();
            if !matches!(event, Announced::Ended) {
                seen.push(path.as_str().to_owned());
            }
        }
        while let Some((path, event)) = cursor.try_next() {
            if !matches!(event, Announced::Ended) {
                seen.push(path.as_str().to_owned());
            }
        }
        seen.sort();
        seen.dedup();
        seen
    }
}
