//! The streams of the in-memory transport.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use web_transport_trait as wt;

use super::{Error, Shared, UNI, Wakers};

/// One stream: a pipe per direction (one, when it is unidirectional).
pub(crate) struct Stream {
    shared: Arc<Shared>,
    opener: usize,
    kind: usize,
    window: usize,
    pipes: Mutex<Pipes>,
}

struct Pipes {
    /// 0: from the opener to the acceptor; 1: back.
    pipe: [Pipe; 2],
    released: bool,
}

/// What is under way in one direction.
#[derive(Default)]
pub(crate) struct Pipe {
    chunks: VecDeque<Bytes>,
    buffered: usize,
    finished: bool,
    /// The reader has seen the FIN, the reset, or asked to stop.
    over: bool,
    reset: Option<u32>,
    stopped: Option<u32>,
    priority: i32,
    wakers: Wakers,
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, opener: usize, kind: usize, window: usize) -> Arc<Self> {
        let mut pipe = [Pipe::default(), Pipe::default()];
        pipe[1].over = kind == UNI;
        Arc::new(Self {
            shared,
            opener,
            kind,
            window,
            pipes: Mutex::new(Pipes {
                pipe,
                released: false,
            }),
        })
    }

    /// Wakes everybody who waits on the stream.
    pub(super) fn wake(&self) {
        let mut pipes = self.pipes.lock().expect("not poisoned");
        for pipe in &mut pipes.pipe {
            pipe.wakers.wake();
        }
    }

    /// Changes one pipe; gives the stream's credit back once both are over.
    fn with<T>(&self, index: usize, change: impl FnOnce(&mut Pipe) -> T) -> T {
        let (value, release) = {
            let mut pipes = self.pipes.lock().expect("not poisoned");
            let value = change(&mut pipes.pipe[index]);
            let release = !pipes.released && pipes.pipe.iter().all(|pipe| pipe.over);
            pipes.released |= release;
            (value, release)
        };
        if release {
            self.shared.release(self.opener, self.kind);
        }
        value
    }
}

/// The writing end of a stream.
pub struct Send {
    stream: Arc<Stream>,
    pipe: usize,
    side: usize,
}

/// The reading end of a stream.
pub struct Recv {
    stream: Arc<Stream>,
    pipe: usize,
    side: usize,
}

impl Send {
    pub(super) fn new(stream: &Arc<Stream>, pipe: usize, side: usize) -> Self {
        Self {
            stream: stream.clone(),
            pipe,
            side,
        }
    }

    /// Waits until at least one byte may be written; returns how many.
    fn poll_capacity(&self, cx: &Context<'_>) -> Poll<Result<usize, Error>> {
        if let Some(error) = self.stream.shared.over(self.side) {
            return Poll::Ready(Err(error));
        }
        let window = self.stream.window;
        self.stream.with(self.pipe, |pipe| {
            if let Some(code) = pipe.stopped {
                return Poll::Ready(Err(Error::Stopped(code)));
            }
            if pipe.finished || pipe.reset.is_some() {
                return Poll::Ready(Err(Error::Over));
            }
            if pipe.buffered >= window {
                pipe.wakers.register(cx);
                return Poll::Pending;
            }
            Poll::Ready(Ok(window - pipe.buffered))
        })
    }

    fn push(&self, chunk: Bytes) {
        self.stream.with(self.pipe, |pipe| {
            pipe.buffered += chunk.len();
            pipe.chunks.push_back(chunk);
            pipe.wakers.wake();
        });
    }

    fn end(&self, code: u32) {
        self.stream.with(self.pipe, |pipe| {
            if pipe.reset.is_none() && !(pipe.finished && pipe.over) {
                pipe.reset = Some(code);
                pipe.chunks.clear();
                pipe.buffered = 0;
                pipe.over = true;
                pipe.wakers.wake();
            }
        });
    }
}

impl Drop for Send {
    fn drop(&mut self) {
        let finished = self.stream.with(self.pipe, |pipe| pipe.finished);
        if !finished {
            self.end(0);
        }
    }
}

