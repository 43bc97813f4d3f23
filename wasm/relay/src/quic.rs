//! The UDP side: WebTransport over HTTP/3 and raw QUIC, told apart by ALPN.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use moq_net::Version;
use rustls::pki_types::CertificateDer;
use tracing::Instrument;
use web_transport_quinn as wt;
use wt::{http::StatusCode, proto::ConnectResponse, quinn};

use crate::admission::{Door, Full, Guest};
use crate::auth::{Access, Asked};
use crate::bounds::Bounds;
use crate::certificate::Certificate;
use crate::relay::{Carrier, Entry, Relay};
use crate::webtransport::{self, HandshakeError};

/// Failure to set up the UDP endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The certificate or key was refused.
    #[error("invalid certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("no certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS settings cannot be used for QUIC.
    #[error("TLS settings cannot serve QUIC: {0}")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    /// The address cannot be had.
    #[error("cannot listen on {0}: {1}")]
    Address(SocketAddr, std::io::Error),
    /// The socket cannot be used.
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
    let runtime = quinn::default_runtime()
        .ok_or_else(|| std::io::Error::other("no async runtime is running"))?;
    Ok(quinn::Endpoint::new(
        quinn::EndpointConfig::default(),
        Some(config(certificate, relay)?),
        socket,
        runtime,
    )?)
}

/// How connections are accepted from now on.
pub(crate) fn config(
    certificate: &Certificate,
    relay: &Relay,
) -> Result<quinn::ServerConfig, ListenError> {
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
    let bounds = relay.bounds();
    config
        .transport_config(Arc::new(transport(bounds)))
        .max_incoming(bounds.handshakes)
        .incoming_buffer_size_total(bounds.handshake_bytes as u64);
    Ok(config)
}

/// For a connection to another relay, which may open more streams than a client and is not waited for.
pub(crate) fn relay_transport(bounds: &Bounds) -> quinn::TransportConfig {
    let mut transport = transport(bounds);
    transport
        .max_concurrent_bidi_streams(number(bounds.peer_streams))
        .max_concurrent_uni_streams(number(bounds.peer_streams))
        .receive_window(number(bounds.recv_window));
    transport
}

/// What a connection has before its session is admitted.
fn transport(bounds: &Bounds) -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_idle_timeout(quinn::IdleTimeout::try_from(bounds.idle_timeout).ok())
        .keep_alive_interval(Some(bounds.keep_alive))
        .max_concurrent_bidi_streams(number(bounds.early_streams))
        .max_concurrent_uni_streams(number(bounds.early_streams))
        .stream_receive_window(number(bounds.stream_window))
        .receive_window(number(bounds.early_recv_window))
        .send_window(bounds.send_window as u64);
    transport
}

/// What it has from then on.
fn open(connection: &quinn::Connection, relay: &Relay, access: &Access) {
    let bounds = relay.bounds();
    let (bidi, uni) = match access.peer {
        Some(_) => (bounds.peer_streams, bounds.peer_streams),
        None => (bounds.bidi_streams, bounds.uni_streams),
    };
    connection.set_receive_window(number(match relay.budget().is_tight() {
        true => bounds.tight_recv_window,
        false => bounds.recv_window,
    }));
    connection.set_max_concurrent_bi_streams(number(lumps(bidi)));
    connection.set_max_concurrent_uni_streams(number(uni));
}

/// Credit for so many streams, whatever is held back: quinn gives none back before an eighth of all is free.
const fn lumps(streams: usize) -> usize {
    streams.saturating_add(streams.div_ceil(7))
}

/// A bound as the transport takes it; beyond what it can say there is none.
fn number(bound: usize) -> quinn::VarInt {
    quinn::VarInt::from_u64(bound as u64).unwrap_or(quinn::VarInt::MAX)
}

/// Accepts connections until the endpoint closes.
pub async fn accept(endpoint: quinn::Endpoint, relay: Arc<Relay>) {
    let bounds = relay.bounds();
    let door = Door::new(bounds.handshakes, bounds.address_handshakes);
    while let Some(incoming) = endpoint.accept().await {
        let Some((incoming, guest)) = greet(incoming, &relay, &door) else {
            continue;
        };
        let (relay, door) = (relay.clone(), door.clone());
        let peer = incoming.remote_address();
        let client = tracing::error_span!("client", %peer);
        let served = async move {
            match connection(incoming, guest, &door, &relay).await {
                Ok(()) => tracing::info!("session closed"),
                Err(error) => tracing::info!(%error, "session ended"),
            }
        };
        tokio::spawn(served.instrument(client));
    }
}

