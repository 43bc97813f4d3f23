//! From the bytes of a stream to the frames of a group, for group streams and fetches alike.

use std::sync::atomic::{AtomicUsize, Ordering};

use web_transport_trait as wt;

use crate::{
    Error, Frame, GroupProducer, Result, Runtime, Timestamp,
    coding::Reader,
    lite::{FrameHeader, Frames, session::deadline},
    tasks::yield_now,
};

/// Bytes of frames that one session has received in part.
#[derive(Default)]
pub(crate) struct Assembly(AtomicUsize);

/// The part of it that one frame has.
struct Share<'a> {
    assembly: &'a Assembly,
    bytes: usize,
}

impl Share<'_> {
    /// Counts what has arrived.
    ///
    /// # Errors
    /// [`Error::FrameTooLarge`] when all unfinished frames of the session together have become too large.
    fn grow(&mut self, bytes: usize, runtime: &Runtime) -> Result<()> {
        self.bytes += bytes;
        let before = self.assembly.0.fetch_add(bytes, Ordering::Relaxed);
        let limits = runtime.limits();
        let limit = limits.max_frame.saturating_add(limits.assembly_bytes);
        match before.saturating_add(bytes) > limit {
            true => Err(Error::FrameTooLarge),
            false => Ok(()),
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.assembly.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Chunks read before other streams get a turn.
const TURN: usize = 16;

/// Reads frames until the end of the stream, and finishes the group.
///
/// All frames that have arrived are handed over together, so that readers wake once. A frame that has not arrived whole is
/// handed over in pieces, as they come.
///
/// # Errors
/// What broke the stream or the rules; the group is then for the caller to abort.
pub(crate) async fn receive<R: wt::RecvStream>(
    runtime: &Runtime,
    assembly: &Assembly,
    recv: &mut Reader<R>,
    group: &GroupProducer,
) -> Result<()> {
    let mut headers = Frames::new(recv.version(), group.timescale().is_some());
    let mut whole = Vec::new();
    let mut turn = 0;
    loop {
        let partial = loop {
            let Some(header) = headers.try_read(recv)? else {
                break None;
            };
            let frame = check(runtime, group, header)?;
            match recv.take_exact(frame.size) {
                Some(payload) => whole.push((frame.timestamp, payload)),
                None => break Some(frame),
            }
        };
        if !whole.is_empty() {
            group.write_frames(whole.drain(..))?;
        }
        if let Some(frame) = partial {
            pieces(runtime, assembly, recv, group, frame).await?;
            continue;
        }
        turn += 1;
        if turn % TURN == 0 {
            yield_now().await;
        }
        // Silence between frames is the publisher's business; inside a header it is a fault.
        let more = match recv.has_buffered() {
            true => deadline(runtime, runtime.limits().stall, recv.fill()).await?,
            false => recv.fill().await?,
        };
        if !more {
            return match recv.has_buffered() {
                true => Err(Error::WrongSize),
                false => group.finish(),
            };
        }
    }
}

/// What the header says, if it is allowed.
fn check(runtime: &Runtime, group: &GroupProducer, header: FrameHeader) -> Result<Frame> {
    let size = usize::try_from(header.size).map_err(|_| Error::FrameTooLarge)?;
    if size > runtime.limits().max_frame {
        return Err(Error::FrameTooLarge);
    }
    let timestamp = header.timestamp.zip(group.timescale());
    Ok(Frame {
        size,
        timestamp: timestamp.map(|(value, scale)| Timestamp::new(value, scale)),
    })
}

/// Hands a frame over as its bytes come.
async fn pieces<R: wt::RecvStream>(
    runtime: &Runtime,
    assembly: &Assembly,
    recv: &mut Reader<R>,
    group: &GroupProducer,
    frame: Frame,
) -> Result<()> {
    let producer = group.create_frame(frame)?;
    let mut left = frame.size;
    let mut share = Share { assembly, bytes: 0 };
    while left > 0 {
        let piece = deadline(runtime, runtime.limits().stall, recv.read_exact_chunk(left)).await;
        match piece {
            Ok(piece) => {
                left -= piece.len();
                share.grow(piece.len(), runtime).inspect_err(|error| {
                    let _over = producer.abort(error.clone());
                })?;
                producer.write(piece)?;
            }
            Err(error) => {
                // The frame fails for the reason, not for having lost its owner.
                let _over = producer.abort(error.clone());
                return Err(error);
            }
        }
    }
    producer.finish()
}
