//! A WebTransport session that lives in memory: two ends of one connection, without delay or loss.
//!
//! Bytes travel by reference. Windows, stream limits, resets, stops, closes and datagrams behave like QUIC's, so a test
//! can drive one end by hand and see exactly what the other end put on the wire.

mod stream;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use web_transport_trait as wt;

use stream::{Pipe, Stream};
pub use stream::{Recv, Send};

/// How the connection behaves. The defaults never get in the way of a test.
#[derive(Clone, Debug)]
pub struct Options {
    /// The application protocol both ends report.
    pub protocol: Option<String>,
    /// Bytes a stream holds before its writer has to wait.
    pub window: usize,
    /// Bidirectional streams that one end may have open at a time.
    pub max_bidi: usize,
    /// Unidirectional streams that one end may have open at a time.
    pub max_uni: usize,
    /// The largest datagram; 0 = no datagrams.
    pub max_datagram: usize,
    /// The round trip time the statistics report.
    pub rtt: Option<Duration>,
    /// The send rate the statistics report, in bits per second.
    pub rate: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocol: None,
            window: 1 << 20,
            max_bidi: 1024,
            max_uni: 2048,
            max_datagram: 1200,
            rtt: None,
            rate: None,
        }
    }
}

impl Options {
    /// The defaults with `protocol` as the application protocol.
    pub fn protocol(protocol: &str) -> Self {
        Self {
            protocol: Some(protocol.to_owned()),
            ..Self::default()
        }
    }
}

/// The two ends of a new connection: client, server.
pub fn pair(options: Options) -> (Transport, Transport) {
    let shared = Arc::new(Shared {
        options: options.clone(),
        state: Mutex::default(),
    });
    let end = |side: usize| Transport {
        end: Arc::new(End {
            shared: shared.clone(),
            side,
        }),
        protocol: options.protocol.clone(),
    };
    (end(0), end(1))
}

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The peer closed the session.
    #[error("closed by the peer with {code:#x}: {reason}")]
    Closed { code: u32, reason: String },
    /// This end closed the session.
    #[error("closed locally")]
    Local,
    /// The connection is gone without a word.
    #[error("connection lost")]
    Lost,
    /// The stream was reset by its writer.
    #[error("reset with {0:#x}")]
    Reset(u32),
    /// The stream was stopped by its reader.
    #[error("stopped with {0:#x}")]
    Stopped(u32),
    /// The stream was already finished or reset by this end.
    #[error("stream is over")]
    Over,
    /// Larger than the connection's datagram size.
    #[error("datagram too large")]
    Datagram,
}

impl wt::Error for Error {
    fn session_error(&self) -> Option<(u32, String)> {
        match self {
            Self::Closed { code, reason } => Some((*code, reason.clone())),
            _ => None,
        }
    }

    fn stream_error(&self) -> Option<u32> {
        match self {
            Self::Reset(code) | Self::Stopped(code) => Some(*code),
            _ => None,
        }
    }
}

pub(super) struct Shared {
    options: Options,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    close: Option<Close>,
    sides: [Side; 2],
    /// Woken when the connection ends.
    closed: Wakers,
    /// Every stream that is not over yet, to be woken when the connection ends.
    streams: Vec<std::sync::Weak<Stream>>,
}

/// What has arrived at, or is limited for, one end.
#[derive(Default)]
struct Side {
    bidi: VecDeque<(Send, Recv)>,
    uni: VecDeque<Recv>,
    datagrams: VecDeque<Bytes>,
    arrived: Wakers,
    /// Streams this end has open: bidirectional, unidirectional.
    open: [usize; 2],
    /// Streams this end ever opened: bidirectional, unidirectional.
    opened: [u64; 2],
    may_open: Wakers,
}

#[derive(Clone)]
enum Close {
    By {
        side: usize,
        code: u32,
        reason: String,
    },
    Lost,
}

impl Close {
    fn seen_by(&self, viewer: usize) -> Error {
        match self {
            Self::By { side, .. } if *side == viewer => Error::Local,
            Self::By { code, reason, .. } => Error::Closed {
                code: *code,
                reason: reason.clone(),
            },
            Self::Lost => Error::Lost,
        }
    }
}

/// Wakers of everybody who waits for one event.
#[derive(Default)]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(super) fn register(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    pub(super) fn wake(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no test panics while it holds the connection")
    }

    /// Why the connection is over, as `side` sees it.
    pub(super) fn over(&self, side: usize) -> Option<Error> {
        self.lock().close.as_ref().map(|close| close.seen_by(side))
    }

    fn close(&self, close: Close) {
        let (streams, queued) = {
            let mut state = self.lock();
            if state.close.is_some() {
                return;
            }
            state.close = Some(close);
            state.closed.wake();
            let mut queued = Vec::new();
            for side in &mut state.sides {
                side.arrived.wake();
                side.may_open.wake();
                side.datagrams.clear();
                queued.push((
                    std::mem::take(&mut side.bidi),
                    std::mem::take(&mut side.uni),
                ));
            }
            (std::mem::take(&mut state.streams), queued)
        };
        for stream in streams.into_iter().filter_map(|stream| stream.upgrade()) {
            stream.wake();
        }
        // Streams nobody accepted lock the connection when they go.
        drop(queued);
    }

    /// Gives the credit of one stream back to the end that opened it.
    pub(super) fn release(&self, opener: usize, kind: usize) {
        let mut state = self.lock();
        let side = &mut state.sides[opener];
        side.open[kind] -= 1;
        side.may_open.wake();
    }
}

struct End {
    shared: Arc<Shared>,
    side: usize,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.close(Close::By {
            side: self.side,
            code: 0,
            reason: String::new(),
        });
    }
}

