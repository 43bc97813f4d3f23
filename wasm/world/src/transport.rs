//! A WebTransport session that lives in memory: two ends of one connection, without delay or loss unless a [`Wire`] is put
//! between them.
//!
//! Bytes travel by reference. Windows, stream limits, resets, stops, closes and datagrams behave like QUIC's, so a test
//! can drive one end by hand and see exactly what the other end put on the wire.

mod stream;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use web_transport_trait as wt;

use stream::Stream;
pub use stream::{Recv, Send};
pub use wire::{What, Wire};

use crate::executor::Clock;

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
    /// Credit for streams that ended comes back only when half of it or less is left at the end of one, as in Chromium.
    pub renew_at_half: bool,
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
            renew_at_half: false,
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

    /// Streams of `kind` that one end may have open.
    const fn limit(&self, kind: usize) -> usize {
        match kind {
            BIDI => self.max_bidi,
            _ => self.max_uni,
        }
    }
}

/// The two ends of a new connection: client, server.
pub fn pair(options: Options) -> (Transport, Transport) {
    ends(options, None)
}

/// The two ends of a new connection over `wire`: client, server.
pub fn pair_over(options: Options, clock: Clock, wire: impl Wire) -> (Transport, Transport) {
    let wired = Wired {
        clock,
        wire: Mutex::new(Box::new(wire)),
    };
    ends(options, Some(wired))
}

