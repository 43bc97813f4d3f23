//! Hearing what the peer has to read.

use std::{sync::Arc, task::Poll};

use web_transport_trait as wt;

use super::routes::Routes;
use crate::{
    Error, PathOwned, Result,
    cost::held::{Gauge, Seat},
    lite::Reader,
    lite::{
        Announce, AnnounceDecoder, AnnounceInit, AnnounceOk, AnnounceRequest, ControlType,
        session::{Link, kio_poll},
    },
};

/// Asks for announcements below every prefix that may be filled.
pub(super) fn start<T: wt::Session>(link: &Arc<Link<T>>) {
    let Some(origin) = &link.subscribe else {
        return;
    };
    for prefix in origin.allowed() {
        let link = link.clone();
        link.tasks.clone().push(async move {
            match hear(&link, prefix).await {
                // Finished or refused: the routes of this stream are withdrawn, and that is all.
                Ok(()) => {}
                Err(Failure::Stream(error)) => {
                    tracing::debug!(%error, "announcements ended");
                    link.control.bid_farewell(&error, link.runtime.now());
                }
                Err(Failure::Session(error)) => link.fail(error),
            }
        });
    }
}

/// What a failure ends.
enum Failure {
    /// These announcements.
    Stream(Error),
    /// Everything: what was announced cannot be trusted any more.
    Session(Error),
}

/// Sorts the errors of reading: bytes that are no message against a stream or session that broke.
fn reading(error: Error) -> Failure {
    match error {
        Error::Decode(_) | Error::BoundsExceeded | Error::TooManyParameters => {
            Failure::Session(Error::ProtocolViolation)
        }
        other => Failure::Stream(other),
    }
}

async fn hear<T: wt::Session>(link: &Arc<Link<T>>, prefix: PathOwned) -> Result<(), Failure> {
    let (mut send, mut recv) = link.open().await.map_err(Failure::Stream)?;
    let request = AnnounceRequest {
        prefix: prefix.clone(),
        exclude_hop: Some(link.hop().id),
        hidden: true,
    };
    send.put(&ControlType::Announce)
        .and_then(|()| send.put(&request))
        .map_err(Failure::Stream)?;
    send.flush().await.map_err(Failure::Stream)?;

    let mut decoder = AnnounceDecoder::new(link.version);
    let mut routes = Routes::new(link.clone(), prefix);
    let mut seat = link.held.seat(Gauge::Announcements);
    seat.set(0);
    begin(link, &mut recv, &mut decoder, &mut routes, &mut seat).await?;
    loop {
        let message = match next(link, &mut recv, &routes).await {
            Next::Message(message) => message.map_err(reading)?,
            Next::Draining => {
                routes.drain();
                continue;
            }
        };
        let Some(message) = message else { break };
        // Who changes too much is not read for a while: nothing is lost by it, and the others have their turn.
        link.announcing.wait(&link.runtime).await;
        let event = decoder.decode(message).map_err(violation)?;
        count(link, &mut seat, decoder.len())?;
        if let Some(event) = event {
            routes.apply(event);
        }
    }
    // Its end is answered in kind; what becomes of that changes nothing.
    let _sent = send.finish().await;
    Ok(())
}

/// Takes note of how many announcements of this stream are live.
fn count<T: wt::Session>(link: &Link<T>, seat: &mut Seat, live: usize) -> Result<(), Failure> {
    seat.set(live);
    let all = link.runtime.gauges().held(Gauge::Announcements);
    let limit = if link.held.get(Gauge::Announcements) > link.announces {
        "announces"
    } else if all > link.runtime.limits().total_announces {
        "total_announces"
    } else {
        link.held.mark(Gauge::Announcements);
        return Ok(());
    };
    link.exceed(limit);
    Err(Failure::Session(Error::BoundsExceeded))
}

enum Next {
    Message(Result<Option<Announce>>),
    /// The peer has said that it will go.
    Draining,
}

/// What happens next on the stream of announcements.
async fn next<T: wt::Session>(
    link: &Link<T>,
    recv: &mut Reader<T::RecvStream>,
    routes: &Routes<T>,
) -> Next {
    let mut message = std::pin::pin!(recv.decode_maybe());
    kio_poll(|waiter, cx| {
        if !routes.is_draining() && link.control.poll_going_away(waiter).is_ready() {
            return Poll::Ready(Next::Draining);
        }
        message.as_mut().poll(cx).map(Next::Message)
    })
    .await
}

/// Reads what comes before the announcements.
async fn begin<T: wt::Session>(
    link: &Arc<Link<T>>,
    recv: &mut Reader<T::RecvStream>,
    decoder: &mut AnnounceDecoder,
    routes: &mut Routes<T>,
    seat: &mut Seat,
) -> Result<(), Failure> {
    let limits = link.runtime.limits();
    if link.version.has_announce_init() {
        recv.set_limit(limits.announce_init);
        let init: AnnounceInit = recv.decode().await.map_err(reading)?;
        recv.set_limit(limits.control_message);
        count(link, seat, init.suffixes.len())?;
        for event in decoder.init(init).map_err(violation)? {
            routes.apply(event);
        }
    }
    if link.version.has_announce_ok() {
        let ok: AnnounceOk = recv.decode().await.map_err(reading)?;
        link.add_peer_hop(ok.hop.unwrap_or(0));
        routes.set_sender(ok.hop.unwrap_or(0));
    }
    // The price of the link is in the peer's SETUP.
    link.peer_setup().await;
    Ok(())
}

/// Whatever is wrong with the meaning of an announcement.
fn violation(_: Error) -> Failure {
    Failure::Session(Error::ProtocolViolation)
}