/// One end of the connection. Dropping its last clone closes it with code 0.
#[derive(Clone)]
pub struct Transport {
    end: Arc<End>,
    protocol: Option<String>,
}

const BIDI: usize = 0;
const UNI: usize = 1;

impl Transport {
    fn shared(&self) -> &Arc<Shared> {
        &self.end.shared
    }

    fn side(&self) -> usize {
        self.end.side
    }

    /// Cuts the connection: both ends see it lost.
    pub fn kill(&self) {
        self.shared().close(Close::Lost);
    }

    /// How many streams this end ever opened: bidirectional, unidirectional.
    pub fn opened(&self) -> (u64, u64) {
        let opened = self.shared().lock().sides[self.side()].opened;
        (opened[BIDI], opened[UNI])
    }

    /// How many streams this end has open now: bidirectional, unidirectional.
    pub fn open(&self) -> (usize, usize) {
        let open = self.shared().lock().sides[self.side()].open;
        (open[BIDI], open[UNI])
    }

    /// How the connection was closed, as this end sees it.
    pub fn close_reason(&self) -> Option<Error> {
        self.shared().over(self.side())
    }

    /// Waits until `ready` finds something in the state of this end, or the connection is over.
    async fn wait<T>(
        &self,
        mut ready: impl FnMut(&mut State, &Context<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        poll_fn(|cx| {
            let mut state = self.shared().lock();
            if let Some(close) = &state.close {
                return Poll::Ready(Err(close.seen_by(self.side())));
            }
            match ready(&mut state, cx) {
                Some(value) => Poll::Ready(Ok(value)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Waits for credit and opens a stream of `kind`.
    async fn open_stream(&self, kind: usize) -> Result<Arc<Stream>, Error> {
        let side = self.side();
        let options = &self.shared().options;
        let limit = if kind == BIDI {
            options.max_bidi
        } else {
            options.max_uni
        };
        self.wait(|state, cx| {
            if state.sides[side].open[kind] >= limit {
                state.sides[side].may_open.register(cx);
                return None;
            }
            state.sides[side].open[kind] += 1;
            state.sides[side].opened[kind] += 1;
            let stream = Stream::new(self.shared().clone(), side, kind, options.window);
            state.streams.retain(|stream| stream.strong_count() > 0);
            state.streams.push(Arc::downgrade(&stream));
            Some(stream)
        })
        .await
    }

    /// Hands `queue` at the other end what it will accept.
    fn deliver(&self, queue: impl FnOnce(&mut Side)) {
        let mut state = self.shared().lock();
        let side = &mut state.sides[1 - self.side()];
        queue(side);
        side.arrived.wake();
    }
}

impl wt::Session for Transport {
    type SendStream = Send;
    type RecvStream = Recv;
    type Error = Error;

    async fn accept_uni(&self) -> Result<Recv, Error> {
        let side = self.side();
        self.wait(|state, cx| {
            let side = &mut state.sides[side];
            let stream = side.uni.pop_front();
            if stream.is_none() {
                side.arrived.register(cx);
            }
            stream
        })
        .await
    }

    async fn accept_bi(&self) -> Result<(Send, Recv), Error> {
        let side = self.side();
        self.wait(|state, cx| {
            let side = &mut state.sides[side];
            let stream = side.bidi.pop_front();
            if stream.is_none() {
                side.arrived.register(cx);
            }
            stream
        })
        .await
    }

    async fn open_bi(&self) -> Result<(Send, Recv), Error> {
        let stream = self.open_stream(BIDI).await?;
        let there = (
            Send::new(&stream, 1, 1 - self.side()),
            Recv::new(&stream, 0, 1 - self.side()),
        );
        self.deliver(|side| side.bidi.push_back(there));
        Ok((
            Send::new(&stream, 0, self.side()),
            Recv::new(&stream, 1, self.side()),
        ))
    }

    async fn open_uni(&self) -> Result<Send, Error> {
        let stream = self.open_stream(UNI).await?;
        let there = Recv::new(&stream, 0, 1 - self.side());
        self.deliver(|side| side.uni.push_back(there));
        Ok(Send::new(&stream, 0, self.side()))
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), Error> {
        if let Some(error) = self.close_reason() {
            return Err(error);
        }
        if payload.len() > self.shared().options.max_datagram {
            return Err(Error::Datagram);
        }
        self.deliver(|side| side.datagrams.push_back(payload));
        Ok(())
    }

    async fn recv_datagram(&self) -> Result<Bytes, Error> {
        let side = self.side();
        self.wait(|state, cx| {
            let side = &mut state.sides[side];
            let datagram = side.datagrams.pop_front();
            if datagram.is_none() {
                side.arrived.register(cx);
            }
            datagram
        })
        .await
    }

    fn max_datagram_size(&self) -> usize {
        self.shared().options.max_datagram
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    fn close(&self, code: u32, reason: &str) {
        self.shared().close(Close::By {
            side: self.side(),
            code,
            reason: reason.to_owned(),
        });
    }

    async fn closed(&self) -> Error {
        poll_fn(|cx| {
            let mut state = self.shared().lock();
            match &state.close {
                Some(close) => Poll::Ready(close.seen_by(self.side())),
                None => {
                    state.closed.register(cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn stats(&self) -> impl wt::Stats {
        Stats {
            rtt: self.shared().options.rtt,
            rate: self.shared().options.rate,
        }
    }
}

struct Stats {
    rtt: Option<Duration>,
    rate: Option<u64>,
}

impl wt::Stats for Stats {
    fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    fn estimated_send_rate(&self) -> Option<u64> {
        self.rate
    }
}