fn ends(options: Options, wired: Option<Wired>) -> (Transport, Transport) {
    let shared = Arc::new(Shared {
        options: options.clone(),
        state: Mutex::default(),
        wired,
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
    Closed {
        /// The code it gave.
        code: u32,
        /// The reason it gave.
        reason: String,
    },
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

/// A wire and the time on it.
struct Wired {
    clock: Clock,
    wire: Mutex<Box<dyn Wire>>,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
    wired: Option<Wired>,
}

#[derive(Default)]
struct State {
    sides: [Side; 2],
    /// Every stream that is not over yet, to be woken when the connection ends.
    streams: Vec<Weak<Stream>>,
}

/// What has arrived at, or is limited for, one end.
#[derive(Default)]
struct Side {
    /// How the connection ended, as far as this end knows.
    close: Option<Error>,
    /// Woken when the connection ends.
    closed: Wakers,
    bidi: VecDeque<(Send, Recv)>,
    uni: VecDeque<Recv>,
    datagrams: VecDeque<Bytes>,
    arrived: Wakers,
    /// Streams this end has open: bidirectional, unidirectional.
    open: [usize; 2],
    /// Streams this end ever opened: bidirectional, unidirectional.
    opened: [u64; 2],
    /// Streams of these that ended, as far as this end was given credit for others.
    renewed: [u64; 2],
    may_open: Wakers,
    /// Bytes this end wrote on streams that began with each of these: `true` for those of one direction.
    written: BTreeMap<(u8, bool), Written>,
}

/// What one end wrote on streams of one purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Writes so far.
    pub writes: u64,
    /// The time of the last one, over a [`Wire`].
    pub last: Duration,
}

/// Wakers of everybody who waits for one event.
#[derive(Default)]
struct Wakers(Vec<Waker>);

impl Wakers {
    fn register(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    fn wake(&mut self) {
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
    fn over(&self, side: usize) -> Option<Error> {
        self.lock().sides[side].close.clone()
    }

    const fn is_wired(&self) -> bool {
        self.wired.is_some()
    }

    fn note_progress(&self) {
        if let Some(wired) = &self.wired {
            wired.clock.note_progress();
        }
    }

    /// Lets `effect` happen when what side `from` did reaches the other, not before `floor`; when that is, over a wire.
    fn cross(
        &self,
        from: usize,
        what: What,
        floor: Duration,
        effect: impl FnOnce() + std::marker::Send + 'static,
    ) -> Option<Duration> {
        let Some(wired) = &self.wired else {
            effect();
            return None;
        };
        let now = wired.clock.now();
        wired.clock.note_progress();
        let arrival = wired
            .wire
            .lock()
            .expect("no wire panics")
            .arrival(now, from, what)?;
        let arrival = arrival.max(floor);
        wired.clock.call_at(arrival, effect);
        Some(arrival)
    }

    /// Notes that `side` wrote on a stream.
    fn wrote(&self, side: usize, (label, uni): (Option<u8>, bool)) {
        let (Some(label), Some(wired)) = (label, &self.wired) else {
            return;
        };
        let now = wired.clock.now();
        let mut state = self.lock();
        let written = state.sides[side].written.entry((label, uni)).or_default();
        written.writes += 1;
        written.last = now;
    }

    /// Ends the connection for `side`, unless it has ended.
    fn end(&self, side: usize, error: Error) {
        let (streams, queued) = {
            let mut state = self.lock();
            let this = &mut state.sides[side];
            if this.close.is_some() {
                return;
            }
            this.close = Some(error);
            this.closed.wake();
            this.arrived.wake();
            this.may_open.wake();
            this.datagrams.clear();
            let queued = (
                std::mem::take(&mut this.bidi),
                std::mem::take(&mut this.uni),
            );
            (state.streams.clone(), queued)
        };
        for stream in streams.into_iter().filter_map(|stream| stream.upgrade()) {
            stream.wake();
        }
        // Streams nobody accepted lock the connection when they go.
        drop(queued);
    }

    /// `side` closes the connection.
    fn close(self: &Arc<Self>, side: usize, code: u32, reason: &str) {
        if self.over(side).is_some() {
            return;
        }
        self.end(side, Error::Local);
        let error = Error::Closed {
            code,
            reason: reason.to_owned(),
        };
        let shared = self.clone();
        self.cross(side, What::Close, Duration::ZERO, move || {
            shared.end(1 - side, error);
        });
    }

    /// Gives the credit of one stream back to the end that opened it.
    fn release(self: &Arc<Self>, opener: usize, kind: usize) {
        let shared = self.clone();
        self.cross(1 - opener, What::Credit, Duration::ZERO, move || {
            let mut state = shared.lock();
            let side = &mut state.sides[opener];
            side.open[kind] -= 1;
            let limit = shared.options.limit(kind) as u64;
            let left = limit + side.renewed[kind] - side.opened[kind];
            if !shared.options.renew_at_half || left <= limit / 2 {
                side.renewed[kind] = side.opened[kind] - side.open[kind] as u64;
                side.may_open.wake();
            }
        });
    }
}

struct End {
    shared: Arc<Shared>,
    side: usize,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.close(self.side, 0, "");
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
        self.shared().end(self.side(), Error::Lost);
        self.shared().end(1 - self.side(), Error::Lost);
    }

    /// A way to break the connection that does not keep it open.
    pub fn breaker(&self) -> Breaker {
        Breaker(Arc::downgrade(self.shared()))
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
            if let Some(close) = &state.sides[self.side()].close {
                return Poll::Ready(Err(close.clone()));
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
        let limit = options.limit(kind) as u64;
        self.wait(|state, cx| {
            if state.sides[side].opened[kind] >= limit + state.sides[side].renewed[kind] {
                state.sides[side].may_open.register(cx);
                return None;
            }
            state.sides[side].open[kind] += 1;
            state.sides[side].opened[kind] += 1;
            let stream = Stream::new(self.shared().clone(), side, kind, options.window);
            // Only when it is full: there may be a hundred thousand.
            if state.streams.len() == state.streams.capacity() {
                state.streams.retain(|stream| stream.strong_count() > 0);
            }
            state.streams.push(Arc::downgrade(&stream));
            Some(stream)
        })
        .await
    }

    /// Hands `queue` at the other end what it will accept; says when, over a wire.
    fn deliver(
        &self,
        what: What,
        queue: impl FnOnce(&mut Side) + std::marker::Send + 'static,
    ) -> Option<Duration> {
        let shared = self.shared().clone();
        let there = 1 - self.side();
        self.shared()
            .cross(self.side(), what, Duration::ZERO, move || {
                let mut state = shared.lock();
                let side = &mut state.sides[there];
                // What comes too late goes outside the lock: streams take it when they are dropped.
                if side.close.is_some() {
                    drop(state);
                    return drop(queue);
                }
                queue(side);
                side.arrived.wake();
            })
    }
}

/// Breaks a connection, or looks at it, from outside.
#[derive(Clone)]
pub struct Breaker(Weak<Shared>);

impl Breaker {
    /// Cuts the connection: both ends see it lost.
    pub fn kill(&self) {
        self.lose(0);
        self.lose(1);
    }

    /// One end (0: client, 1: server) sees the connection lost; the other end sees nothing.
    pub fn lose(&self, side: usize) {
        if let Some(shared) = self.0.upgrade() {
            shared.end(side, Error::Lost);
        }
    }

    /// Whether one end still has the connection.
    pub fn is_open(&self, side: usize) -> bool {
        let shared = self.0.upgrade();
        shared.is_some_and(|shared| shared.over(side).is_none())
    }

    /// Breaks one of the streams that are open and that `may` names by their first byte (`true`: of one direction): its
    /// writers see a stop and its readers a reset with `code`. Says which one, if there was one; `pick` decides.
    pub fn disrupt(
        &self,
        pick: u64,
        code: u32,
        may: impl Fn(Option<u8>, bool) -> bool,
    ) -> Option<(Option<u8>, bool)> {
        let streams = self.0.upgrade()?.lock().streams.clone();
        let open: Vec<Arc<Stream>> = streams
            .into_iter()
            .filter_map(|stream| stream.upgrade())
            .filter(|stream| {
                let (label, uni) = stream.label();
                may(label, uni)
            })
            .collect();
        let index = pick.checked_rem(open.len() as u64)?;
        let stream = &open[index as usize];
        stream.disrupt(code);
        Some(stream.label())
    }

    /// What one end wrote on streams that began with byte `label` (`uni`: of one direction).
    pub fn written(&self, side: usize, label: u8, uni: bool) -> Written {
        let shared = self.0.upgrade();
        let written = shared.and_then(|shared| {
            let state = shared.lock();
            state.sides[side].written.get(&(label, uni)).copied()
        });
        written.unwrap_or_default()
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
        stream.opened_at(self.deliver(What::Open, |side| side.bidi.push_back(there)));
        Ok((
            Send::new(&stream, 0, self.side()),
            Recv::new(&stream, 1, self.side()),
        ))
    }

    async fn open_uni(&self) -> Result<Send, Error> {
        let stream = self.open_stream(UNI).await?;
        let there = Recv::new(&stream, 0, 1 - self.side());
        stream.opened_at(self.deliver(What::Open, |side| side.uni.push_back(there)));
        Ok(Send::new(&stream, 0, self.side()))
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), Error> {
        if let Some(error) = self.close_reason() {
            return Err(error);
        }
        if payload.len() > self.shared().options.max_datagram {
            return Err(Error::Datagram);
        }
        let what = What::Datagram(payload.len());
        self.deliver(what, |side| side.datagrams.push_back(payload));
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
        self.shared().close(self.side(), code, reason);
    }

    async fn closed(&self) -> Error {
        poll_fn(|cx| {
            let mut state = self.shared().lock();
            let side = &mut state.sides[self.side()];
            match &side.close {
                Some(close) => Poll::Ready(close.clone()),
                None => {
                    side.closed.register(cx);
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
