//! The half of a session that asks, and takes what the peer sends.

mod announce;
mod assembly;
mod datagram;
mod frames;
mod group;
mod routes;
mod supply;
mod table;

use std::sync::Arc;

use web_transport_trait as wt;

pub(super) use assembly::Assembly;
pub(super) use frames::{Intake, receive};
pub(super) use table::{Registration, Subscriptions};

use super::{DataType, GroupHeader, session::Link};
use crate::{Error, Result, Subject, cost::held::Gauge, lite::Reader};

/// Takes every stream and datagram the peer sends, and asks for its announcements.
pub(super) fn start<T: wt::Session>(link: &Arc<Link<T>>) {
    let streams = link.clone();
    link.tasks.push(async move {
        let link = streams;
        // The end of the transport ends the session; there is nothing to do about it here.
        while let Ok(recv) = link.transport.accept_uni().await {
            link.tasks.push(stream(link.clone(), link.reader(recv)));
        }
    });
    if link.version.has_datagrams() {
        link.tasks.push(datagram::receive(link.clone()));
    }
    announce::start(link);
    supply::start(link);
}

/// Reads what a stream is for, and takes it.
#[expect(
    clippy::manual_async_fn,
    reason = "a parameter of an `async fn` is held twice, what a block captures once: streams that wait must cost little"
)]
fn stream<T: wt::Session>(
    link: Arc<Link<T>>,
    mut recv: Reader<T::RecvStream>,
) -> impl Future<Output = ()> {
    async move {
        let _seat = link.held.seat(Gauge::Streams);
        // Each stage lives on the heap for as long as it lasts, for the same reason.
        let result = match Box::pin(purpose(&link, &mut recv)).await {
            Ok(Some(header)) => Box::pin(group::receive(&link, &mut recv, header)).await,
            Ok(None) => return,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            tracing::trace!(%error, "stream ended");
            link.check(&error);
            recv.stop_about(&error, Subject::Data);
        }
    }
}

/// Reads which group a stream carries; `None` when it carries none and is done with.
///
/// # Errors
/// Why it is refused.
async fn purpose<T: wt::Session>(
    link: &Arc<Link<T>>,
    recv: &mut Reader<T::RecvStream>,
) -> Result<Option<GroupHeader>> {
    let limit = link.runtime.limits().control_timeout;
    match link.deadline(limit, recv.decode_maybe()).await {
        Ok(Some(DataType::Group)) => group::header(link, recv).await.map(Some),
        Ok(Some(DataType::Setup)) => {
            // Whatever is wrong with it, there is no session without it.
            if let Err(error) = setup(link, recv).await {
                link.fail(match error {
                    Error::Decode(_) | Error::TooManyParameters | Error::Timeout => error,
                    _ => Error::ProtocolViolation,
                });
            }
            Ok(None)
        }
        // Over before it began, which no honest peer does often.
        Ok(None) => {
            link.count_reset();
            link.count_empty();
            Ok(None)
        }
        // An honest publisher resets groups that are too old, and the reset may overtake the rest.
        Err(_) if recv.is_over() => {
            link.count_empty();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Takes the peer's SETUP, which may come once.
async fn setup<T: wt::Session>(link: &Link<T>, recv: &mut Reader<T::RecvStream>) -> Result<()> {
    if link.has_setup() {
        return Err(Error::ProtocolViolation);
    }
    let limit = link.runtime.limits().control_timeout;
    let setup = link.deadline(limit, recv.decode()).await?;
    link.receive_setup(setup)?;
    link.deadline(limit, recv.finished()).await
}

/// A stream that nobody asked for.
const UNWANTED: Error = Error::Cancel;
