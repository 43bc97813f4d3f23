//! From the bytes of a stream to the frames of a group, for group streams and fetches alike.

use std::task::Poll;

use bytes::{Bytes, BytesMut};
use web_transport_trait as wt;

use super::assembly::Assembly;
use crate::{
    Error, Frame, GroupProducer, Result, Runtime, Timestamp,
    coding::Reader,
    lite::{
        Compression, FrameHeader, Frames,
        session::{deadline, kio_poll},
    },
    tasks::yield_now,
    traffic::Count,
};

/// Chunks read before other streams get a turn.
const TURN: usize = 16;

/// Under what conditions frames are taken.
#[derive(Clone, Copy)]
pub(in crate::lite) struct Intake<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) assembly: &'a Assembly,
    /// What the publisher was told: it decides who is given up when too much is unfinished.
    pub(crate) priority: u8,
    pub(crate) compression: Compression,
}

/// Reads frames until the end of the stream, and finishes the group.
///
/// All frames that have arrived are handed over together, so that readers wake once. A frame that has not arrived whole is
/// handed over in pieces, as they come.
///
/// # Errors
/// What broke the stream or the rules; the group is then for the caller to abort.
pub(crate) async fn receive<R: wt::RecvStream>(
    intake: Intake<'_>,
    recv: &mut Reader<R>,
    group: &GroupProducer,
) -> Result<()> {
    let runtime = intake.runtime;
    intake.assembly.meter().add(Count::Groups, 1);
    let mut headers = Frames::new(recv.version(), group.timescale().is_some());
    let mut whole = Vec::new();
    let mut turn = 0;
    loop {
        let partial = arrived(intake, &mut headers, recv, group, &mut whole);
        if kio::fault::mutant("lose-frame") && whole.len() > 1 {
            whole.pop();
        }
        // What came before a fault is good.
        if !whole.is_empty() {
            group.write_frames(whole.drain(..))?;
        }
        let partial = partial?;
        if let Some(frame) = partial
            && intake.compression != Compression::None
        {
            // It can only be unpacked as a whole.
            let mut packed = BytesMut::new();
            pieces(intake, recv, frame.size, |piece| {
                packed.extend_from_slice(&piece);
                Ok(())
            })
            .await?;
            let payload = intake.unpack(packed.freeze())?;
            group.write_frames([(frame.timestamp, payload)])?;
            continue;
        }
        if let Some(frame) = partial {
            let producer = group.create_frame(frame)?;
            let taken = pieces(intake, recv, frame.size, |piece| producer.write(piece)).await;
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

/// Takes the frames that have arrived whole into `whole`. The one after them, if its header is there.
fn arrived<R: wt::RecvStream>(
    intake: Intake<'_>,
    headers: &mut Frames,
    recv: &mut Reader<R>,
    group: &GroupProducer,
    whole: &mut Vec<(Option<Timestamp>, Bytes)>,
) -> Result<Option<Frame>> {
    let meter = intake.assembly.meter();
    while let Some(header) = headers.try_read(recv)? {
        let frame = check(intake.runtime, group, header)?;
        // Here and not by the caller, whose future would hold on to every frame that it looks at by reference.
        meter.add(Count::Frames, 1);
        match recv.take_exact(frame.size) {
            Some(packed) => {
                meter.add(Count::Bytes, packed.len());
                whole.push((frame.timestamp, intake.unpack(packed)?));
            }
            None => return Ok(Some(frame)),
        }
    }
    Ok(None)
}

impl Intake<'_> {
    /// The payload in what travelled.
    fn unpack(self, packed: Bytes) -> Result<Bytes> {
        match self.compression {
            Compression::None => Ok(packed),
            compression => compression.unpack(&packed, self.runtime.limits().max_frame),
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

/// Hands the bytes of a frame over as they come.
async fn pieces<R: wt::RecvStream>(
    intake: Intake<'_>,
    recv: &mut Reader<R>,
    size: usize,
    mut write: impl FnMut(Bytes) -> Result<()>,
) -> Result<()> {
    let runtime = intake.runtime;
    let mut left = size;
    let share = intake.assembly.begin(intake.priority);
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
        intake.assembly.meter().add(Count::Bytes, piece.len());
        write(piece)?;
    }
    Ok(())
}
