//! The sending half of a stream.

use std::task::Poll;

use bytes::{Buf, Bytes};
use kio::Waiter;
use web_transport_trait::MaybeSend;

use super::{
    Network, TransportError,
    network::{SendState, State},
};
use crate::{
    command::{Ask, Command},
    slab::Key,
};

/// Appends writes to the command buffer, by reference, within the windows of the stream and its session.
pub(crate) struct SendStream {
    network: Network,
    key: Key,
}

impl SendStream {
    pub(super) const fn new(network: Network, key: Key) -> Self {
        Self { network, key }
    }

    /// Take up to `want` bytes of room and write them: `take` is called only when there is some.
    fn poll_write(
        &self,
        waiter: &Waiter,
        want: usize,
        take: impl FnOnce(usize) -> Bytes,
    ) -> Poll<Result<usize, TransportError>> {
        let mut state = self.network.lock();
        let State {
            commands,
            sessions,
            streams,
        } = &mut *state;
        let Some(stream) = streams.get_mut(self.key) else {
            return Poll::Ready(Err(TransportError::Ended));
        };
        let (Some(send), Some(session)) = (stream.send.as_mut(), sessions.get_mut(stream.session))
        else {
            return Poll::Ready(Err(TransportError::Ended));
        };
        match &send.settled {
            Some(Err(error)) => return Poll::Ready(Err(error.clone())),
            _ if send.ended => return Poll::Ready(Err(TransportError::Ended)),
            _ => {}
        }
        let size = want.min(send.window).min(session.window);
        if size == 0 && want > 0 {
            let list = if send.window == 0 {
                &mut send.waiters
            } else {
                &mut session.waiters
            };
            waiter.register(list);
            // Whatever ends the stream wakes its own list.
            waiter.register(&mut send.waiters);
            return Poll::Pending;
        }
        if size > 0 {
            send.window -= size;
            session.window -= size;
            session.bytes_sent += size as u64;
            let data = take(size);
            debug_assert_eq!(data.len(), size);
            commands.push(Command::stream(stream.session, self.key, Ask::Write(data)));
        }
        Poll::Ready(Ok(size))
    }

    /// Ask something of the sending half, unless the transport is done with it or `ask` finds nothing to ask.
    fn ask(&self, ask: impl FnOnce(&mut SendState) -> Option<Ask>) -> Result<(), TransportError> {
        let mut state = self.network.lock();
        let State {
            commands, streams, ..
        } = &mut *state;
        let Some(stream) = streams.get_mut(self.key) else {
            return Err(TransportError::Ended);
        };
        let Some(send) = stream.send.as_mut() else {
            return Err(TransportError::Ended);
        };
        match &send.settled {
            Some(Err(error)) => return Err(error.clone()),
            Some(Ok(())) => return Err(TransportError::Ended),
            None => {}
        }
        let ask = ask(send).ok_or(TransportError::Ended)?;
        commands.push(Command::stream(stream.session, self.key, ask));
        Ok(())
    }
}

impl web_transport_trait::SendStream for SendStream {
    type Error = TransportError;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        kio::wait(|waiter| {
            self.poll_write(waiter, buf.len(), |size| {
                Bytes::copy_from_slice(&buf[..size])
            })
        })
        .await
    }

    fn write_buf<B: Buf + MaybeSend>(
        &mut self,
        buf: &mut B,
    ) -> impl Future<Output = Result<usize, Self::Error>> + MaybeSend {
        // A buffer made of `Bytes` hands them over without copying.
        kio::wait(move |waiter| {
            let want = buf.chunk().len();
            self.poll_write(waiter, want, |size| buf.copy_to_bytes(size))
        })
    }

    async fn write_chunk(&mut self, mut chunk: Bytes) -> Result<(), Self::Error> {
        while !chunk.is_empty() {
            kio::wait(|waiter| {
                let want = chunk.len();
                self.poll_write(waiter, want, |size| chunk.split_to(size))
            })
            .await?;
        }
        Ok(())
    }

    fn set_priority(&mut self, order: i32) {
        // Too late is no failure: the order of what is gone does not matter.
        let _ = self.ask(|_| Some(Ask::Priority(order)));
    }

    fn finish(&mut self) -> Result<(), Self::Error> {
        self.ask(|send| (!std::mem::replace(&mut send.ended, true)).then_some(Ask::Finish))
    }

    fn reset(&mut self, code: u32) {
        // A stream the transport is done with needs no reset.
        let _ = self.ask(|send| {
            send.ended = true;
            send.settled = Some(Err(TransportError::Ended));
            Some(Ask::Reset(code))
        });
    }

    fn closed(&mut self) -> impl Future<Output = Result<(), Self::Error>> + MaybeSend {
        kio::wait(|waiter| {
            let mut state = self.network.lock();
            let Some(send) = state
                .streams
                .get_mut(self.key)
                .and_then(|stream| stream.send.as_mut())
            else {
                return Poll::Ready(Err(TransportError::Ended));
            };
            match &send.settled {
                Some(result) => Poll::Ready(result.clone()),
                None => {
                    waiter.register(&mut send.waiters);
                    Poll::Pending
                }
            }
        })
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        // Finished streams go on to their end without us; anything else was abandoned.
        let _ = self.ask(|send| {
            if send.ended {
                return None;
            }
            send.settled = Some(Err(TransportError::Ended));
            Some(Ask::Reset(0))
        });
        let mut state = self.network.lock();
        if let Some(send) = state
            .streams
            .get_mut(self.key)
            .and_then(|stream| stream.send.as_mut())
        {
            send.released = true;
        }
        state.sweep(self.key);
    }
}
