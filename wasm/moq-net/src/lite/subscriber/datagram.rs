//! Groups that come as datagrams.

use std::sync::{Arc, atomic::Ordering};

use web_transport_trait as wt;

use crate::{
    Timestamp,
    lite::{Datagram, session::Link},
};

/// Takes datagrams into the tracks they belong to. Whatever is wrong with one, it is dropped and nothing else happens.
pub(super) async fn receive<T: wt::Session>(link: Arc<Link<T>>) {
    while let Ok(body) = link.transport.recv_datagram().await {
        let taken = match Datagram::decode(body, link.version) {
            Ok(datagram) => take(&link, datagram).await,
            Err(_) => None,
        };
        if taken.is_none() {
            let refused = &link.runtime.gauges().refused_datagrams;
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `None` for a datagram that belongs nowhere.
async fn take<T: wt::Session>(link: &Link<T>, datagram: Datagram) -> Option<()> {
    let subscription = link.subscriptions.get(datagram.subscribe)?;
    subscription.arrive(datagram.sequence).ok()?;
    // Versions with datagrams know the track before they subscribe: this does not wait.
    let track = subscription.track().await?;
    let scale = track.info().timescale;
    let timestamp = scale.map(|scale| Timestamp::new(datagram.timestamp, scale));
    link.held.received.add_datagram(datagram.payload.len());
    let written = track.write_datagram_at(datagram.sequence, datagram.payload, timestamp);
    if written.is_ok() {
        subscription.account(datagram.sequence);
    }
    Some(())
}
