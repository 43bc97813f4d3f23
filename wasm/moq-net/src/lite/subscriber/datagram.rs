//! Groups that come as datagrams.

use std::sync::Arc;

use web_transport_trait as wt;

use crate::{
    Timestamp,
    lite::{Datagram, session::Link},
};

/// Takes datagrams into the tracks they belong to. Whatever is wrong with one, it is dropped and nothing else happens.
pub(super) async fn receive<T: wt::Session>(link: Arc<Link<T>>) {
    while let Ok(body) = link.transport.recv_datagram().await {
        let Ok(datagram) = Datagram::decode(body, link.version) else {
            continue;
        };
        take(&link, datagram).await;
    }
}

async fn take<T: wt::Session>(link: &Link<T>, datagram: Datagram) {
    let Some(subscription) = link.subscriptions.get(datagram.subscribe) else {
        return;
    };
    if subscription.arrive(datagram.sequence).is_err() {
        return;
    }
    // Versions with datagrams know the track before they subscribe: this does not wait.
    let Some(track) = subscription.track().await else {
        return;
    };
    let scale = track.info().timescale;
    let timestamp = scale.map(|scale| Timestamp::new(datagram.timestamp, scale));
    let written = track.write_datagram_at(datagram.sequence, datagram.payload, timestamp);
    if written.is_ok() {
        subscription.account();
    }
}
