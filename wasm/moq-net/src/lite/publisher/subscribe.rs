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
    order::Order,
    request,
    resolve::{Resolved, is_ordered, resolve, wish_of},
    seat,
};
use crate::{
    Error, GroupConsumer, Result, Subject, TrackSubscriber,
    coding::Codes,
    cost::held::Gauge,
    lite::{
        Compression, Datagram, Preferences, Subscribe, SubscribeOk, SubscribeReply,
        SubscribeUpdate, TrackProperties,
        session::{Link, kio_poll},
    },
    lite::{Reader, Writer},
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
    let Some(Resolved {
        subscriber,
        preferences,
        edge,
    }) = resolve(link, recv, subscribe).await?
    else {
        // Gone before there was anything to serve: as polite as an ordinary end.
        return send.finish().await.map_err(Refusal::control);
    };
    let mut serving = Serving {
        link,
        id,
        order: Order::new(
            id,
            preferences.priority,
            is_ordered(link.version, &preferences),
        ),
        preferences,
        subscriber,
        edge,
        groups: FuturesUnordered::new(),
        first: None,
        started: !link.version.has_subscribe_end(),
        start: 0,
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

/// Answers; a subscriber that does not even read answers is let go.
async fn reply<T: wt::Session>(
    link: &Link<T>,
    send: &mut Writer<T::SendStream>,
    reply: &SubscribeReply,
) -> Result<()> {
    let limit = link.runtime.limits().control_timeout;
    link.deadline(limit, send.encode(reply)).await
}

/// Groups of one subscription that may wait for their streams at a time where they leave in sequence: one that comes later and
/// belongs before the others must not find all of them before it.
const OPENING: u64 = 4;

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
    /// The newest group when it was asked for.
    edge: Option<u64>,
    groups: Groups,
    /// The first group that was given a stream.
    first: Option<u64>,
    /// SUBSCRIBE_START was sent, or this version has none.
    started: bool,
    /// What it said.
    start: u64,
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
    /// Groups that get no stream.
    LeftOut(Vec<u64>),
    /// Where the subscription begins.
    Start(u64),
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
            let start = self.preferences.group_start.or(self.edge);
            self.subscriber.start_at(start.unwrap_or(0));
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
                    Some(group) => self.serve_group(group),
                    None => self.drained = true,
                },
                Event::LeftOut(groups) => self.leave_out(send, groups).await?,
                Event::Start(group) => self.start(send, group).await?,
                Event::Boundary(boundary) => {
                    let group = boundary.map_err(Refusal::data)?;
                    if let (false, Some(first)) = (self.started, self.first) {
                        self.start(send, first).await?;
                    }
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

    /// Says where the subscription begins.
    async fn start(&mut self, send: &mut Writer<T::SendStream>, group: u64) -> Served {
        self.started = true;
        self.start = group;
        let start = SubscribeReply::Start { group };
        let reply = reply(self.link, send, &start);
        let sent = beside(&mut self.groups, reply).await;
        sent.map_err(Refusal::control)
    }

    /// Says that groups will not come: a reader in order need not wait for them.
    async fn leave_out(&mut self, send: &mut Writer<T::SendStream>, groups: Vec<u64>) -> Served {
        let code = u64::from(self.link.version.stream_code(&Error::Old, Subject::Data));
        for group in groups {
            let drop = SubscribeReply::Drop {
                start: group,
                end: group,
                code,
            };
            let reply = reply(self.link, send, &drop);
            let sent = beside(&mut self.groups, reply).await;
            sent.map_err(Refusal::control)?;
        }
        Ok(())
    }

    /// The next group to be given a stream.
    fn poll_group(&mut self, waiter: &Waiter) -> Poll<Result<Option<GroupConsumer>>> {
        if !self.order.is_ordered() {
            return self.subscriber.poll_recv_group(waiter);
        }
        // None has to make way for a later one: they wait in the cache, and what is on its way makes room in time.
        let waiting = self.streams.opening.load(Ordering::Relaxed) >= OPENING
            || (!self.groups.is_empty() && !self.link.pins.has_room());
        match waiting {
            true => Poll::Pending,
            false => self.subscriber.poll_recv_lowest(waiter),
        }
    }

    /// Where the subscription begins, once that is clear. Where all that is fresh is sent, that is the first group found; a
    /// subscriber that found none is told where the track begins, or it would not wait for a first group that is late.
    fn poll_start(&mut self, waiter: &Waiter) -> Poll<u64> {
        let whole = self.order.is_ordered() && !self.subscriber.found_groups();
        let settles = (self.link.version.starts_at_latest() || whole)
            && self.preferences.group_start.is_none();
        match (settles, self.first) {
            (true, _) => self.subscriber.poll_start(waiter),
            (false, Some(first)) => Poll::Ready(first),
            (false, None) => Poll::Pending,
        }
    }

    fn poll(&mut self, waiter: &Waiter, cx: &mut Context<'_>) -> Poll<Event> {
        advance(&mut self.groups, cx);
        if !self.drained
            && let Poll::Ready(group) = self.poll_group(waiter)
        {
            return Poll::Ready(Event::Group(group));
        }
        if !self.started
            && let Poll::Ready(start) = self.poll_start(waiter)
        {
            return Poll::Ready(Event::Start(start));
        }
        let left_out = match self.started {
            true => std::mem::take(&mut *self.streams.left_out()),
            false => Vec::new(),
        };
        // What lies before the start is not missing.
        let left_out: Vec<_> = left_out
            .into_iter()
            .filter(|group| *group >= self.start)
            .collect();
        if self.link.version.has_subscribe_drop() && !left_out.is_empty() {
            return Poll::Ready(Event::LeftOut(left_out));
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
        let version = self.link.version;
        let ordered = is_ordered(version, &preferences);
        self.order.set(preferences.priority, ordered);
        match preferences.group_start {
            Some(start) => self.subscriber.start_at(start),
            // No floor at all; where absent means latest, the start that was settled stays.
            None if !version.starts_at_latest() => self.subscriber.start_at(0),
            None => {}
        }
        self.subscriber.end_at(preferences.group_end);
        self.subscriber.update(wish_of(version, &preferences));
        self.preferences = preferences;
    }

    /// Gives a group its stream, if it is still worth one.
    fn serve_group(&mut self, mut group: GroupConsumer) {
        let sequence = group.sequence();
        if kio::fault::mutant("lose-group") && kio::fault::delay(10) {
            return;
        }
        if group.is_stale() {
            self.streams.left_out().push(sequence);
            return;
        }
        if group.is_datagram() {
            return self.send_datagram(group);
        }
        // Frame bounds qualify the groups that are named, and no others.
        let wanted = match self.preferences.group_start == Some(sequence) {
            true => self.preferences.frame_start,
            false => 0,
        };
        if group.index() > wanted {
            // Its head is gone, and a group is never sent short.
            self.streams.left_out().push(sequence);
            return;
        }
        group.seek(wanted);

        self.first.get_or_insert(sequence);
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
