//! Answering TRACK: the properties of a track.

use std::sync::Arc;

use web_transport_trait as wt;

use super::{Refusal, Served, delivered, lookup, request, unless_abandoned};
use crate::{
    Timescale,
    lite::{Reader, Writer},
    lite::{TrackInfo, TrackQuery, session::Link},
};

/// Answers with TRACK_INFO once the properties are known, which may take an upstream.
pub(super) async fn serve<T: wt::Session>(
    link: &Arc<Link<T>>,
    send: &mut Writer<T::SendStream>,
    recv: &mut Reader<T::RecvStream>,
) -> Served {
    let query: TrackQuery = request(link, recv).await?;
    let info = Box::pin(lookup::track(
        link,
        &query.broadcast,
        &query.track,
        lookup::Proof::Exists,
        |track| async move { track.info().await.map_err(Refusal::data) },
    ));
    let info = unless_abandoned(recv, true, info).await?;
    send.put(&TrackInfo {
        priority: info.priority,
        cache: info.cache,
        // Untimed tracks have milliseconds on a wire that knows no others.
        timescale: info.timescale.unwrap_or(Timescale::MILLI),
    })
    .map_err(Refusal::control)?;
    delivered(send).await.map_err(Refusal::control)?;
    // Stopping the other half would end the stream, and it is the requester's to say when: it may keep the stream for the credit
    // that comes back with its end.
    match recv.finished().await {
        Err(error) if !recv.is_over() => Err(Refusal::control(error)),
        _ => Ok(()),
    }
}
