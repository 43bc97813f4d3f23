//! The receiving half of a stream.

use std::task::Poll;

use bytes::Bytes;
use kio::Waiter;
use web_transport_trait::MaybeSend;

use super::{Network, TransportError, network::State};
use crate::{
    command::{Ask, Command},
    slab::Key,
};

/// Yields the chunks the worker committed, by reference.
pub(crate) struct RecvStream {
    network: Network,
    key: Key,
}

impl RecvStream {
    pub(super) const fn new(network: Network, key: Key) -> Self {
        Self { network, key }
    }

    fn poll_chunk(
        &self,
        waiter: &Waiter,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, TransportError>> {
        let mut state = self.network.lock();
        let Some(stream) = state.streams.get_mut(self.key) else {
            return Poll::Ready(Err(TransportError::Ended));
        };
        let session = stream.session;
        let Some(recv) = stream.recv.as_mut() else {
            return Poll::Ready(Err(TransportError::Ended));
        };
        let Some(mut chunk) = recv.chunks.pop_front() else {
            return match &recv.end {
                Some(Ok(())) => Poll::Ready(Ok(None)),
                Some(Err(error)) => Poll::Ready(Err(error.clone())),
                None => {
                    waiter.register(&mut recv.waiters);
                    Poll::Pending
                }
            };
        };
        if chunk.len() > max {
            recv.chunks.push_front(chunk.split_off(max));
        }
        recv.unread -= chunk.len();
        state.release_unread(session, chunk.len());
        Poll::Ready(Ok(Some(chunk)))
    }

    /// Nothing is wanted any more: drop what is buffered and keep the stream's own end if it has one.
    fn give_up(&self, state: &mut State, code: u32) {
        let Some(stream) = state.streams.get_mut(self.key) else {
            return;
        };
        let session = stream.session;
        let Some(recv) = stream.recv.as_mut() else {
            return;
        };
        recv.chunks.clear();
        let unread = std::mem::take(&mut recv.unread);
        if recv.end.is_none() {
            recv.end = Some(Err(TransportError::Ended));
            state
                .commands
                .push(Command::stream(session, self.key, Ask::Stop(code)));
        }
        state.release_unread(session, unread);
    }
}

impl web_transport_trait::RecvStream for RecvStream {
    type Error = TransportError;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        if dst.is_empty() {
            return Ok(Some(0));
        }
        let chunk = self.read_chunk(dst.len()).await?;
        Ok(chunk.map(|chunk| {
            dst[..chunk.len()].copy_from_slice(&chunk);
            chunk.len()
        }))
    }

    fn read_chunk(
        &mut self,
        max: usize,
    ) -> impl Future<Output = Result<Option<Bytes>, Self::Error>> + MaybeSend {
        kio::wait(move |waiter| {
            if max == 0 {
                return Poll::Ready(Ok(Some(Bytes::new())));
            }
            self.poll_chunk(waiter, max)
        })
    }

    fn stop(&mut self, code: u32) {
        self.give_up(&mut self.network.lock(), code);
    }

    fn closed(&mut self) -> impl Future<Output = Result<(), Self::Error>> + MaybeSend {
        kio::wait(|waiter| {
            let mut state = self.network.lock();
            let Some(recv) = state
                .streams
                .get_mut(self.key)
                .and_then(|stream| stream.recv.as_mut())
            else {
                return Poll::Ready(Err(TransportError::Ended));
            };
            match &recv.end {
                Some(result) if recv.chunks.is_empty() => Poll::Ready(result.clone()),
                _ => {
                    waiter.register(&mut recv.waiters);
                    Poll::Pending
                }
            }
        })
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        let mut state = self.network.lock();
        self.give_up(&mut state, 0);
        if let Some(stream) = state.streams.get_mut(self.key) {
            stream.recv = None;
        }
        state.sweep(self.key);
    }
}
