//! From an address to a connected transport.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use moq_net::{Client, Config, Driver, Session, Version};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::{HeaderValue, header};
use url::Url;
use web_transport_quinn as wt;
use wt::{proto::ConnectRequest, quinn};

use super::tls::{self, Identity, TlsError, Trust};
use super::{DialFlags, race, shown};
use crate::bounds::Bounds;
use crate::{quic, web};

/// Why another relay was not reached. Holds neither tokens nor queries.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// It did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The name or the socket.
    #[error("not reachable: {0}")]
    Io(#[from] std::io::Error),
    /// The name has no address.
    #[error("{0} has no address")]
    Name(String),
    /// QUIC refused to begin.
    #[error("QUIC: {0}")]
    Connect(#[from] quinn::ConnectError),
    /// QUIC failed.
    #[error("QUIC: {0}")]
    Quic(#[from] quinn::ConnectionError),
    /// The TLS settings do not serve QUIC.
    #[error("TLS settings cannot serve QUIC: {0}")]
    Cipher(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    /// WebTransport failed.
    #[error("WebTransport: {0}")]
    WebTransport(#[from] wt::ClientError),
    /// The WebSocket handshake failed.
    #[error("WebSocket: {0}")]
    WebSocket(Box<tungstenite::Error>),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The fingerprint of a development relay could not be had.
    #[error("its fingerprint cannot be had: {0}")]
    Fingerprint(String),
    /// The token file could not be read.
    #[error("the token in {0} cannot be read: {1}")]
    Token(PathBuf, std::io::Error),
    /// The session did not come about.
    #[error(transparent)]
    Session(#[from] moq_net::Error),
}

impl From<tungstenite::Error> for DialError {
    fn from(error: tungstenite::Error) -> Self {
        Self::WebSocket(Box::new(error))
    }
}

/// More than any way to write a SHA-256 needs.
const MAX_FINGERPRINT: usize = 256;

/// Makes connections to other relays.
pub struct Dialer {
    trust: Trust,
    identity: Option<Identity>,
    token: Option<PathBuf>,
    http: reqwest::Client,
    bounds: Bounds,
    /// Those with a connection, and maybe some whose connection is over.
    endpoints: Mutex<Vec<quinn::Endpoint>>,
}

impl Dialer {
    /// A dialer with the certificates and the token of these flags.
    ///
    /// # Errors
    /// A file they name cannot be used.
    pub fn new(flags: &DialFlags) -> Result<Self, TlsError> {
        crate::tls::install();
        // What vouches for a certificate is the machine in the address itself.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Ok(Self {
            trust: Trust::new(flags)?,
            identity: Identity::new(flags)?,
            token: flags.dial_token.clone(),
            http: http.map_err(|error| TlsError::Client(error.to_string()))?,
            bounds: Bounds::default(),
            endpoints: Mutex::default(),
        })
    }

    /// Connects to a relay and starts a session of this kind, with the configured token unless the address holds one. It is
    /// not known yet whether the relay takes it: see [`Session::ready`].
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(&self, url: &Url, config: Config) -> Result<(Session, Driver), DialError> {
        self.in_time(async { self.connect(self.with_token(url).await?, config).await })
            .await
    }

    /// As [`dial`](Self::dial), to somebody our token is not for.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial_without_token(
        &self,
        url: &Url,
        config: Config,
    ) -> Result<(Session, Driver), DialError> {
        self.in_time(self.connect(url.clone(), config)).await
    }

    async fn in_time<T>(
        &self,
        dialing: impl Future<Output = Result<T, DialError>>,
    ) -> Result<T, DialError> {
        tokio::time::timeout(self.bounds.handshake_timeout, dialing)
            .await
            .map_err(|_elapsed| DialError::Timeout)?
    }

    async fn connect(&self, mut url: Url, config: Config) -> Result<(Session, Driver), DialError> {
        url.set_fragment(None);
        match url.scheme() {
            "https" => self.web_transport(&url, &self.trust, config).await,
            "http" => {
                let trust = self.development(&url).await?;
                // Between two special schemes this works.
                let _ = url.set_scheme("https");
                if url.port().is_none() {
                    let _ = url.set_port(Some(80));
                }
                self.web_transport(&url, &trust, config).await
            }
            "ws" | "wss" => self.web_socket(&url, config).await,
            _ => self.quic(&url, config).await,
        }
    }

    /// Adds the configured token to an address that has none.
    async fn with_token(&self, url: &Url) -> Result<Url, DialError> {
        let mut url = url.clone();
        let has_token = url.query_pairs().any(|(name, _)| name == "jwt");
        if let Some(file) = self.token.as_ref().filter(|_| !has_token) {
            let token = tokio::fs::read_to_string(file)
                .await
                .map_err(|error| DialError::Token(file.clone(), error))?;
            url.query_pairs_mut().append_pair("jwt", token.trim());
        }
        Ok(url)
    }

    /// Trust in a development relay: in what it says over plain HTTP, unless something better is configured.
    async fn development(&self, url: &Url) -> Result<Trust, DialError> {
        if !matches!(self.trust, Trust::Roots(_)) {
            return Ok(self.trust.clone());
        }
        let mut fingerprint = url.clone();
        fingerprint.set_path("/certificate.sha256");
        fingerprint.set_query(None);
        let wrong = |error: reqwest::Error| DialError::Fingerprint(crate::log::cause(&error));
        let answer = self.http.get(fingerprint).send().await.map_err(wrong)?;
        if answer.status() != reqwest::StatusCode::OK {
            let text = format!("it answers {}", answer.status());
            return Err(DialError::Fingerprint(text));
        }
        let mut answer = answer;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(wrong)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_FINGERPRINT {
                return Err(DialError::Fingerprint("the answer is too long".into()));
            }
        }
        let sum = tls::fingerprint(&String::from_utf8_lossy(&bytes))?;
        Ok(Trust::Fingerprints(vec![sum]))
    }

    fn quic_config(
        &self,
        trust: &Trust,
        protocols: Vec<Vec<u8>>,
    ) -> Result<quinn::ClientConfig, DialError> {
        let tls = tls::client(trust, self.identity.as_ref(), protocols)?;
        let tls: quinn::crypto::rustls::QuicClientConfig = tls.try_into()?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(quic::relay_transport(&self.bounds)));
        Ok(config)
    }

    /// A QUIC connection to whichever address of the host answers.
    async fn connection(
        &self,
        url: &Url,
        settings: quinn::ClientConfig,
    ) -> Result<quinn::Connection, DialError> {
        let host = host(url);
        let connect = |remote| {
            let (settings, host) = (settings.clone(), &host);
            async move {
                let endpoint = endpoint(remote)?;
                let connecting = endpoint.connect_with(settings, remote, host)?;
                Ok::<_, DialError>((connecting.await?, endpoint))
            }
        };
        let (connection, endpoint) = race::first(resolve(url).await?, connect).await?;
        let mut endpoints = self.endpoints();
        endpoints.retain(|endpoint| endpoint.open_connections() > 0);
        endpoints.push(endpoint);
        Ok(connection)
    }

    fn endpoints(&self) -> MutexGuard<'_, Vec<quinn::Endpoint>> {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the other side of every connection that was given up has been told so. Otherwise it takes it for silent, and
    /// keeps what it announced until it loses patience.
    pub(crate) async fn idle(&self) {
        let endpoints = self.endpoints().clone();
        join_all(endpoints.iter().map(quinn::Endpoint::wait_idle)).await;
    }

    async fn web_transport(
        &self,
        url: &Url,
        trust: &Trust,
        config: Config,
    ) -> Result<(Session, Driver), DialError> {
        let settings = self.quic_config(trust, vec![wt::ALPN.as_bytes().to_vec()])?;
        let client = Client::new(config);
        let protocols = client.protocols().into_iter().map(str::to_owned);
        let request = ConnectRequest::new(url.clone()).with_protocols(protocols);
        let session = wt::Session::connect(self.connection(url, settings).await?, request).await?;
        Ok(client.connect(session).await?)
    }

    async fn quic(&self, url: &Url, config: Config) -> Result<(Session, Driver), DialError> {
        let alpns = Version::alpns(&config.versions);
        let alpns = alpns.into_iter().map(|alpn| alpn.as_bytes().to_vec());
        let settings = self.quic_config(&self.trust, alpns.collect())?;
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        // Nothing but the root needs no saying.
        let target = Some(target).filter(|target| target != "/" && !target.is_empty());
        let config = Config {
            path: target,
            ..config
        };
        let session = wt::Session::raw(self.connection(url, settings).await?);
        Ok(Client::new(config).connect(session).await?)
    }

    async fn web_socket(&self, url: &Url, config: Config) -> Result<(Session, Driver), DialError> {
        let mut request = url.as_str().into_client_request()?;
        let offers = web::framed(&config.versions).collect::<Vec<_>>().join(", ");
        if let Ok(offers) = HeaderValue::from_str(&offers) {
            request
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_PROTOCOL, offers);
        }
        let socket = race::first(resolve(url).await?, TcpStream::connect).await?;
        socket.set_nodelay(true)?;
        if url.scheme() == "ws" {
            return upgrade(request, socket, config).await;
        }
        let settings = tls::client(&self.trust, self.identity.as_ref(), Vec::new())?;
        let name = rustls::pki_types::ServerName::try_from(host(url))
            .map_err(|_invalid| DialError::Name(host(url)))?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(settings));
        upgrade(request, connector.connect(name, socket).await?, config).await
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}

async fn upgrade<S>(
    request: tungstenite::handshake::client::Request,
    socket: S,
    config: Config,
) -> Result<(Session, Driver), DialError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let bounds = Bounds::default();
    let limits = Some(web::websocket_limits(&bounds));
    let (socket, response) =
        tokio_tungstenite::client_async_with_config(request, socket, limits).await?;
    let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    let chosen = chosen.and_then(|chosen| chosen.to_str().ok());
    let transport = web::upgraded(socket, chosen, &bounds, bounds.recv_window).connect();
    Ok(Client::new(config).connect(transport).await?)
}

/// The host without the brackets of an IPv6 address.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.trim_matches(['[', ']']).to_owned()
}

/// All addresses of the host, the preferred one first; at least one.
async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, DialError> {
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::net::lookup_host((host(url), port)).await?;
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => Err(DialError::Name(shown(url))),
        false => Ok(found),
    }
}

/// A socket of its own for each connection: relays have few, and one that is stuck holds up no other.
fn endpoint(remote: SocketAddr) -> std::io::Result<quinn::Endpoint> {
    let any = match remote {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    };
    quinn::Endpoint::client(any.parse().map_err(std::io::Error::other)?)
}
