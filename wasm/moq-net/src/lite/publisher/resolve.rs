//! From a SUBSCRIBE to the track it names and what it asks of it.

use std::{pin::pin, sync::Arc, task::Poll, time::Duration};

use web_transport_trait as wt;

use super::{Refusal, Served, lookup};
use crate::{
    Subscription, TrackSubscriber, Version,
    lite::Reader,
    lite::{Preferences, Subscribe, SubscribeUpdate, session::Link},
};

/// A track that is going to be served.
pub(super) struct Resolved {
    pub(super) subscriber: TrackSubscriber,
    pub(super) preferences: Preferences,
    /// The newest group when it was asked for.
    pub(super) edge: Option<u64>,
}

/// Finds the track and subscribes to it, while the subscriber may still change its mind or leave (`None`).
pub(super) async fn resolve<T: wt::Session>(
    link: &Arc<Link<T>>,
    recv: &mut Reader<T::RecvStream>,
    subscribe: Subscribe,
) -> Served<Option<Resolved>> {
    let version = link.version;
    let mut preferences = subscribe.preferences;
    let wish = wish_of(version, &preferences);
    let found = lookup::track(
        link,
        &subscribe.broadcast,
        &subscribe.track,
        lookup::Proof::Exists,
        |track| async move {
            // Before anything comes that is answer to this subscription: a burst may come newest first.
            let edge = track.latest();
            let pending = track.subscribe(wish).map_err(Refusal::data)?;
            let subscriber = pending.await.map_err(Refusal::data)?;
            Ok((subscriber, edge))
        },
    );
    let mut found = pin!(found);
    loop {
        let mut update = pin!(recv.decode_maybe::<SubscribeUpdate>());
        let step = std::future::poll_fn(|cx| {
            if let Poll::Ready(found) = found.as_mut().poll(cx) {
                return Poll::Ready(Ok(found));
            }
            update.as_mut().poll(cx).map(Err)
        })
        .await;
        match step {
            Ok(found) => {
                let (subscriber, edge) = found?;
                subscriber.update(wish_of(version, &preferences));
                return Ok(Some(Resolved {
                    subscriber,
                    preferences,
                    edge,
                }));
            }
            Err(update) => match update.map_err(Refusal::control)? {
                Some(update) => preferences = update.preferences,
                None => return Ok(None),
            },
        }
    }
}

/// Whether the subscriber wants groups in sequence. Where it cannot say so, one that waits for a second or more reads everything.
pub(super) fn is_ordered(version: Version, preferences: &Preferences) -> bool {
    match version.has_ordered() {
        true => preferences.ordered,
        false => version.has_update() && preferences.max_latency >= Duration::from_secs(1),
    }
}

/// What the preferences ask of the track.
pub(super) fn wish_of(version: Version, preferences: &Preferences) -> Subscription {
    Subscription {
        priority: preferences.priority,
        ordered: is_ordered(version, preferences),
        max_latency: preferences.max_latency,
        group_start: preferences.group_start,
        group_end: preferences.group_end,
    }
}
