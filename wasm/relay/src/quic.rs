//! The UDP side: WebTransport over HTTP/3 and raw QUIC, told apart by ALPN.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use moq_net::Version;
use rustls::pki_types::CertificateDer;
use web_transport_quinn as wt;
use wt::{http::StatusCode, proto::ConnectResponse, quinn};

use crate::auth::Asked;
use crate::certificate::Certificate;
use crate::host::HANDSHAKE_TIMEOUT;
use crate::relay::{Entry, Relay};

/// Published endpoints give up on a silent peer after 10 s and keep an idle one alive at a third of that.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// Streams one peer may have open at a time.
const MAX_BIDI: u32 = 1_024;
const MAX_UNI: u32 = 2_048;
/// The same for another relay.
const RELAY_STREAMS: u32 = 8_192;
/// What a peer may have sent that nobody has read: one stream, the whole connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// What may wait to be sent or acknowledged per connection.
const SEND_WINDOW: u64 = 8 << 20;

/// Failure to set up the UDP endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The certificate or key was refused.
    #[error("invalid certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// The TLS settings cannot be used for QUIC.
    #[error("TLS settings cannot serve QUIC: {0}")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    /// The socket could not be opened.
    #[error("cannot listen: {0}")]
    Io(#[from] std::io::Error),
}

/// Opens the QUIC endpoint on `socket`.
///
/// # Errors
/// See [`ListenError`].
pub fn endpoint(
    socket: UdpSocket,
    certificate: &Certificate,
    relay: &Relay,
) -> Result<quinn::Endpoint, ListenError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let tls = match relay.client_verifier() {
        Some(verifier) => tls.with_client_cert_verifier(verifier),
        None => tls.with_no_client_auth(),
    };
    let mut tls = tls.with_single_cert(certificate.chain.clone(), certificate.key.clone_key())?;
    tls.alpn_protocols = Version::alpns(relay.versions())
        .into_iter()
        .chain([wt::ALPN])
        .map(|alpn| alpn.as_bytes().to_vec())
        .collect();

    let tls: quinn::crypto::rustls::QuicServerConfig = tls.try_into()?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport()));
    let runtime = quinn::default_runtime()
        .ok_or_else(|| std::io::Error::other("no async runtime is running"))?;
    Ok(quinn::Endpoint::new(
        quinn::EndpointConfig::default(),
        Some(config),
        socket,
        runtime,
    )?)
}

/// For a connection to another relay, which may open more streams than a client.
pub(crate) fn relay_transport() -> quinn::TransportConfig {
    let mut transport = transport();
    transport
        .max_concurrent_bidi_streams(RELAY_STREAMS.into())
        .max_concurrent_uni_streams(RELAY_STREAMS.into());
    transport
}

fn transport() -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_idle_timeout(quinn::IdleTimeout::try_from(IDLE_TIMEOUT).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(MAX_BIDI.into())
        .max_concurrent_uni_streams(MAX_UNI.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(SEND_WINDOW);
    transport
}

/// Accepts connections until the endpoint closes.
pub async fn accept(endpoint: quinn::Endpoint, relay: Arc<Relay>) {
    while let Some(incoming) = endpoint.accept().await {
        let relay = relay.clone();
        tokio::spawn(async move {
            let peer = incoming.remote_address();
            match connection(incoming, &relay).await {
                Ok(()) => tracing::info!(%peer, "session closed"),
                Err(error) => tracing::info!(%peer, %error, "session ended"),
            }
        });
    }
}

#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("handshake took too long")]
    Timeout,
    #[error("QUIC handshake failed: {0}")]
    Quic(#[from] quinn::ConnectionError),
    #[error("WebTransport handshake failed: {0}")]
    WebTransport(#[from] wt::ServerError),
    #[error(transparent)]
    Session(#[from] moq_net::Error),
}

async fn connection(incoming: quinn::Incoming, relay: &Relay) -> Result<(), ConnectionError> {
    let (session, entry) = tokio::time::timeout(HANDSHAKE_TIMEOUT, admit(incoming, relay))
        .await
        .map_err(|_elapsed| ConnectionError::Timeout)??;
    Ok(relay.serve(session, entry).await?)
}

/// Completes the transport handshake, and decides where there is a request URI.
async fn admit(
    incoming: quinn::Incoming,
    relay: &Relay,
) -> Result<(wt::Session, Entry), ConnectionError> {
    let connection = incoming.await?;
    let alpn = connection
        .handshake_data()
        .and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok())
        .and_then(|data| data.protocol);
    let certificate = connection
        .peer_identity()
        .and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok())
        .and_then(|chain| chain.into_iter().next());
    if alpn.as_deref() != Some(wt::ALPN.as_bytes()) {
        let session = wt::Session::raw(connection);
        return Ok((session, Entry::Setup { certificate }));
    }

    let request = wt::Request::accept(connection).await?;
    let url = &request.url;
    let asked = Asked {
        path: url.path(),
        query: url.query().unwrap_or_default(),
        host: Some(url.authority()),
        certificate: certificate.as_ref(),
        ..Asked::default()
    };
    let decided = relay.authorize(&asked.with_headers(&request.headers)).await;
    // The first entry of the client's list wins. With none in common the session still opens
    // without a sub-protocol and both ends fall back to the in-band version exchange.
    let known = Version::alpns(relay.versions());
    let chosen = request
        .protocols
        .iter()
        .find(|offer| known.contains(&offer.as_str()))
        .cloned();
    let mut response = ConnectResponse::new(StatusCode::OK);
    if let Some(protocol) = chosen {
        response = response.with_protocol(protocol);
    }
    // A page learns nothing from a refused CONNECT, so the session opens, and closes with the code that says why.
    Ok((request.respond(response).await?, Entry::Decided(decided)))
}
