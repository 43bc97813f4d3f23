//! The half of a session that serves what the peer asks for.

mod announce;
mod fetch;
mod frames;
mod group;
mod lookup;
mod order;
mod pins;
mod resolve;
mod subscribe;
mod track;

use std::sync::Arc;

use web_transport_trait as wt;

pub(super) use lookup::Lookups;
pub(super) use pins::Pins;

use super::{ControlType, Version, drain, estimate, session::Link};
use crate::{
    Error, Result, Subject,
    cost::held::{Gauge, Seat},
    lite::{Reader, Writer},
};

/// Serves every stream the peer opens for a request.
pub(super) fn start<T: wt::Session>(link: &Arc<Link<T>>) {
    let link = link.clone();
    link.tasks.clone().push(async move {
        // The end of the transport ends the session; there is nothing to do about it here.
        while let Ok((send, recv)) = link.transport.accept_bi().await {
            let mut send = Writer::new(send, link.version);
            send.set_priority(super::session::CONTROL_ORDER);
            let recv = link.reader(recv);
            link.tasks.push(stream(link.clone(), send, recv));
        }
    });
}

/// Reads what a stream is for, and serves it.
async fn stream<T: wt::Session>(
    link: Arc<Link<T>>,
    mut send: Writer<T::SendStream>,
    mut recv: Reader<T::RecvStream>,
) {
    let _seat = link.held.seat(Gauge::Streams);
    let limit = link.runtime.limits().control_timeout;
    let kind = match link.deadline(limit, recv.decode_maybe()).await {
        Ok(Some(kind)) => kind,
        // Over before it began: nobody is concerned.
        Ok(None) => {
            link.count_reset();
            return link.count_empty();
        }
        Err(_) if recv.is_over() => {
            link.count_reset();
            return link.count_empty();
        }
        Err(error) => return link.refuse(&mut send, &mut recv, &error, Subject::Control),
    };
    let served = match kind {
        ControlType::Announce => announce::serve(&link, &mut send, &mut recv).await,
        ControlType::Subscribe => subscribe::serve(&link, &mut send, &mut recv).await,
        ControlType::Fetch => fetch::serve(&link, &mut send, &mut recv).await,
        ControlType::Track => track::serve(&link, &mut send, &mut recv).await,
        ControlType::Probe => Box::pin(estimate::serve(&link, &mut send, &mut recv))
            .await
            .map_err(Refusal::control),
        ControlType::Goaway => drain::receive(&link, &mut recv)
            .await
            .map_err(Refusal::control),
        // Only ever the first stream, before the session exists.
        ControlType::Session => Err(Refusal::control(Error::UnexpectedStream)),
    };
    match served {
        Ok(()) => {}
        Err(Refusal { error, subject }) => {
            tracing::debug!(?kind, %error, "request ended");
            // Published peers also reset what has been answered.
            if recv.was_reset() && !send.is_finished() {
                link.count_reset();
            }
            link.refuse(&mut send, &mut recv, &error, subject);
        }
    }
}

/// Why a request is not served, and what the reason is about: the same error has different codes.
#[derive(Debug, Clone)]
struct Refusal {
    error: Error,
    subject: Subject,
}

impl Refusal {
    /// About the request itself.
    fn control(error: Error) -> Self {
        let subject = Subject::Control;
        Self { error, subject }
    }

    /// About the broadcast it names.
    fn route(error: Error) -> Self {
        let subject = Subject::Route;
        Self { error, subject }
    }

    /// About the track or group it names.
    fn data(error: Error) -> Self {
        let subject = Subject::Data;
        Self { error, subject }
    }
}

type Served<V = ()> = Result<V, Refusal>;

/// Reads the one request of a stream, then waits until the session may answer.
async fn request<T: wt::Session, M: crate::coding::Decode<Version>>(
    link: &Link<T>,
    recv: &mut Reader<T::RecvStream>,
) -> Served<M> {
    let limit = link.runtime.limits().control_timeout;
    let request = link.deadline(limit, recv.decode()).await;
    let request = request.map_err(Refusal::control)?;
    // Who asks decides what may be shown.
    link.peer_setup().await;
    Ok(request)
}

/// One of the things that a session may have so many of at a time.
fn seat<T: wt::Session>(link: &Link<T>, gauge: Gauge, limit: usize) -> Served<Seat> {
    let seat = link.held.seat(gauge);
    match link.held.get(gauge) > limit {
        // Later there may be room.
        true => Err(Refusal::control(Error::NoCapacity(match gauge {
            Gauge::Interests => "this session has as many announce streams as it may (interests)",
            _ => "this session has as many subscriptions as it may (subscriptions)",
        }))),
        false => {
            link.held.mark(gauge);
            Ok(seat)
        }
    }
}

/// Waits until the requester is gone: it finished its side early (which cancels), reset it, or sent what it may not.
async fn abandoned<R: wt::RecvStream>(recv: &mut Reader<R>, fin_cancels: bool) -> Refusal {
    match recv.finished().await {
        Ok(()) if fin_cancels => Refusal::control(Error::Cancel),
        Ok(()) => std::future::pending().await,
        Err(error) => Refusal::control(error),
    }
}

/// Runs `work` until it is done or the requester is gone.
async fn unless_abandoned<V, R: wt::RecvStream>(
    recv: &mut Reader<R>,
    fin_cancels: bool,
    work: impl Future<Output = Served<V>>,
) -> Served<V> {
    let gone = async { Err(abandoned(recv, fin_cancels).await) };
    super::session::first(work, gone).await
}

/// Waits until the end of the stream has arrived, so that letting go of it cannot discard the tail.
async fn delivered<S: wt::SendStream>(send: &mut Writer<S>) -> Result<()> {
    send.finish().await?;
    send.closed().await
}
