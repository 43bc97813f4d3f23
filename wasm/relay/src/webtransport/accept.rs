//! Streams that the client opens: each begins with what it is for.

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use web_transport_quinn as wt;
use wt::proto::{Frame, StreamUni, VarInt};
use wt::quinn;

/// Streams whose first bytes are still on their way, as many as the client has credit for. One that is slow holds up no other.
pub(super) struct Incoming<S> {
    headers: FuturesUnordered<BoxFuture<'static, Option<S>>>,
}

impl<S> Default for Incoming<S> {
    fn default() -> Self {
        Self {
            headers: FuturesUnordered::new(),
        }
    }
}

impl<S> Incoming<S> {
    /// The next stream of the session; `open` waits for the next stream of the connection, and `header` reads what it is for.
    pub(super) async fn next<Q, O, H>(
        &mut self,
        open: impl Fn() -> O,
        header: impl Fn(Q) -> H,
    ) -> Result<S, quinn::ConnectionError>
    where
        O: Future<Output = Result<Q, quinn::ConnectionError>>,
        H: Future<Output = Option<S>> + Send + 'static,
    {
        loop {
            tokio::select! {
                stream = open() => self.headers.push(Box::pin(header(stream?))),
                Some(header) = self.headers.next() => if let Some(stream) = header {
                    return Ok(stream);
                },
            }
        }
    }
}

/// What a unidirectional stream is.
pub(super) enum Uni {
    /// One of the session.
    Session(quinn::RecvStream),
    /// One that HTTP/3 compresses headers with: empty, as our SETTINGS allow no table, and open to the end.
    Qpack(quinn::RecvStream),
}

/// Reads the head of a unidirectional stream. A stream of another session, or of an unknown type, is refused by dropping it.
pub(super) async fn uni(mut recv: quinn::RecvStream, session: VarInt) -> Option<Uni> {
    let kind = StreamUni(varint(&mut recv).await?);
    if kind == StreamUni::QPACK_ENCODER || kind == StreamUni::QPACK_DECODER {
        return Some(Uni::Qpack(recv));
    }
    let ours = kind == StreamUni::WEBTRANSPORT && varint(&mut recv).await? == session;
    ours.then_some(Uni::Session(recv))
}

/// Both halves of a stream.
pub(super) type Halves = (quinn::SendStream, quinn::RecvStream);

/// As [`uni`], of a bidirectional stream.
pub(super) async fn bi((send, mut recv): Halves, session: VarInt) -> Option<Halves> {
    let kind = Frame(varint(&mut recv).await?);
    let ours = kind == Frame::WEBTRANSPORT && varint(&mut recv).await? == session;
    ours.then_some((send, recv))
}

/// A number at the head of a stream; `None` when the stream ends or breaks first, which an honest peer may do.
async fn varint(recv: &mut quinn::RecvStream) -> Option<VarInt> {
    let mut bytes = [0; 8];
    recv.read_exact(&mut bytes[..1]).await.ok()?;
    // The first two bits say how many bytes there are.
    let size = 1 << (bytes[0] >> 6);
    recv.read_exact(&mut bytes[1..size]).await.ok()?;
    VarInt::decode(&mut &bytes[..size]).ok()
}