/// Decides whether a handshake may begin; otherwise it is answered with as little as possible.
fn greet(
    incoming: quinn::Incoming,
    relay: &Relay,
    door: &Door,
) -> Option<(quinn::Incoming, Guest)> {
    let proven = incoming.remote_address_validated();
    if relay.is_full() {
        incoming.refuse();
        return None;
    }
    if !proven && door.inside() >= relay.bounds().unproven_handshakes {
        // Costs nothing here, and a round trip there; who only claims its address does not come back.
        if let Err(refused) = incoming.retry() {
            refused.into_incoming().refuse();
        }
        return None;
    }
    // An address that is only claimed is not held against whoever has it.
    let address = incoming.remote_address().ip();
    match door.enter(proven.then_some(address)) {
        Ok(guest) => Some((incoming, guest)),
        Err(full) => {
            tracing::debug!(%address, %full, "handshake refused");
            incoming.refuse();
            None
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("handshake took too long")]
    Timeout,
    #[error("not let in: {0}")]
    Full(#[from] Full),
    #[error("QUIC handshake failed: {0}")]
    Quic(#[from] quinn::ConnectionError),
    #[error("WebTransport handshake failed: {0}")]
    WebTransport(#[from] HandshakeError),
    #[error(transparent)]
    Session(#[from] moq_net::Error),
}

async fn connection(
    incoming: quinn::Incoming,
    guest: Guest,
    door: &Door,
    relay: &Relay,
) -> Result<(), ConnectionError> {
    let limit = relay.bounds().handshake_timeout;
    let address = incoming.remote_address().ip();
    let proven = incoming.remote_address_validated();
    let admitted = tokio::time::timeout(limit, async {
        let connection = incoming.await?;
        // By now every address is proven.
        let guest = match proven {
            true => guest,
            false => door.enter(Some(address)).inspect_err(|full| {
                connection.close(BUSY.into(), full.to_string().as_bytes());
            })?,
        };
        let (transport, entry) = admit(connection.clone(), relay).await?;
        Ok::<_, ConnectionError>((connection, guest, transport, entry))
    });
    let (connection, guest, transport, entry) = admitted
        .await
        .map_err(|_elapsed| ConnectionError::Timeout)??;
    let admit = |access: &Access| {
        drop(guest);
        open(&connection, relay, access);
    };
    Ok(match transport {
        Transport::WebTransport(session) => {
            relay.serve_from(session, Carrier::Quic, entry, admit).await
        }
        Transport::Quic(session) => {
            relay
                .serve_from(*session, Carrier::Quic, entry, admit)
                .await
        }
    }?)
}

/// What a connection turned out to carry.
enum Transport {
    WebTransport(webtransport::Session),
    Quic(Box<wt::Session>),
}

/// The code of a connection that is one too many: as an HTTP status of 503 in the range of the application.
const BUSY: u32 = 64 + 503;

/// Completes the transport handshake, and decides where there is a request URI.
async fn admit(
    connection: quinn::Connection,
    relay: &Relay,
) -> Result<(Transport, Entry), ConnectionError> {
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
        return Ok((
            Transport::Quic(Box::new(session)),
            Entry::Setup { certificate },
        ));
    }

    let request = webtransport::Request::accept(connection).await?;
    let connect = request.connect();
    let url = &connect.url;
    let asked = Asked {
        path: url.path(),
        query: url.query().unwrap_or_default(),
        host: Some(url.authority()),
        certificate: certificate.as_ref(),
        ..Asked::default()
    };
    let decided = relay.authorize(&asked.with_headers(&connect.headers)).await;
    // The first entry of the client's list wins. With none in common the session still opens
    // without a sub-protocol and both ends fall back to the in-band version exchange.
    let known = Version::alpns(relay.versions());
    let chosen = connect
        .protocols
        .iter()
        .find(|offer| known.contains(&offer.as_str()))
        .cloned();
    let mut response = ConnectResponse::new(StatusCode::OK);
    if let Some(protocol) = chosen {
        response = response.with_protocol(protocol);
    }
    // A page learns nothing from a refused CONNECT, so the session opens, and closes with the code that says why.
    let session = request.respond(response).await?;
    Ok((Transport::WebTransport(session), Entry::Decided(decided)))
}
