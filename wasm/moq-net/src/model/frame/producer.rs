//! Writing a frame in pieces.

use std::{sync::Arc, task::Poll};

use bytes::Bytes;
use kio::Waiter;

use super::{Frame, FrameConsumer, Shared};
use crate::{
    Error, Result, Runtime,
    cost::gauges::{Kind, Live},
};

/// Writes one frame whose size was declared up front. It is finished by its last byte; dropping every clone before that aborts
/// it with [`Error::Dropped`].
#[derive(Clone)]
pub struct FrameProducer {
    owner: Arc<Owner>,
}

/// Shared by all writers: the frame is given up when the last one goes.
struct Owner {
    shared: Arc<Shared>,
    _live: Live,
}

impl Drop for Owner {
    fn drop(&mut self) {
        abort(&self.shared, Error::Dropped);
    }
}

fn abort(shared: &Shared, error: Error) -> bool {
    match shared.channel.write() {
        Ok(mut state) if state.can_abort() => {
            state.abort(error);
            true
        }
        _ => false,
    }
}

impl FrameProducer {
    pub(crate) fn new(info: Frame, runtime: &Runtime) -> Self {
        Self {
            owner: Arc::new(Owner {
                shared: Shared::new(info, runtime),
                _live: Live::new(runtime, Kind::Producer),
            }),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// Declared size and timestamp.
    pub fn info(&self) -> Frame {
        self.owner.shared.info
    }

    /// Appends a piece. The bytes are kept as they are, not copied.
    ///
    /// # Errors
    /// [`Error::WrongSize`] when it exceeds the declared size (nothing is appended); the abort error.
    pub fn write(&self, chunk: impl Into<Bytes>) -> Result<()> {
        let chunk = chunk.into();
        let shared = &self.owner.shared;
        {
            let Ok(mut state) = shared.channel.write() else {
                return Err(Error::Dropped);
            };
            state.check(chunk.len())?;
            if chunk.is_empty() {
                return Ok(());
            }
            state.push(chunk);
        }
        shared.live.runtime().pool().enforce();
        Ok(())
    }

    /// Bytes still missing.
    ///
    /// # Errors
    /// The abort error.
    pub fn remaining(&self) -> Result<usize> {
        self.owner.shared.channel.read().remaining()
    }

    /// Ends the frame. Optional: the last byte ends it as well.
    ///
    /// # Errors
    /// [`Error::WrongSize`] when bytes are missing (the frame is aborted with it); the abort error.
    pub fn finish(self) -> Result<()> {
        if self.remaining()? == 0 {
            return Ok(());
        }
        abort(&self.owner.shared, Error::WrongSize);
        Err(Error::WrongSize)
    }

    /// Fails the frame for every reader; a complete frame stays readable.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is complete or was aborted before.
    pub fn abort(&self, error: Error) -> Result<()> {
        match abort(&self.owner.shared, error) {
            true => Ok(()),
            false => Err(Error::Closed),
        }
    }

    /// A reader from the first byte on.
    pub fn consume(&self) -> FrameConsumer {
        FrameConsumer::growing(self.shared(), self.owner._live.runtime().now())
    }

    /// Ready while nobody reads this frame.
    pub fn poll_unused(&self, waiter: &Waiter) -> Poll<()> {
        self.owner.shared.channel.poll_unused(waiter).map(|_| ())
    }

    /// Waits until nobody reads this frame.
    pub async fn unused(&self) {
        kio::wait(|waiter| self.poll_unused(waiter)).await;
    }
}
