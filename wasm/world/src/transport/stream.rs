//! The streams of the in-memory transport.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use web_transport_trait as wt;

use super::{Error, Shared, UNI, Wakers, wire::What};

/// One stream: a pipe per direction (one, when it is unidirectional).
pub(super) struct Stream {
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
    /// The first byte the opener wrote, which says what the stream is for.
    label: Option<u8>,
}

/// One direction, as its writer and its reader see it.
#[derive(Default)]
struct Pipe {
    // The writer's side.
    /// Bytes written and, as far as the writer knows, not read.
    unread: usize,
    finished: bool,
    reset: bool,
    /// The reader asked to stop, and the writer knows.
    stopped: Option<u32>,
    priority: i32,
    writer: Wakers,
    /// Nothing the writer sent may arrive before this.
    floor: Duration,

    // The reader's side.
    chunks: VecDeque<Bytes>,
    /// Bytes read that the writer was not told of.
    owed: usize,
    ended: bool,
    failed: Option<u32>,
    stopping: bool,
    /// The reader has seen the FIN or the reset, or asked to stop.
    over: bool,
    reader: Wakers,
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
                label: None,
            }),
        })
    }

    /// Wakes everybody who waits on the stream.
    pub(super) fn wake(&self) {
        let mut pipes = self.pipes.lock().expect("not poisoned");
        for pipe in &mut pipes.pipe {
            pipe.writer.wake();
            pipe.reader.wake();
        }
    }

    /// The first byte the opener wrote, and whether the stream has one direction only.
    pub(super) fn label(&self) -> (Option<u8>, bool) {
        let label = self.pipes.lock().expect("not poisoned").label;
        (label, self.kind == UNI)
    }

    /// The side that writes into pipe `index`.
    const fn writer(&self, index: usize) -> usize {
        match index {
            0 => self.opener,
            _ => 1 - self.opener,
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

    /// Lets `effect` change pipe `index` at its reader, after everything the writer sent before.
    fn send(
        self: &Arc<Self>,
        index: usize,
        what: What,
        effect: impl FnOnce(&mut Pipe) + std::marker::Send + 'static,
    ) {
        let stream = self.clone();
        let floor = self.with(index, |pipe| pipe.floor);
        let arrival = self.shared.cross(self.writer(index), what, floor, move || {
            stream.with(index, effect);
        });
        if let Some(arrival) = arrival {
            self.with(index, |pipe| pipe.floor = arrival);
        }
    }

    /// Lets `effect` change pipe `index` at its writer.
    fn answer(
        self: &Arc<Self>,
        index: usize,
        what: What,
        effect: impl FnOnce(&mut Pipe) + std::marker::Send + 'static,
    ) {
        let stream = self.clone();
        let from = 1 - self.writer(index);
        self.shared.cross(from, what, Duration::ZERO, move || {
            stream.with(index, effect);
        });
    }

    /// Keeps later data behind the opening of the stream.
    pub(super) fn opened_at(&self, arrival: Option<Duration>) {
        if let Some(arrival) = arrival {
            self.with(0, |pipe| pipe.floor = arrival);
            self.with(1, |pipe| pipe.floor = arrival);
        }
    }

    /// Breaks the stream in the middle: writers see a stop, readers a reset.
    pub(super) fn disrupt(&self, code: u32) {
        for index in 0..2 {
            self.with(index, |pipe| {
                if pipe.over {
                    return;
                }
                pipe.fail(code);
                pipe.stopped.get_or_insert(code);
                pipe.unread = 0;
                pipe.writer.wake();
            });
        }
    }
}

impl Pipe {
    /// The reader sees a reset.
    fn fail(&mut self, code: u32) {
        if self.over {
            return;
        }
        self.chunks.clear();
        self.failed = Some(code);
        self.over = true;
        self.reader.wake();
        self.writer.wake();
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
            if pipe.finished || pipe.reset {
                return Poll::Ready(Err(Error::Over));
            }
            if pipe.unread >= window {
                pipe.writer.register(cx);
                return Poll::Pending;
            }
            Poll::Ready(Ok(window - pipe.unread))
        })
    }

    fn push(&self, chunk: Bytes) {
        self.stream
            .with(self.pipe, |pipe| pipe.unread += chunk.len());
        if self.pipe == 0 {
            let mut pipes = self.stream.pipes.lock().expect("not poisoned");
            pipes.label = pipes.label.or_else(|| chunk.first().copied());
        }
        let label = self.stream.label();
        self.stream.shared.wrote(self.side, label);
        self.stream
            .send(self.pipe, What::Bytes(chunk.len()), move |pipe| {
                if !pipe.over {
                    pipe.chunks.push_back(chunk);
                    pipe.reader.wake();
                }
            });
    }

    fn end(&self, code: u32) {
        let resets = self.stream.with(self.pipe, |pipe| {
            let done = pipe.reset || (pipe.finished && pipe.over);
            let resets = !done;
            if resets {
                pipe.reset = true;
                pipe.unread = 0;
                pipe.writer.wake();
            }
            resets
        });
        if resets {
            self.stream
                .send(self.pipe, What::Reset, move |pipe| pipe.fail(code));
        }
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
            if pipe.finished || pipe.reset {
                return Err(Error::Over);
            }
            pipe.finished = true;
            Ok(())
        })?;
        self.stream.send(self.pipe, What::Fin, |pipe| {
            pipe.ended = true;
            pipe.reader.wake();
        });
        Ok(())
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
                None if pipe.reset || (pipe.over && pipe.unread == 0) => Poll::Ready(Ok(())),
                None => {
                    pipe.writer.register(cx);
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
        let window = self.stream.window;
        let at_once = !self.stream.shared.is_wired();
        let (read, credit, fin) = self.stream.with(self.pipe, |pipe| {
            if let Some(code) = pipe.failed {
                return (Poll::Ready(Err(Error::Reset(code))), 0, false);
            }
            if pipe.stopping {
                return (Poll::Ready(Err(Error::Over)), 0, false);
            }
            if let Some(chunk) = pipe.chunks.front_mut() {
                let size = chunk.len().min(max);
                let read = chunk.split_to(size);
                if chunk.is_empty() {
                    pipe.chunks.pop_front();
                }
                pipe.owed += read.len();
                // Told in steps, as QUIC does, and before a writer could run dry.
                let tell = at_once || pipe.owed * 4 >= window;
                let credit = match tell {
                    true => std::mem::take(&mut pipe.owed),
                    false => 0,
                };
                return (Poll::Ready(Ok(Some(read))), credit, false);
            }
            if pipe.ended {
                let fin = !std::mem::replace(&mut pipe.over, true);
                return (Poll::Ready(Ok(None)), std::mem::take(&mut pipe.owed), fin);
            }
            pipe.reader.register(cx);
            (Poll::Pending, 0, false)
        });
        if read.is_ready() {
            self.stream.shared.note_progress();
        }
        if credit > 0 || fin {
            self.stream.answer(self.pipe, What::Credit, move |pipe| {
                pipe.unread = pipe.unread.saturating_sub(credit);
                pipe.writer.wake();
            });
        }
        read
    }

    fn end(&self, code: u32) {
        let stops = self.stream.with(self.pipe, |pipe| {
            let stops = !pipe.over;
            if stops {
                pipe.stopping = true;
                pipe.chunks.clear();
                pipe.over = true;
                pipe.reader.wake();
            }
            stops
        });
        if stops {
            self.stream.answer(self.pipe, What::Stop, move |pipe| {
                pipe.stopped = Some(code);
                pipe.unread = 0;
                pipe.writer.wake();
            });
        }
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
            self.stream.with(self.pipe, |pipe| match pipe.failed {
                Some(code) => Poll::Ready(Err(Error::Reset(code))),
                None if pipe.over || (pipe.ended && pipe.chunks.is_empty()) => Poll::Ready(Ok(())),
                None => {
                    pipe.reader.register(cx);
                    Poll::Pending
                }
            })
        })
        .await
    }
}
