//! A session, as the core wants a transport to be.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use web_transport_quinn as wt;
use wt::proto::{Capsule, Frame, Http3CapsuleReader, StreamUni, VarInt};
use wt::quinn;

use super::accept::{self, Halves, Incoming, Uni};
use super::error::{End, SessionError};
use super::stream::{RecvStream, SendStream};
use super::{Control, GOODBYE, Request, code_to_http3};

/// The most bytes of a text in a close capsule.
const MAX_REASON: usize = 1024;

/// Clones are handles to one session; the connection is let go with the last one.
#[derive(Clone)]
pub(crate) struct Session(Arc<Inner>);

struct Inner {
    connection: quinn::Connection,
    /// The number of the stream that the session was asked for on: every other stream of the session names it.
    id: VarInt,
    protocol: Option<String>,
    end: End,
    /// Where the close capsule goes, which is sent once.
    connect: Mutex<Option<quinn::SendStream>>,
    uni: tokio::sync::Mutex<UniStreams>,
    bi: tokio::sync::Mutex<Incoming<Halves>>,
    _control: Control,
}

/// Unidirectional streams that come, and those of HTTP/3 among them, which are kept.
#[derive(Default)]
struct UniStreams {
    incoming: Incoming<Uni>,
    qpack: [Option<quinn::RecvStream>; 2],
}

impl Session {
    pub(super) fn new(request: Request, protocol: Option<String>) -> Self {
        let Request {
            connection,
            control,
            send,
            recv,
            ..
        } = request;
        let end = End::default();
        // What is said there goes before all media.
        let _over = send.set_priority(i32::MAX);
        tokio::spawn(listen(connection.clone(), recv, end.clone()));
        Self(Arc::new(Inner {
            id: number(quinn::VarInt::from(send.id()).into_inner()),
            connection,
            protocol,
            end,
            connect: Mutex::new(Some(send)),
            uni: tokio::sync::Mutex::default(),
            bi: tokio::sync::Mutex::default(),
            _control: control,
        }))
    }

    /// Begins a stream of the session.
    async fn begin(&self, send: &mut quinn::SendStream, kind: VarInt) -> Result<(), SessionError> {
        let mut head = BytesMut::new();
        kind.encode(&mut head);
        self.0.id.encode(&mut head);
        // Never behind the media of other streams.
        let _over = send.set_priority(i32::MAX);
        // A peer that does not want the stream says so to the first write of the opener, too.
        if let Err(quinn::WriteError::ConnectionLost(error)) = send.write_all(&head).await {
            return Err(self.0.end.cause(error));
        }
        let _over = send.set_priority(0);
        Ok(())
    }

    fn send_stream(&self, stream: quinn::SendStream) -> SendStream {
        SendStream::new(stream, self.0.end.clone())
    }

    fn recv_stream(&self, stream: quinn::RecvStream) -> RecvStream {
        RecvStream::new(stream, self.0.end.clone())
    }

    /// What names the session in a datagram.
    fn datagram_id(&self) -> VarInt {
        number(self.0.id.into_inner() / 4)
    }
}

/// A number of a stream, which is never too large.
fn number(value: u64) -> VarInt {
    VarInt::from_u64(value).unwrap_or(VarInt::MAX)
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.end.is_set() {
            self.connection.close(code_to_http3(0), b"");
        }
    }
}

/// Waits for the peer to end the session.
async fn listen(connection: quinn::Connection, recv: quinn::RecvStream, end: End) {
    let mut capsules = Http3CapsuleReader::new(recv);
    let said = loop {
        match capsules.read().await {
            Ok(Some(Capsule::CloseWebTransportSession { code, reason })) => {
                break SessionError::Closed(code, reason);
            }
            Ok(Some(_other)) => {}
            // The end of the stream is as good as a capsule that says nothing.
            Ok(None) => break SessionError::Closed(0, String::new()),
            // The connection may know more about it.
            Err(_) if connection.close_reason().is_some() => return,
            Err(_) => break SessionError::Abandoned,
        }
    };
    let code = match &said {
        SessionError::Closed(code, _) => *code,
        _ => 0,
    };
    if end.set(said) {
        connection.close(code_to_http3(code), b"");
    }
}

/// Says why the session ends, and lets go of the connection when the peer has taken note, or has had its time.
async fn goodbye(
    connection: quinn::Connection,
    mut send: quinn::SendStream,
    code: u32,
    text: String,
) {
    let told = async {
        let written = send.write_all(&capsule(code, text)).await;
        if written.is_ok() && send.finish().is_ok() {
            let error = connection.closed().await;
            tracing::debug!(%error, "the client has closed");
        }
    };
    if tokio::time::timeout(GOODBYE, told).await.is_err() {
        tracing::debug!("the client has not closed in time");
    }
    connection.close(code_to_http3(code), b"");
}

/// The bytes that close a session, as they are on the stream it was asked for on.
fn capsule(code: u32, mut reason: String) -> Bytes {
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    let mut capsule = BytesMut::new();
    Capsule::CloseWebTransportSession { code, reason }.encode(&mut capsule);
    let mut frame = BytesMut::new();
    Frame::DATA.encode(&mut frame);
    number(capsule.len() as u64).encode(&mut frame);
    frame.put(capsule);
    frame.freeze()
}

