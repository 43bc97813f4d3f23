//! Serving one subscription: groups as they arrive, until the track or the interest ends.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use kio::Waiter;
use web_transport_trait as wt;

use super::{
    Refusal, Served,
    group::{Outgoing, Streams},
    lookup,
    order::Order,
    request, seat,
};
use crate::{
    Error, GroupConsumer, Result, Subject, Subscription, TrackSubscriber,
    coding::{Reader, Writer},
    held::Gauge,
    lite::{
        Compression, Datagram, Preferences, Subscribe, SubscribeOk, SubscribeReply,
        SubscribeUpdate, TrackProperties,
        session::{Link, kio_poll},
    },
    tasks::BoxFuture,
};

/// Serves one subscription.
pub(super) async fn serve<T: wt::Session>(
    link: &Arc<Link<T>>,
    send: &mut Writer<T::SendStream>,
    recv: &mut Reader<T::RecvStream>,
) -> Served {
    let subscribe: Subscribe = request(link, recv).await?;
    // On the heap from here on: a stream that has asked for nothing must not cost what a served one does.
    Box::pin(subscribed(link, send, recv, subscribe)).await
}

async fn subscribed<T: wt::Session>(
    link: &Arc<Link<T>>,
    send: &mut Writer<T::SendStream>,
    recv: &mut Reader<T::RecvStream>,
    subscribe: Subscribe,
) -> Served {
    let _seat = seat(link, Gauge::Subscriptions, link.subscriptions_served)?;
    let id = subscribe.id;
    let path = subscribe.broadcast.clone();
    let Some((subscriber, preferences)) = resolve(link, recv, subscribe).await? else {
        // Gone before there was anything to serve: as polite as an ordinary end.
        return send.finish().await.map_err(Refusal::control);
    };
    let mut serving = Serving {
        link,
        id,
        order: Order::new(id, preferences.priority),
        preferences,
        subscriber,
        groups: FuturesUnordered::new(),
        started: false,
        declared: false,
        drained: false,
        streams: Arc::default(),
    };
    serving.confirm(send).await.map_err(Refusal::control)?;
    let _watch = link.held.sent.watch(&path);
    let served = serving.run(send, recv).await;
    if let Err(Refusal {
        error,
        subject: Subject::Data,
    }) = &served
    {
        serving.abandon(error);
    }
    served
}

/// Finds the track and subscribes to it, while the subscriber may still change its mind or leave (`None`).
async fn resolve<T: wt::Session>(
    link: &Arc<Link<T>>,
    recv: &mut Reader<T::RecvStream>,
    subscribe: Subscribe,
) -> Served<Option<(TrackSubscriber, Preferences)>> {
    let mut preferences = subscribe.preferences;
    let wish = wish(&preferences);
    let found = lookup::track(
        link,
        &subscribe.broadcast,
        &subscribe.track,
        lookup::Proof::Exists,
        |track| async move {
            let pending = track.subscribe(wish).map_err(Refusal::data)?;
            pending.await.map_err(Refusal::data)
        },
    );
    let mut found = pin!(found);
    loop {
        let mut update = pin!(recv.decode_maybe::<SubscribeUpdate>());
        let step = std::future::poll_fn(|cx| {
            if let Poll::Ready(subscriber) = found.as_mut().poll(cx) {
                return Poll::Ready(Ok(subscriber));
            }
            update.as_mut().poll(cx).map(Err)
        })
        .await;
        match step {
            Ok(subscriber) => {
                let subscriber = subscriber?;
                subscriber.update(self::wish(&preferences));
                return Ok(Some((subscriber, preferences)));
            }
            Err(update) => match update.map_err(Refusal::control)? {
                Some(update) => preferences = update.preferences,
                None => return Ok(None),
            },
        }
    }
}

/// What the preferences ask of the track.
fn wish(preferences: &Preferences) -> Subscription {
    Subscription {
        priority: preferences.priority,
        ordered: preferences.ordered,
        max_latency: preferences.max_latency,
        group_start: preferences.group_start,
        group_end: preferences.group_end,
    }
}

/// Answers; a subscriber that does not even read answers is let go.
async fn reply<T: wt::Session>(
    link: &Link<T>,
    send: &mut Writer<T::SendStream>,
    reply: &SubscribeReply,
) -> Result<()> {
    let limit = link.runtime.limits().control_timeout;
    link.deadline(limit, send.encode(reply)).await
}

