//! WebTransport over HTTP/3, the server's end: one session on each QUIC connection.
//!
//! The library that dials other relays has a server too, but that one lets go of the connection 100 ms after its close
//! capsule. A browser that is busy has not read the capsule by then, and the page hears of a lost connection instead of the
//! reason. Here the peer has [`GOODBYE`] to read it.

mod accept;
mod error;
mod session;
mod stream;

use std::time::Duration;

use web_transport_quinn as wt;
use wt::proto::{self, ConnectRequest, ConnectResponse};
use wt::quinn;

pub(crate) use error::HandshakeError;
pub(crate) use session::Session;

/// How long a peer may take to close the connection once it was told why the session ends.
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);

/// The streams of HTTP/3 itself. The connection must not outlive them, so they are kept as long as it.
struct Control {
    _send: quinn::SendStream,
    _recv: quinn::RecvStream,
}

/// A CONNECT request that waits for its answer.
pub(crate) struct Request {
    connection: quinn::Connection,
    control: Control,
    connect: ConnectRequest,
    send: quinn::SendStream,
    recv: quinn::RecvStream,
}

impl Request {
    /// Exchanges SETTINGS on a new connection, and waits for its first request.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub(crate) async fn accept(connection: quinn::Connection) -> Result<Self, HandshakeError> {
        let (send, recv) = tokio::try_join!(tell(&connection), hear(&connection))?;
        let control = Control {
            _send: send,
            _recv: recv,
        };
        let (send, mut recv) = connection.accept_bi().await?;
        let connect = ConnectRequest::read(&mut recv).await?;
        tracing::debug!(?connect, "asked for a session");
        Ok(Self {
            connection,
            control,
            connect,
            send,
            recv,
        })
    }

    /// What the client asks for.
    pub(crate) const fn connect(&self) -> &ConnectRequest {
        &self.connect
    }

    /// Opens the session.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub(crate) async fn respond(
        mut self,
        response: ConnectResponse,
    ) -> Result<Session, HandshakeError> {
        response.write(&mut self.send).await?;
        Ok(Session::new(self, response.protocol))
    }
}

/// Sends our SETTINGS, on a stream that stays open.
async fn tell(connection: &quinn::Connection) -> Result<quinn::SendStream, HandshakeError> {
    let mut settings = proto::Settings::default();
    settings.enable_webtransport(1);
    let mut send = connection.open_uni().await?;
    settings.write(&mut send).await?;
    Ok(send)
}

/// Reads the SETTINGS of the client.
async fn hear(connection: &quinn::Connection) -> Result<quinn::RecvStream, HandshakeError> {
    let mut recv = connection.accept_uni().await?;
    let settings = proto::Settings::read(&mut recv).await?;
    match settings.supports_webtransport() {
        0 => Err(HandshakeError::Unsupported),
        _ => Ok(recv),
    }
}

/// A code of WebTransport, of a stream or a session, in the numbers of HTTP/3.
fn code_to_http3(code: u32) -> quinn::VarInt {
    quinn::VarInt::from_u64(proto::error_to_http3(code)).unwrap_or(quinn::VarInt::MAX)
}
