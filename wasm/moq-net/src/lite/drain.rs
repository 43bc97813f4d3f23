//! Draining a session: telling the peer to move, and being told.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Poll,
};

use web_transport_trait as wt;

use super::{ControlType, Goaway, session::Link};
use crate::{Error, Result, lite::Reader};

/// Waits until this side wants the session drained.
pub(super) fn start<T: wt::Session>(link: &Arc<Link<T>>) {
    link.tasks.push(drain(link.clone()));
}

/// Sends GOAWAY where the version has it, then closes the session when its time is over.
async fn drain<T: wt::Session>(link: Arc<Link<T>>) {
    let uri = kio::wait(|waiter| {
        link.control.state.poll(waiter, |state| match &state.drain {
            Some(uri) => Poll::Ready(uri.clone()),
            None => Poll::Pending,
        })
    })
    .await;

    if kio::fault::mutant("drain-for-ever") {
        return;
    }
    let mut timer = link.runtime.sleep(link.runtime.limits().drain);
    if link.version.has_goaway() {
        link.tasks.push({
            let link = link.clone();
            async move {
                if let Err(error) = send(&link, &uri).await {
                    tracing::debug!(%error, "goaway was not sent");
                }
            }
        });
    }
    std::future::poll_fn(|cx| timer.as_mut().poll(cx)).await;
    link.fail(Error::GoingAway);
}

async fn send<T: wt::Session>(link: &Link<T>, uri: &str) -> Result<()> {
    let (mut send, _recv) = link.open().await?;
    send.put(&ControlType::Goaway)?;
    send.put(&Goaway {
        uri: uri.to_owned(),
    })?;
    send.finish().await?;
    send.closed().await
}

/// Takes the peer's GOAWAY. A malformed one is ignored; a second one ends the session.
pub(super) async fn receive<T: wt::Session>(
    link: &Link<T>,
    recv: &mut Reader<T::RecvStream>,
) -> Result<()> {
    let goaway: Goaway = recv.decode().await?;
    let again = link.going_away.swap(true, Ordering::Relaxed);
    if again {
        link.fail(Error::ProtocolViolation);
        return Err(Error::ProtocolViolation);
    }
    link.control.state.lock().goaway = Some(goaway.uri.into());
    recv.finished().await
}
