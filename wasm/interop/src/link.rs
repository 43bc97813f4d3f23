//! An in-memory connection with two ends. It knows streams, resets and datagrams, not traits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Why a stream or connection operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The connection was closed with a code and a reason.
    Closed(u32, String),
    /// The other side reset the stream or stopped reading it.
    Stream(u32),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed(code, reason) => write!(f, "closed with {code:#x}: {reason}"),
            Self::Stream(code) => write!(f, "stream ended with {code:#x}"),
        }
    }
}

impl std::error::Error for Error {}

/// Largest datagram the link carries, in bytes.
pub const DATAGRAM: usize = 1200;

#[derive(Default)]
struct Pipe {
    chunks: VecDeque<Bytes>,
    finished: bool,
    reset: Option<u32>,
    stopped: Option<u32>,
}

#[derive(Default)]
struct Link {
    pipes: Vec<Pipe>,
    /// What each side has not accepted yet: pipe numbers.
    uni: [VecDeque<usize>; 2],
    bi: [VecDeque<(usize, usize)>; 2],
    datagrams: [VecDeque<Bytes>; 2],
    closed: Option<(u32, String)>,
    /// Everybody who waits for anything: a test can afford to wake them all.
    waiting: Vec<Waker>,
}

/// One end of a connection.
#[derive(Clone)]
pub struct End {
    link: Arc<Mutex<Link>>,
    side: usize,
}

/// Two connected ends.
#[must_use]
pub fn pair() -> (End, End) {
    let link = Arc::new(Mutex::new(Link::default()));
    let other = End {
        link: link.clone(),
        side: 1,
    };
    (End { link, side: 0 }, other)
}

impl End {
    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change and wakes everybody.
    fn change<R>(&self, act: impl FnOnce(&mut Link) -> R) -> R {
        let mut link = self.lock();
        let result = act(&mut link);
        let waiting = std::mem::take(&mut link.waiting);
        drop(link);
        waiting.into_iter().for_each(Waker::wake);
        result
    }

    /// Asks for something, or registers. A closed connection still hands out what has arrived.
    fn poll<R>(
        &self,
        cx: &Context<'_>,
        ask: impl FnOnce(&mut Link) -> Option<Result<R, Error>>,
    ) -> Poll<Result<R, Error>> {
        let mut link = self.lock();
        if let Some(result) = ask(&mut link) {
            return Poll::Ready(result);
        }
        if let Some((code, reason)) = &link.closed {
            return Poll::Ready(Err(Error::Closed(*code, reason.clone())));
        }
        link.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    /// The next unidirectional stream from the other side.
    pub fn poll_accept_uni(&self, cx: &Context<'_>) -> Poll<Result<Recv, Error>> {
        let pipe = self.poll(cx, |link| link.uni[self.side].pop_front().map(Ok));
        pipe.map_ok(|pipe| Recv {
            end: self.clone(),
            pipe,
            done: false,
        })
    }

    /// The next bidirectional stream from the other side.
    pub fn poll_accept_bi(&self, cx: &Context<'_>) -> Poll<Result<(Send, Recv), Error>> {
        let pipes = self.poll(cx, |link| link.bi[self.side].pop_front().map(Ok));
        pipes.map_ok(|(send, recv)| self.streams(send, recv))
    }

    fn streams(&self, send: usize, recv: usize) -> (Send, Recv) {
        (
            Send {
                end: self.clone(),
                pipe: send,
                done: false,
            },
            Recv {
                end: self.clone(),
                pipe: recv,
                done: false,
            },
        )
    }

    /// Opens a unidirectional stream.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn open_uni(&self) -> Result<Send, Error> {
        let pipe = self.change(|link| {
            link.check()?;
            link.pipes.push(Pipe::default());
            let pipe = link.pipes.len() - 1;
            link.uni[1 - self.side].push_back(pipe);
            Ok(pipe)
        })?;
        Ok(Send {
            end: self.clone(),
            pipe,
            done: false,
        })
    }

    /// Opens a bidirectional stream.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn open_bi(&self) -> Result<(Send, Recv), Error> {
        let (send, recv) = self.change(|link| {
            link.check()?;
            link.pipes.extend([Pipe::default(), Pipe::default()]);
            let (send, recv) = (link.pipes.len() - 2, link.pipes.len() - 1);
            link.bi[1 - self.side].push_back((recv, send));
            Ok((send, recv))
        })?;
        Ok(self.streams(send, recv))
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn send_datagram(&self, payload: Bytes) -> Result<(), Error> {
        self.change(|link| {
            link.check()?;
            link.datagrams[1 - self.side].push_back(payload);
            Ok(())
        })
    }

