//! One past group from upstream.

use std::{sync::Arc, task::Poll};

use web_transport_trait as wt;

use super::Source;
use crate::{
    Error, GroupProducer, GroupRequest, Result, Sleep, TrackInfo,
    cost::{peaks::Peak, traffic::Count},
    lite::{Compression, ControlType, Fetch, FetchOk, session::kio_poll, subscriber},
    lite::{Reader, Writer},
};

/// Answers `request` with what the peer has. Every way out answers it.
pub(super) async fn serve<T: wt::Session>(source: Arc<Source<T>>, request: GroupRequest) {
    let fetches = source.link.runtime.fetches();
    let mut permit = None;
    let answer = {
        let mut answer = std::pin::pin!(async {
            permit = Some(fetches.acquire().await);
            let runtime = &source.link.runtime;
            runtime.mark(Peak::TotalFetches, fetches.taken());
            ask(&source, &request).await
        });
        kio_poll(|waiter, cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer),
            // Everybody who asked is gone.
            Poll::Pending => request.poll_unused(waiter).map(|()| Err(Error::Cancel)),
        })
        .await
    };
    let (mut send, mut recv, answer) = match answer {
        Ok(answer) => answer,
        Err(error) => return request.reject(error.of_sender()),
    };
    let intake = subscriber::Intake {
        runtime: &source.link.runtime,
        assembly: &source.link.assembly,
        priority: request.priority(),
        compression: answer.compression,
    };
    if let Err(error) = source.agree(answer.info) {
        refuse(&mut send, &mut recv, &error);
        return request.reject(error);
    }
    let group = match request.accept_from(answer.info, answer.first) {
        Ok(group) => group,
        // It came another way meanwhile, or the track is over.
        Err(error) => return refuse(&mut send, &mut recv, &error),
    };
    source.set_info(answer.info);
    source.link.held.received.add(Count::Fetches, 1);
    match fill(&intake, &mut recv, &group).await {
        Ok(()) => {
            // Only now: an earlier FIN would have been a cancel. What becomes of it changes nothing.
            let _sent = send.finish().await;
        }
        Err(error) => {
            refuse(&mut send, &mut recv, &error);
            source.link.check(&error);
            // A truncated group must not pass for a whole one; it may have failed by itself.
            let _over = group.abort(error.of_sender());
        }
    }
}

/// What a publisher said before the frames.
struct Answer {
    info: TrackInfo,
    /// The first frame that comes.
    first: u64,
    compression: Compression,
}

/// Both halves of the stream, and the answer on it.
type Answered<T> = (
    Writer<<T as wt::Session>::SendStream>,
    Reader<<T as wt::Session>::RecvStream>,
    Answer,
);

/// Sends FETCH and waits for the first sign of an answer: the streams, the properties, and the first frame that comes.
async fn ask<T: wt::Session>(source: &Source<T>, request: &GroupRequest) -> Result<Answered<T>> {
    let link = &source.link;
    if !link.version.has_fetch() {
        return Err(Error::Version);
    }
    // Whoever serves others asks for the whole group: without its head it would be of no use to the next reader. Where the
    // version cannot say more, all of it comes, and the reader skips what it did not want.
    let first = match link.whole_groups || !link.version.has_fetch_frame_start() {
        true => 0,
        false => request.frame_start(),
    };
    let (mut send, mut recv) = link.request().await?;
    send.put(&ControlType::Fetch)?;
    send.put(&Fetch {
        broadcast: source.path.clone(),
        track: source.name.to_string(),
        priority: request.priority(),
        group: request.sequence(),
        frame_start: first,
        frame_end: None,
    })?;
    let limit = link.runtime.limits().control_timeout;
    let info = link.awaited("the answer to FETCH", limit, async {
        send.flush().await?;
        if link.version.has_fetch_ok() {
            let ok: FetchOk = recv.decode().await?;
            return check(&ok, request.sequence());
        }
        // The first byte or the FIN is the answer, readable once the properties are known.
        recv.ready().await?;
        Ok((source.info().await, Compression::None))
    });
    let (info, compression) = info.await.inspect_err(|error| link.check(error))?;
    let answer = Answer {
        info,
        first,
        compression,
    };
    Ok((send, recv, answer))
}

/// What FETCH_OK says about the group.
fn check(ok: &FetchOk, sequence: u64) -> Result<(TrackInfo, Compression)> {
    if ok.group != sequence {
        return Err(Error::ProtocolViolation);
    }
    Ok((
        TrackInfo::default().with_timescale(ok.timescale),
        ok.compression,
    ))
}

/// Copies the frames until the end, or until nobody has read the group for so long that nobody will.
async fn fill<R: wt::RecvStream>(
    intake: &subscriber::Intake<'_>,
    recv: &mut Reader<R>,
    group: &GroupProducer,
) -> Result<()> {
    let runtime = intake.runtime;
    let mut unread: Option<Sleep> = None;
    let mut received = std::pin::pin!(subscriber::receive(intake, recv, group));
    kio_poll(|waiter, cx| {
        if let Poll::Ready(received) = received.as_mut().poll(cx) {
            return Poll::Ready(received);
        }
        if group.poll_unused(waiter).is_pending() {
            unread = None;
            return Poll::Pending;
        }
        let timer = unread.get_or_insert_with(|| runtime.sleep(runtime.limits().linger));
        timer.as_mut().poll(cx).map(|()| Err(Error::Cancel))
    })
    .await
}

fn refuse<S: wt::SendStream, R: wt::RecvStream>(
    send: &mut Writer<S>,
    recv: &mut Reader<R>,
    error: &Error,
) {
    send.reset(error);
    recv.stop(error);
}
