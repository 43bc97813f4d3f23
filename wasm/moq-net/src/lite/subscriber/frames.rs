//! From the bytes of a stream to the frames of a group, for group streams and fetches alike.

use std::task::Poll;

use web_transport_trait as wt;

use super::assembly::Assembly;
use crate::{
    Error, Frame, FrameProducer, GroupProducer, Result, Runtime, Timestamp,
    coding::Reader,
    lite::{
        FrameHeader, Frames,
        session::{deadline, kio_poll},
    },
    tasks::yield_now,
};

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
    priority: u8,
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
        if kio::fault::mutant("lose-frame") && whole.len() > 1 {
            whole.pop();
        }
        if !whole.is_empty() {
            group.write_frames(whole.drain(..))?;
        }
        if let Some(frame) = partial {
            let producer = group.create_frame(frame)?;
            let taken = pieces(runtime, assembly, priority, recv, &producer).await;
            if let Err(error) = &taken {
                // The frame fails for the reason, not for having lost its owner.
                let _over = producer.abort(error.clone());
            }
            taken?;
            producer.finish()?;
            continue;
        }
        turn += 1;
        if turn % TURN == 0 || kio::fault::delay(10) {
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
    priority: u8,
    recv: &mut Reader<R>,
    frame: &FrameProducer,
) -> Result<()> {
    let mut left = frame.info().size;
    let share = assembly.begin(priority);
    while left > 0 {
        let piece = {
            let read = deadline(runtime, runtime.limits().stall, recv.read_exact_chunk(left));
            let mut read = std::pin::pin!(read);
            kio_poll(|waiter, cx| match share.poll_given_up(waiter) {
                Poll::Ready(()) => Poll::Ready(Err(Error::FrameTooLarge)),
                Poll::Pending => read.as_mut().poll(cx),
            })
            .await?
        };
        left -= piece.len();
        share.grow(piece.len());
        frame.write(piece)?;
    }
    Ok(())
}