/// The group streams of one subscription.
type Groups = FuturesUnordered<BoxFuture<Result<()>>>;

/// Lets group streams go on. How one ended concerns nobody else.
fn advance(groups: &mut Groups, cx: &mut Context<'_>) {
    while let Poll::Ready(Some(sent)) = groups.poll_next_unpin(cx) {
        if let Err(error) = sent {
            tracing::trace!(%error, "group ended");
        }
    }
}

/// Runs `future` while group streams go on. A transport may let writers in one after the other: a group whose turn it is
/// must take it, or an answer that comes after it waits for ever.
async fn beside<V>(groups: &mut Groups, future: impl Future<Output = V>) -> V {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        advance(groups, cx);
        future.as_mut().poll(cx)
    })
    .await
}

struct Serving<'a, T: wt::Session> {
    link: &'a Arc<Link<T>>,
    id: u64,
    order: Order,
    preferences: Preferences,
    subscriber: TrackSubscriber,
    groups: Groups,
    /// SUBSCRIBE_START was sent.
    started: bool,
    /// SUBSCRIBE_END was sent, or this version has none.
    declared: bool,
    /// There will be no more groups.
    drained: bool,
    /// Group streams so far.
    streams: Arc<Streams>,
}

enum Event {
    Request(Result<Option<SubscribeUpdate>>),
    Group(Result<Option<GroupConsumer>>),
    /// The first sequence that will never exist.
    Boundary(Result<u64>),
    /// The track is over and everything is sent.
    Done,
}

