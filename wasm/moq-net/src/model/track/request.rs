//! A track that somebody wants and nobody has confirmed.

use std::{sync::Arc, task::Poll};

use kio::Waiter;

use super::{
    Shared, Subscription, TrackConsumer, TrackDynamic, TrackInfo, TrackProducer, dynamic::Handler,
    producer::poll_changed, shared::Owner, subscription::Aggregate,
};
use crate::{Error, Result, Runtime};

/// A request for a track. Answer it with [`accept`](Self::accept) or [`reject`](Self::reject); dropping it fails everybody who
/// waits with [`Error::Dropped`].
///
/// It takes fetches from its birth on. To go on serving them after `accept`, make a [`dynamic`](Self::dynamic) handler before.
pub struct TrackRequest {
    handler: Handler,
    reported: Option<Aggregate>,
    answered: bool,
}

impl TrackRequest {
    /// A request made by hand. Requests usually come from [`BroadcastDynamic`](crate::BroadcastDynamic).
    pub fn new(name: impl Into<Arc<str>>, runtime: &Runtime) -> Self {
        let owner = Owner::new(Shared::new(name.into(), None, runtime));
        Self {
            handler: Handler::new(owner),
            reported: None,
            answered: false,
        }
    }

    fn owner(&self) -> &Arc<Owner> {
        self.handler.owner()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.owner().shared
    }

    /// The name that was asked for.
    pub fn name(&self) -> &Arc<str> {
        &self.shared().tag.name
    }

    /// A handle for reading the track.
    pub fn consume(&self) -> TrackConsumer {
        TrackConsumer::new(self.shared().clone())
    }

    /// Confirms the track and fixes its properties, unless a fetch has fixed them before. Everybody who waits for the track goes
    /// on. If the track has failed meanwhile, the producer is inert: writing to it fails.
    pub fn accept(mut self, info: impl Into<Option<TrackInfo>>) -> TrackProducer {
        self.answered = true;
        // On failure the producer is inert.
        let _ = self.shared().set_info(info.into().unwrap_or_default());
        TrackProducer::from_owner(self.owner().clone(), self.reported.take())
    }

    /// Fails everybody who waits, at once, even if handlers of the track are still held.
    pub fn reject(mut self, error: Error) {
        self.answered = true;
        // It may have failed before: then they know already.
        let _ = self.shared().abort(error);
    }

    /// Opts in to serving old groups on request, before and after the track is accepted.
    pub fn dynamic(&self) -> TrackDynamic {
        TrackDynamic::new(self.owner().clone())
    }

    /// What all live subscribers want together; `None` without any.
    pub fn subscription(&self) -> Option<Subscription> {
        self.shared().aggregate().map(|all| all.subscription)
    }

    /// Whether some subscriber set no `group_start`; see [`TrackProducer::has_open_start`].
    pub fn has_open_start(&self) -> bool {
        self.shared().aggregate().is_some_and(|all| all.open_start)
    }

    /// The next change is reported as to somebody who knows of no subscriber.
    pub(crate) fn forget_reported(&mut self) {
        self.reported = None;
    }

    /// Ready when the wish of all subscribers differs from the one reported last, by this request or later by its producer.
    /// `None` without subscribers, also when the track has failed.
    pub fn poll_subscription_changed(&mut self, waiter: &Waiter) -> Poll<Option<Subscription>> {
        self.poll_wish(waiter).map(|wish| wish.unwrap_or(None))
    }

    /// As [`poll_subscription_changed`](Self::poll_subscription_changed), with the error of a track that has ended while nobody
    /// had answered.
    pub(crate) fn poll_wish(&mut self, waiter: &Waiter) -> Poll<Result<Option<Subscription>>> {
        let mut reported = self.reported.take();
        let changed = poll_changed(self.owner(), &mut reported, waiter);
        self.reported = reported;
        changed
    }

    /// Waits for a change; see [`poll_subscription_changed`](Self::poll_subscription_changed).
    pub async fn subscription_changed(&mut self) -> Option<Subscription> {
        kio::wait(|waiter| self.poll_subscription_changed(waiter)).await
    }

    /// Ready while nobody holds the track any more.
    pub fn poll_unused(&self, waiter: &Waiter) -> Poll<()> {
        self.shared().channel.poll_unused(waiter).map(|_| ())
    }

    /// Waits until nobody holds the track any more.
    pub async fn unused(&self) {
        kio::wait(|waiter| self.poll_unused(waiter)).await;
    }
}

impl Drop for TrackRequest {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.shared().abort(Error::Dropped);
        }
    }
}
