//! A session over a transport the worker holds.

use std::{sync::Arc, task::Poll};

use bytes::Bytes;
use kio::{Waiter, WaiterList};
use web_transport_trait::{MaybeSend, Stats};

use super::{
    Network, TransportError,
    network::{Open, RecvState, SendState, SessionState, StreamState},
    recv::RecvStream,
    send::SendStream,
};
use crate::{
    command::{Ask, Command},
    slab::Key,
};

/// Clones share one session; dropping the last closes it.
#[derive(Clone)]
pub(crate) struct Session(Arc<Inner>);

struct Inner {
    network: Network,
    key: Key,
    protocol: Option<String>,
    max_datagram: usize,
}

/// Figures of a session as the trait wants them.
pub(crate) struct Figures {
    /// Payload bytes handed to streams.
    pub(crate) sent: u64,
    /// Payload bytes taken from streams.
    pub(crate) received: u64,
    /// Bytes received that nobody has read.
    pub(crate) unread: usize,
    /// Streams that are not over.
    pub(crate) streams: u32,
}

impl Stats for Figures {
    fn bytes_sent(&self) -> Option<u64> {
        Some(self.sent)
    }

    fn bytes_received(&self) -> Option<u64> {
        Some(self.received)
    }
}

impl Session {
    pub(super) fn new(
        network: Network,
        key: Key,
        protocol: Option<String>,
        max_datagram: usize,
    ) -> Self {
        Self(Arc::new(Inner {
            network,
            key,
            protocol,
            max_datagram,
        }))
    }

    /// The number the worker knows this session by.
    pub(crate) fn key(&self) -> Key {
        self.0.key
    }

    pub(crate) fn figures(&self) -> Figures {
        self.0.with(|session| Figures {
            sent: session.bytes_sent,
            received: session.bytes_received,
            unread: session.unread,
            streams: session.streams,
        })
    }

    async fn next<R>(
        &self,
        take: impl Fn(&mut SessionState) -> Option<R> + MaybeSend,
    ) -> Result<R, TransportError> {
        kio::wait(|waiter| self.0.poll(waiter, &take)).await
    }

    /// Ask the worker for a stream and wait until it is there.
    async fn open(&self, bidirectional: bool) -> Result<Key, TransportError> {
        let inner = &*self.0;
        let mut opening = Opening {
            inner,
            stream: inner.ask(bidirectional)?,
            done: false,
        };
        kio::wait(|waiter| opening.poll(waiter)).await?;
        opening.done = true;
        Ok(opening.stream)
    }

    fn send_stream(&self, key: Key) -> SendStream {
        SendStream::new(self.0.network.clone(), key)
    }

    fn recv_stream(&self, key: Key) -> RecvStream {
        RecvStream::new(self.0.network.clone(), key)
    }
}

impl Inner {
    fn with<R>(&self, work: impl FnOnce(&mut SessionState) -> R) -> R {
        let mut state = self.network.lock();
        let session = state.sessions.get_mut(self.key);
        work(session.expect("the session stays while a handle to it exists"))
    }

    /// Something from the session's queues, until the session is over and they are empty.
    fn poll<R>(
        &self,
        waiter: &Waiter,
        take: impl FnOnce(&mut SessionState) -> Option<R>,
    ) -> Poll<Result<R, TransportError>> {
        self.with(|session| match (take(session), &session.end) {
            (Some(found), _) => Poll::Ready(Ok(found)),
            (None, Some(error)) => Poll::Ready(Err(error.clone())),
            (None, None) => {
                waiter.register(&mut session.waiters);
                Poll::Pending
            }
        })
    }

    fn ask(&self, bidirectional: bool) -> Result<Key, TransportError> {
        let mut state = self.network.lock();
        let state = &mut *state;
        let session = state
            .sessions
            .get_mut(self.key)
            .expect("the session stays while a handle to it exists");
        if let Some(error) = &session.end {
            return Err(error.clone());
        }
        session.streams += 1;
        let stream = state.streams.insert(StreamState {
            session: self.key,
            open: Open::Waiting(WaiterList::new()),
            recv: bidirectional.then(RecvState::default),
            send: Some(SendState::new()),
        });
        let ask = if bidirectional {
            Ask::OpenBi
        } else {
            Ask::OpenUni
        };
        state.commands.push(Command::stream(self.key, stream, ask));
        Ok(stream)
    }