impl wt::SendStream for Send {
    type Error = Error;

    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        if buf.is_empty() {
            return Ok(0);
        }
        let room = poll_fn(|cx| self.poll_capacity(cx)).await?;
        let size = room.min(buf.len());
        self.push(Bytes::copy_from_slice(&buf[..size]));
        Ok(size)
    }

    async fn write_buf<B: Buf + wt::MaybeSend>(&mut self, buf: &mut B) -> Result<usize, Error> {
        if !buf.has_remaining() {
            return Ok(0);
        }
        let room = poll_fn(|cx| self.poll_capacity(cx)).await?;
        // Of a `Bytes` this is a reference, not a copy.
        let size = room.min(buf.chunk().len());
        self.push(buf.copy_to_bytes(size));
        Ok(size)
    }

    fn set_priority(&mut self, order: i32) {
        self.stream.with(self.pipe, |pipe| pipe.priority = order);
    }

    fn finish(&mut self) -> Result<(), Error> {
        if let Some(error) = self.stream.shared.over(self.side) {
            return Err(error);
        }
        self.stream.with(self.pipe, |pipe| {
            if let Some(code) = pipe.stopped {
                return Err(Error::Stopped(code));
            }
            if pipe.finished || pipe.reset.is_some() {
                return Err(Error::Over);
            }
            pipe.finished = true;
            pipe.wakers.wake();
            Ok(())
        })
    }

    fn reset(&mut self, code: u32) {
        self.end(code);
    }

    async fn closed(&mut self) -> Result<(), Error> {
        poll_fn(|cx| {
            if let Some(error) = self.stream.shared.over(self.side) {
                return Poll::Ready(Err(error));
            }
            self.stream.with(self.pipe, |pipe| match pipe.stopped {
                Some(code) => Poll::Ready(Err(Error::Stopped(code))),
                None if pipe.over => Poll::Ready(Ok(())),
                None => {
                    pipe.wakers.register(cx);
                    Poll::Pending
                }
            })
        })
        .await
    }
}

impl Recv {
    pub(super) fn new(stream: &Arc<Stream>, pipe: usize, side: usize) -> Self {
        Self {
            stream: stream.clone(),
            pipe,
            side,
        }
    }

    /// The send order the writer gave the stream.
    pub fn priority(&self) -> i32 {
        self.stream.with(self.pipe, |pipe| pipe.priority)
    }

    fn poll_chunk(&self, cx: &Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, Error>> {
        if let Some(error) = self.stream.shared.over(self.side) {
            return Poll::Ready(Err(error));
        }
        self.stream.with(self.pipe, |pipe| {
            if let Some(code) = pipe.reset {
                return Poll::Ready(Err(Error::Reset(code)));
            }
            if pipe.stopped.is_some() {
                return Poll::Ready(Err(Error::Over));
            }
            if let Some(chunk) = pipe.chunks.front_mut() {
                let size = chunk.len().min(max);
                let read = chunk.split_to(size);
                if chunk.is_empty() {
                    pipe.chunks.pop_front();
                }
                pipe.buffered -= read.len();
                pipe.wakers.wake();
                return Poll::Ready(Ok(Some(read)));
            }
            if pipe.finished {
                pipe.over = true;
                pipe.wakers.wake();
                return Poll::Ready(Ok(None));
            }
            pipe.wakers.register(cx);
            Poll::Pending
        })
    }

    fn end(&self, code: u32) {
        self.stream.with(self.pipe, |pipe| {
            if !pipe.over {
                pipe.stopped = Some(code);
                pipe.chunks.clear();
                pipe.buffered = 0;
                pipe.over = true;
                pipe.wakers.wake();
            }
        });
    }
}

impl Drop for Recv {
    fn drop(&mut self) {
        self.end(0);
    }
}

impl wt::RecvStream for Recv {
    type Error = Error;

    async fn read(&mut self, dst: &mut [u8]) -> Result<Option<usize>, Error> {
        let chunk = poll_fn(|cx| self.poll_chunk(cx, dst.len())).await?;
        Ok(chunk.map(|chunk| {
            dst[..chunk.len()].copy_from_slice(&chunk);
            chunk.len()
        }))
    }

    async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_chunk(cx, max)).await
    }

    fn stop(&mut self, code: u32) {
        self.end(code);
    }

    async fn closed(&mut self) -> Result<(), Error> {
        poll_fn(|cx| {
            if let Some(error) = self.stream.shared.over(self.side) {
                return Poll::Ready(Err(error));
            }
            self.stream.with(self.pipe, |pipe| match pipe.reset {
                Some(code) => Poll::Ready(Err(Error::Reset(code))),
                None if pipe.over || (pipe.finished && pipe.chunks.is_empty()) => {
                    Poll::Ready(Ok(()))
                }
                None => {
                    pipe.wakers.register(cx);
                    Poll::Pending
                }
            })
        })
        .await
    }
}