impl<T: wt::Session> Serving<'_, T> {
    /// Confirms on versions that do, and settles where the subscription starts.
    async fn confirm(&mut self, send: &mut Writer<T::SendStream>) -> Result<()> {
        let version = self.link.version;
        if version.starts_at_latest() {
            if let Some(start) = self
                .preferences
                .group_start
                .or_else(|| self.subscriber.latest())
            {
                self.subscriber.start_at(start);
            }
        } else {
            self.subscriber
                .start_at(self.preferences.group_start.unwrap_or(0));
        }
        self.subscriber.end_at(self.preferences.group_end);
        self.declared = !version.has_subscribe_end();
        if !version.has_subscribe_ok() {
            return Ok(());
        }
        let info = *self.subscriber.info();
        let properties = version.has_fetch_ok().then_some(TrackProperties {
            timescale: info.timescale,
            cache: info.cache,
            compression: Compression::None,
        });
        let ok = SubscribeReply::Ok(SubscribeOk {
            priority: self.preferences.priority,
            properties,
            ..SubscribeOk::default()
        });
        reply(self.link, send, &ok).await
    }

    async fn run(
        &mut self,
        send: &mut Writer<T::SendStream>,
        recv: &mut Reader<T::RecvStream>,
    ) -> Served {
        loop {
            let event = {
                let mut update = pin!(recv.decode_maybe::<SubscribeUpdate>());
                kio_poll(|waiter, cx| {
                    if let Poll::Ready(update) = update.as_mut().poll(cx) {
                        return Poll::Ready(Event::Request(update));
                    }
                    self.poll(waiter, cx)
                })
                .await
            };
            match event {
                Event::Request(update) => match update.map_err(Refusal::control)? {
                    Some(update) => self.update(update.preferences),
                    None => {
                        // Unsubscribed: what is under way ends with it.
                        self.groups.clear();
                        return send.finish().await.map_err(Refusal::control);
                    }
                },
                Event::Group(group) => match group.map_err(Refusal::data)? {
                    Some(group) => self
                        .serve_group(send, group)
                        .await
                        .map_err(Refusal::control)?,
                    None => self.drained = true,
                },
                Event::Boundary(boundary) => {
                    let group = boundary.map_err(Refusal::data)?;
                    let group = group + u64::from(kio::fault::mutant("wrong-end"));
                    let streams = self.streams.opened.load(Ordering::Relaxed);
                    let streams = self.link.version.has_stream_count().then_some(streams);
                    let end = SubscribeReply::End { group, streams };
                    self.declared = true;
                    if kio::fault::mutant("drop-end") {
                        continue;
                    }
                    let reply = reply(self.link, send, &end);
                    beside(&mut self.groups, reply)
                        .await
                        .map_err(Refusal::control)?;
                }
                Event::Done => return super::delivered(send).await.map_err(Refusal::control),
            }
        }
    }

    fn poll(&mut self, waiter: &Waiter, cx: &mut Context<'_>) -> Poll<Event> {
        advance(&mut self.groups, cx);
        if !self.drained
            && let Poll::Ready(group) = self.subscriber.poll_recv_group(waiter)
        {
            return Poll::Ready(Event::Group(group));
        }
        // Where the end counts the streams, it waits until all of them are there to be counted.
        let settled = || self.drained && self.streams.opening.load(Ordering::Relaxed) == 0;
        let may_declare = !self.link.version.has_stream_count() || settled();
        if !self.declared
            && may_declare
            && let Poll::Ready(boundary) = self.subscriber.poll_finished(waiter)
        {
            return Poll::Ready(Event::Boundary(boundary));
        }
        match self.drained && self.declared && self.groups.is_empty() {
            true => Poll::Ready(Event::Done),
            false => Poll::Pending,
        }
    }

    /// Replaces the preferences.
    fn update(&mut self, preferences: Preferences) {
        self.order.set_priority(preferences.priority);
        match preferences.group_start {
            Some(start) => self.subscriber.start_at(start),
            // No floor at all; where absent means latest, the start that was settled stays.
            None if !self.link.version.starts_at_latest() => self.subscriber.start_at(0),
            None => {}
        }
        self.subscriber.end_at(preferences.group_end);
        self.subscriber.update(wish(&preferences));
        self.preferences = preferences;
    }

    /// Gives a group its stream, if it is still worth one.
    async fn serve_group(
        &mut self,
        send: &mut Writer<T::SendStream>,
        mut group: GroupConsumer,
    ) -> Result<()> {
        let sequence = group.sequence();
        if group.is_stale() || (kio::fault::mutant("lose-group") && kio::fault::delay(10)) {
            return Ok(());
        }
        if group.is_datagram() {
            self.send_datagram(group);
            return Ok(());
        }
        // Frame bounds qualify the groups that are named, and no others.
        let wanted = match self.preferences.group_start == Some(sequence) {
            true => self.preferences.frame_start,
            false => 0,
        };
        if group.index() > wanted {
            // Its head is gone, and a group is never sent short.
            return Ok(());
        }
        group.seek(wanted);

        if !self.started {
            self.started = true;
            if self.link.version.starts_at_latest() && self.preferences.group_start.is_none() {
                self.subscriber.start_at(sequence);
            }
            if self.link.version.has_subscribe_end() {
                let start = SubscribeReply::Start { group: sequence };
                let reply = reply(self.link, send, &start);
                beside(&mut self.groups, reply).await?;
            }
        }
        self.streams.opening.fetch_add(1, Ordering::Relaxed);
        self.order.reach(sequence);
        let end = match self.preferences.group_end == Some(sequence) {
            true => self.preferences.frame_end,
            false => None,
        };
        let outgoing = Outgoing {
            link: self.link.clone(),
            subscribe: self.id,
            order: self.order.clone(),
            streams: self.streams.clone(),
            group,
            end,
        };
        self.groups.push(Box::pin(outgoing.send()));
        Ok(())
    }

    /// The track failed: what is complete may still arrive, what is not ends for the same reason.
    fn abandon(&mut self, error: &Error) {
        self.order.end(error.clone());
        for group in std::mem::take(&mut self.groups) {
            self.link.tasks.push(async move {
                if let Err(error) = group.await {
                    tracing::trace!(%error, "group ended");
                }
            });
        }
    }

    /// Sends a group that was published as a datagram, and only as one: best effort, whatever becomes of it.
    fn send_datagram(&self, mut group: GroupConsumer) {
        let nobody = Waiter::noop();
        let Poll::Ready(Ok(Some(mut frame))) = group.poll_next_frame(&nobody) else {
            return;
        };
        let timestamp = group.wire_timestamp(&frame).value;
        let Poll::Ready(Ok(payload)) = frame.poll_read_all(&nobody) else {
            return;
        };
        let size = payload.len();
        let datagram = Datagram {
            subscribe: self.id,
            sequence: group.sequence(),
            timestamp,
            payload,
        };
        let transport = &self.link.transport;
        match datagram.encode(self.link.version) {
            Ok(body) if body.len() <= transport.max_datagram_size() => {
                match transport.send_datagram(body) {
                    Ok(()) => self.link.held.sent.add_datagram(size),
                    Err(error) => tracing::trace!(%error, "datagram was not sent"),
                }
            }
            _ => tracing::trace!("datagram does not fit"),
        }
    }
}