    fn end(&self, code: u32, reason: &str) {
        let mut state = self.network.lock();
        let open = state
            .sessions
            .get(self.key)
            .is_some_and(|session| session.end.is_none());
        if !open {
            return;
        }
        state.commands.push(Command::Close {
            session: self.key,
            code,
            reason: Bytes::copy_from_slice(reason.as_bytes()),
        });
        let error = TransportError::Closed {
            code,
            reason: reason.to_owned(),
        };
        let waiters = state.end_session(self.key, error);
        drop(state);
        waiters.into_iter().for_each(WaiterList::wake);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end(0, "");
        let abandoned = self.with(|session| {
            let mut left = std::mem::take(&mut session.accept_uni);
            left.append(&mut session.accept_bi);
            left
        });
        for stream in abandoned {
            // Nobody took them: handles that are dropped refuse them and let them go.
            drop(RecvStream::new(self.network.clone(), stream));
            drop(SendStream::new(self.network.clone(), stream));
        }
        // Streams outlive the session's handles; their own handles sweep them.
        self.network.lock().sessions.remove(self.key);
    }
}

/// A stream that was asked for. Dropped before it opened, it takes the request back.
struct Opening<'a> {
    inner: &'a Inner,
    stream: Key,
    done: bool,
}

impl Opening<'_> {
    fn poll(&self, waiter: &Waiter) -> Poll<Result<(), TransportError>> {
        let mut state = self.inner.network.lock();
        let Some(stream) = state.streams.get_mut(self.stream) else {
            return Poll::Ready(Err(TransportError::Ended));
        };
        match &mut stream.open {
            Open::Done => Poll::Ready(Ok(())),
            Open::Failed(reason) => Poll::Ready(Err(TransportError::Open(reason.clone()))),
            Open::Waiting(waiters) => {
                waiter.register(waiters);
                Poll::Pending
            }
        }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.inner.network.lock();
        let state = &mut *state;
        let Some(stream) = state.streams.remove(self.stream) else {
            return;
        };
        if let Some(session) = state.sessions.get_mut(stream.session) {
            session.streams -= 1;
        }
        // One that failed to open is unknown to the worker; the others are reset as soon as they exist.
        if !matches!(stream.open, Open::Failed(_)) {
            let session = stream.session;
            state
                .commands
                .push(Command::stream(session, self.stream, Ask::Reset(0)));
            if stream.recv.is_some() {
                state
                    .commands
                    .push(Command::stream(session, self.stream, Ask::Stop(0)));
            }
        }
    }
}

impl web_transport_trait::Session for Session {
    type SendStream = SendStream;
    type RecvStream = RecvStream;
    type Error = TransportError;

    async fn accept_uni(&self) -> Result<Self::RecvStream, Self::Error> {
        let key = self.next(|session| session.accept_uni.pop_front()).await?;
        Ok(self.recv_stream(key))
    }

    async fn accept_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        let key = self.next(|session| session.accept_bi.pop_front()).await?;
        Ok((self.send_stream(key), self.recv_stream(key)))
    }

    async fn open_bi(&self) -> Result<(Self::SendStream, Self::RecvStream), Self::Error> {
        let key = self.open(true).await?;
        Ok((self.send_stream(key), self.recv_stream(key)))
    }

    async fn open_uni(&self) -> Result<Self::SendStream, Self::Error> {
        let key = self.open(false).await?;
        Ok(self.send_stream(key))
    }

    fn send_datagram(&self, payload: Bytes) -> Result<(), Self::Error> {
        let mut state = self.0.network.lock();
        let end = state
            .sessions
            .get(self.0.key)
            .and_then(|session| session.end.clone());
        if let Some(error) = end {
            return Err(error);
        }
        // Too large is lost, as on the network: the core asks for the size first.
        if payload.len() <= self.0.max_datagram {
            state.commands.push(Command::Datagram {
                session: self.0.key,
                data: payload,
            });
        }
        Ok(())
    }

    async fn recv_datagram(&self) -> Result<Bytes, Self::Error> {
        self.next(|session| session.datagrams.pop_front()).await
    }

    fn max_datagram_size(&self) -> usize {
        self.0.max_datagram
    }

    fn protocol(&self) -> Option<&str> {
        self.0.protocol.as_deref()
    }

    fn close(&self, code: u32, reason: &str) {
        self.0.end(code, reason);
    }

    async fn closed(&self) -> Self::Error {
        match self.next(|_| None::<std::convert::Infallible>).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    fn stats(&self) -> impl Stats {
        self.figures()
    }
}
