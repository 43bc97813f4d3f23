//! The bytes of a frame.

use std::{sync::Arc, task::Poll};

use bytes::{Bytes, BytesMut};

use super::Frame;
use crate::{
    Error, Result, Runtime,
    cost::gauges::{Kind, Live},
    model::pool::Charge,
};

/// A complete payload as it arrived: never copied to be joined.
#[derive(Clone, Debug)]
pub(crate) enum Chunks {
    One(Bytes),
    Many(Arc<[Bytes]>),
}

impl Chunks {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(chunk) => chunk.len(),
            Self::Many(chunks) => chunks.iter().map(Bytes::len).sum(),
        }
    }

    /// The chunk at `index`; an empty payload has none.
    pub(crate) fn get(&self, index: usize) -> Option<&Bytes> {
        match self {
            Self::One(chunk) => (index == 0 && !chunk.is_empty()).then_some(chunk),
            Self::Many(chunks) => chunks.get(index),
        }
    }

    /// What is left from chunk `index` on.
    pub(crate) fn rest(&self, index: usize) -> Vec<Bytes> {
        (index..).map_while(|at| self.get(at).cloned()).collect()
    }
}

impl From<Vec<Bytes>> for Chunks {
    fn from(mut chunks: Vec<Bytes>) -> Self {
        chunks.retain(|chunk| !chunk.is_empty());
        match <[Bytes; 1]>::try_from(chunks) {
            Ok([chunk]) => Self::One(chunk),
            Err(chunks) => Self::Many(chunks.into()),
        }
    }
}

/// One buffer of several chunks; copies only if there are several.
pub(crate) fn join(chunks: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(chunks) {
        Ok([chunk]) => chunk,
        Err(chunks) => {
            let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
            for chunk in &chunks {
                whole.extend_from_slice(chunk);
            }
            whole.freeze()
        }
    }
}

/// A frame that is written in pieces. Frames written whole live in their group, without any of this.
pub(crate) struct Shared {
    pub(crate) info: Frame,
    /// Never closed: what ends a frame is in its state.
    pub(crate) channel: kio::Producer<State>,
    pub(crate) live: Live,
}

impl Shared {
    pub(crate) fn new(info: Frame, runtime: &Runtime) -> Arc<Self> {
        let state = State {
            // Grows with what arrives: the declared size is only a promise of the peer.
            parts: Vec::new(),
            filled: 0,
            size: info.size,
            abort: None,
            charge: Charge::new(runtime, 0),
        };
        Arc::new(Self {
            info,
            channel: kio::Producer::new(state),
            live: Live::new(runtime, Kind::Frame),
        })
    }
}

pub(crate) struct State {
    parts: Vec<Bytes>,
    filled: usize,
    size: usize,
    abort: Option<Error>,
    charge: Charge,
}

impl State {
    pub(crate) fn is_complete(&self) -> bool {
        self.filled == self.size
    }

    /// The whole payload, once it is there.
    pub(crate) fn complete(&self) -> Option<Chunks> {
        self.is_complete().then(|| self.parts.clone().into())
    }

    /// Bytes that have not arrived yet.
    pub(crate) fn remaining(&self) -> Result<usize> {
        match &self.abort {
            Some(error) => Err(error.clone()),
            None => Ok(self.size - self.filled),
        }
    }

    /// Whether a write of `more` bytes is allowed.
    pub(crate) fn check(&self, more: usize) -> Result<()> {
        match &self.abort {
            Some(error) => Err(error.clone()),
            None if more > self.size - self.filled => Err(Error::WrongSize),
            None => Ok(()),
        }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.filled += chunk.len();
        self.charge.add(chunk.len());
        self.parts.push(chunk);
    }

    /// Ends the frame early; a complete or aborted one stays as it is. Says whether anything changes.
    pub(crate) fn can_abort(&self) -> bool {
        self.abort.is_none() && !self.is_complete()
    }

    pub(crate) fn abort(&mut self, error: Error) {
        self.abort = Some(error);
        // What has arrived is no use to anybody: readers get the error.
        self.charge.remove(self.filled);
        self.filled = 0;
        self.size = self.size.max(1);
        self.parts = Vec::new();
    }

    /// The chunk at `index`, or `None` at the end.
    pub(crate) fn poll_chunk(&self, index: usize) -> Poll<Result<Option<Bytes>>> {
        if let Some(error) = &self.abort {
            return Poll::Ready(Err(error.clone()));
        }
        match self.parts.get(index) {
            Some(chunk) => Poll::Ready(Ok(Some(chunk.clone()))),
            None if self.is_complete() => Poll::Ready(Ok(None)),
            None => Poll::Pending,
        }
    }

    /// Everything from chunk `index` on, once the frame is complete.
    pub(crate) fn poll_rest(&self, index: usize) -> Poll<Result<Vec<Bytes>>> {
        match &self.abort {
            Some(error) => Poll::Ready(Err(error.clone())),
            None if self.is_complete() => {
                Poll::Ready(Ok(self.parts[index.min(self.parts.len())..].to_vec()))
            }
            None => Poll::Pending,
        }
    }
}