impl web_transport_trait::Session for Session {
    type SendStream = SendStream;
    type RecvStream = RecvStream;
    type Error = SessionError;

    async fn accept_uni(&self) -> Result<Self::RecvStream, Self::Error> {
        let mut uni = self.0.uni.lock().await;
        let UniStreams { incoming, qpack } = &mut *uni;
        loop {
            let next = incoming.next(
                || self.0.connection.accept_uni(),
                |stream| accept::uni(stream, self.0.id),
            );
            match next.await.map_err(|error| self.0.end.cause(error))? {
                Uni::Session(recv) => return Ok(self.recv_stream(recv)),
                // There is one of each; more are a mistake of the peer, and are refused.
                Uni::Qpack(recv) => {
                    if let Some(free) = qpack.iter_mut().find(|place| place.is_none()) {
                        *free = Some(recv);
                    }
                }
            }
        }
    }

    async fn accept_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        let mut incoming = self.0.bi.lock().await;
        let next = incoming.next(
            || self.0.connection.accept_bi(),
            |halves| accept::bi(halves, self.0.id),
        );
        let (send, recv) = next.await.map_err(|error| self.0.end.cause(error))?;
        Ok((self.send_stream(send), self.recv_stream(recv)))
    }

    async fn open_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        let opened = self.0.connection.open_bi().await;
        let (mut send, recv) = opened.map_err(|error| self.0.end.cause(error))?;
        self.begin(&mut send, Frame::WEBTRANSPORT.0).await?;
        Ok((self.send_stream(send), self.recv_stream(recv)))
    }

    async fn open_uni(&self) -> Result<Self::SendStream, Self::Error> {
        let opened = self.0.connection.open_uni().await;
        let mut send = opened.map_err(|error| self.0.end.cause(error))?;
        self.begin(&mut send, StreamUni::WEBTRANSPORT.0).await?;
        Ok(self.send_stream(send))
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), Self::Error> {
        let mut datagram = BytesMut::with_capacity(VarInt::MAX_SIZE + payload.len());
        self.datagram_id().encode(&mut datagram);
        datagram.put(payload);
        let sent = self.0.connection.send_datagram(datagram.freeze());
        sent.map_err(|error| match error {
            quinn::SendDatagramError::ConnectionLost(error) => self.0.end.cause(error),
            error => SessionError::Datagram(error),
        })
    }

    async fn recv_datagram(&self) -> Result<Bytes, Self::Error> {
        loop {
            let datagram = self.0.connection.read_datagram().await;
            let mut datagram = datagram.map_err(|error| self.0.end.cause(error))?;
            // One that is not of this session is lost, as any may be.
            if VarInt::decode(&mut datagram).is_ok_and(|id| id == self.datagram_id()) {
                return Ok(datagram);
            }
        }
    }

    fn max_datagram_size(&self) -> usize {
        let room = self.0.connection.max_datagram_size().unwrap_or_default();
        room.saturating_sub(self.datagram_id().size())
    }

    fn protocol(&self) -> Option<&str> {
        self.0.protocol.as_deref()
    }

    fn close(&self, code: u32, reason: &str) {
        if !self.0.end.set(SessionError::Local) {
            return;
        }
        let mut connect = self
            .0
            .connect
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connection = self.0.connection.clone();
        match (connect.take(), tokio::runtime::Handle::try_current()) {
            (Some(send), Ok(runtime)) => {
                let told = goodbye(connection, send, code, reason.to_owned());
                drop(runtime.spawn(told));
            }
            // The program is ending: there is nothing left to wait with.
            _ => connection.close(code_to_http3(code), b""),
        }
    }

    async fn closed(&self) -> Self::Error {
        let error = self.0.connection.closed().await;
        self.0.end.cause(error)
    }

    fn stats(&self) -> impl web_transport_trait::Stats {
        Stats {
            stats: self.0.connection.stats(),
            rtt: self.0.connection.rtt(),
        }
    }
}

/// Figures of the connection.
struct Stats {
    stats: quinn::ConnectionStats,
    rtt: Duration,
}

impl web_transport_trait::Stats for Stats {
    fn bytes_sent(&self) -> Option<u64> {
        Some(self.stats.udp_tx.bytes)
    }

    fn bytes_received(&self) -> Option<u64> {
        Some(self.stats.udp_rx.bytes)
    }

    fn bytes_lost(&self) -> Option<u64> {
        Some(self.stats.path.lost_bytes)
    }

    fn packets_sent(&self) -> Option<u64> {
        Some(self.stats.udp_tx.datagrams)
    }

    fn packets_received(&self) -> Option<u64> {
        Some(self.stats.udp_rx.datagrams)
    }

    fn packets_lost(&self) -> Option<u64> {
        Some(self.stats.path.lost_packets)
    }

    fn rtt(&self) -> Option<Duration> {
        Some(self.rtt)
    }

    /// What the congestion window lets through in a round trip, in bits per second.
    fn estimated_send_rate(&self) -> Option<u64> {
        let micros = u64::try_from(self.rtt.as_micros())
            .ok()
            .filter(|micros| *micros > 0)?;
        let bits = self.stats.path.cwnd.checked_mul(8)?;
        bits.checked_mul(1_000_000)?
            .checked_div(micros)
            .filter(|rate| *rate > 0)
    }
}