    /// The next datagram from the other side.
    pub fn poll_recv_datagram(&self, cx: &Context<'_>) -> Poll<Result<Bytes, Error>> {
        self.poll(cx, |link| link.datagrams[self.side].pop_front().map(Ok))
    }

    /// Closes the connection; only the first close counts.
    pub fn close(&self, code: u32, reason: &str) {
        self.change(|link| {
            link.closed.get_or_insert_with(|| (code, reason.to_owned()));
        });
    }

    /// Ready once the connection is closed.
    pub fn poll_closed(&self, cx: &Context<'_>) -> Poll<Error> {
        self.poll(cx, |_link| None::<Result<std::convert::Infallible, _>>)
            .map(|result| match result {
                Ok(never) => match never {},
                Err(error) => error,
            })
    }
}

impl Link {
    fn check(&self) -> Result<(), Error> {
        match &self.closed {
            Some((code, reason)) => Err(Error::Closed(*code, reason.clone())),
            None => Ok(()),
        }
    }
}

/// The sending half of a stream; reset when dropped unfinished.
pub struct Send {
    end: End,
    pipe: usize,
    done: bool,
}

impl Send {
    /// Queues `data`; the link has no window.
    ///
    /// # Errors
    /// The reader stopped the stream, or the connection is closed.
    pub fn write(&self, data: Bytes) -> Result<(), Error> {
        self.end.change(|link| {
            link.check()?;
            let pipe = &mut link.pipes[self.pipe];
            if let Some(code) = pipe.stopped.or(pipe.reset) {
                return Err(Error::Stream(code));
            }
            pipe.chunks.push_back(data);
            Ok(())
        })
    }

    /// Ends the stream cleanly.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.done = true;
        self.end.change(|link| {
            link.check()?;
            link.pipes[self.pipe].finished = true;
            Ok(())
        })
    }

    /// Abandons the stream with a code; what was not read is lost.
    pub fn reset(&mut self, code: u32) {
        self.done = true;
        self.end.change(|link| {
            let pipe = &mut link.pipes[self.pipe];
            if !pipe.finished || !pipe.chunks.is_empty() {
                pipe.reset.get_or_insert(code);
                pipe.chunks.clear();
            }
        });
    }

    /// Ready once the reader has taken everything, or stopped.
    pub fn poll_closed(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.end.poll(cx, |link| {
            let pipe = &link.pipes[self.pipe];
            match pipe.stopped {
                Some(code) => Some(Err(Error::Stream(code))),
                None if pipe.reset.is_some() => Some(Ok(())),
                None => (pipe.finished && pipe.chunks.is_empty()).then_some(Ok(())),
            }
        })
    }
}

impl Drop for Send {
    fn drop(&mut self) {
        if !self.done {
            self.reset(0);
        }
    }
}

/// The receiving half of a stream; stopped when dropped before its end.
pub struct Recv {
    end: End,
    pipe: usize,
    done: bool,
}

impl Recv {
    /// The next piece, at most `max` bytes; `None` at the clean end.
    pub fn poll_read(
        &mut self,
        cx: &Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        let result = self.end.poll(cx, |link| {
            let pipe = &mut link.pipes[self.pipe];
            if let Some(code) = pipe.reset {
                return Some(Err(Error::Stream(code)));
            }
            match pipe.chunks.front_mut() {
                Some(chunk) if chunk.len() > max => Some(Ok(Some(chunk.split_to(max)))),
                Some(_) => pipe.chunks.pop_front().map(Some).map(Ok),
                None => pipe.finished.then_some(Ok(None)),
            }
        });
        match &result {
            Poll::Ready(Ok(Some(_))) | Poll::Pending => {}
            Poll::Ready(_) => self.done = true,
        }
        if result.is_ready() {
            // A writer may wait for the last piece to be taken.
            self.end.change(|_link| {});
        }
        result
    }

    /// Tells the writer that nobody reads any more.
    pub fn stop(&mut self, code: u32) {
        self.done = true;
        self.end.change(|link| {
            let pipe = &mut link.pipes[self.pipe];
            pipe.stopped.get_or_insert(code);
            pipe.chunks.clear();
        });
    }

    /// Ready once the stream has ended for the reader.
    pub fn poll_closed(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.end.poll(cx, |link| {
            let pipe = &link.pipes[self.pipe];
            match pipe.reset {
                Some(code) => Some(Err(Error::Stream(code))),
                None if pipe.stopped.is_some() => Some(Ok(())),
                None => (pipe.finished && pipe.chunks.is_empty()).then_some(Ok(())),
            }
        })
    }
}

impl Drop for Recv {
    fn drop(&mut self) {
        if !self.done {
            self.stop(0);
        }
    }
}
