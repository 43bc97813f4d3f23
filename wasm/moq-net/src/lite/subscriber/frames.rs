//! From the bytes of a stream to the frames of a group, for group streams and fetches alike.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use web_transport_trait as wt;

use super::assembly::Assembly;
use crate::{
    Error, Frame, GroupProducer, Result, Runtime, Timestamp,
    cost::traffic::Count,
    lite::Reader,
    lite::{
        Compression, FrameHeader, Frames,
        session::{kio_poll, poll_some},
    },
    tasks::yield_now,
};

/// Chunks read before other streams get a turn.
const TURN: usize = 16;

/// Under what conditions frames are taken.
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
    intake: &Intake<'_>,
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
        // Before anything of it is here, nothing is made for it: a size is only a promise.
        if partial.is_some() && !recv.has_buffered() && !more(runtime, recv, true).await? {
            return Err(Error::WrongSize);
        }
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
        let begun = recv.has_buffered();
        if !more(runtime, recv, begun).await? {
            return match recv.has_buffered() {
                true => Err(Error::WrongSize),
                false => group.finish(),
            };
        }
    }
}

/// A publisher that has begun a frame and does not go on.
const fn stalled(limit: Duration) -> Error {
    let what = "the rest of a frame";
    Error::Late { what, limit }
}

/// Waits for more of the stream; false at its end. Silence between frames is the publisher's business; once a frame or its header
/// has `begun` it is a fault.
async fn more<R: wt::RecvStream>(
    runtime: &Runtime,
    recv: &mut Reader<R>,
    begun: bool,
) -> Result<bool> {
    let limit = runtime.limits().stall;
    let mut timer = begun.then(|| runtime.sleep(limit));
    let mut fill = pin!(recv.fill());
    poll_fn(|cx| match fill.as_mut().poll(cx) {
        Poll::Ready(more) => Poll::Ready(more),
        Poll::Pending => poll_some(&mut timer, cx).map(|()| Err(stalled(limit))),
    })
    .await
}

/// Takes the frames that have arrived whole into `whole`. The one after them, if its header is there.
fn arrived<R: wt::RecvStream>(
    intake: &Intake<'_>,
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
    fn unpack(&self, packed: Bytes) -> Result<Bytes> {
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
    intake: &Intake<'_>,
    recv: &mut Reader<R>,
    size: usize,
    mut write: impl FnMut(Bytes) -> Result<()>,
) -> Result<()> {
    let runtime = intake.runtime;
    let mut left = size;
    let share = intake.assembly.begin(intake.priority);
    while left > 0 {
        // Futures are made where they stay: one that is handed on is held twice, and there may be thousands of these.
        let piece = {
            let mut timer = runtime.sleep(runtime.limits().stall);
            let mut read = pin!(recv.read_exact_chunk(left));
            kio_poll(|waiter, cx| {
                if share.poll_given_up(waiter).is_ready() {
                    return Poll::Ready(Err(Error::FrameTooLarge));
                }
                match read.as_mut().poll(cx) {
                    Poll::Ready(read) => Poll::Ready(read),
                    Poll::Pending => timer
                        .as_mut()
                        .poll(cx)
                        .map(|()| Err(stalled(runtime.limits().stall))),
                }
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
