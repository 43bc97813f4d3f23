//! Frames: the payload inside a group, whole or growing.

mod consumer;
mod producer;
mod state;

pub use consumer::FrameConsumer;
pub use producer::FrameProducer;
pub(crate) use state::{Chunks, Shared};

use crate::{Error, Result, Runtime, Timestamp};

/// What is known of a frame before its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Payload bytes.
    pub size: usize,
    /// Presentation time; `Some` exactly on tracks that have a timescale.
    pub timestamp: Option<Timestamp>,
}

impl Frame {
    /// A frame of `size` bytes without a timestamp.
    pub const fn new(size: usize) -> Self {
        Self {
            size,
            timestamp: None,
        }
    }

    /// The same frame at a presentation time.
    pub const fn with_timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// A frame to be written in pieces, for [`GroupProducer::append_frame`](crate::GroupProducer::append_frame): one frame may
    /// be appended to several groups.
    ///
    /// # Errors
    /// [`Error::FrameTooLarge`] above `max_frame`; nothing is allocated then.
    pub fn produce(self, runtime: &Runtime) -> Result<FrameProducer> {
        if self.size > runtime.limits().max_frame {
            return Err(Error::FrameTooLarge);
        }
        Ok(FrameProducer::new(self, runtime))
    }
}

impl From<usize> for Frame {
    fn from(size: usize) -> Self {
        Self::new(size)
    }
}
