//! Tracks of broadcasts that the peer has not announced.

use std::sync::Arc;

use web_transport_trait as wt;

use crate::lite::{serve, session::Link};

/// Serves what is asked of the peer, announced or not, once it is known who it is.
pub(super) fn start<T: wt::Session>(link: &Arc<Link<T>>) {
    let Some(supply) = link.supply.clone() else {
        return;
    };
    let link = link.clone();
    link.tasks.clone().push(async move {
        link.peer_setup().await;
        let answering = supply.open(link.viewer());
        // It may have told another name while this one was written down.
        supply.rename(link.viewer());
        loop {
            let ask = kio::wait(|waiter| answering.poll_ask(waiter)).await;
            let track = serve::serve_back(link.clone(), ask.path, ask.request, ask.back);
            link.tasks.push(track);
        }
    });
}
