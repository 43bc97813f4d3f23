//! The one subscription of a track, on the subscriber's side.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use kio::{Shared, Waiter};
use web_transport_trait as wt;

use super::{Source, poll_pinned};
use crate::{
    Error, Result, Sleep, Subscription, TrackInfo, TrackProducer,
    cost::rate::Bucket,
    lite::{
        self, Compression, ControlType, Preferences, Subscribe, SubscribeReply, SubscribeUpdate,
        TrackQuery,
        session::{kio_poll, poll_some},
        subscriber::Registration,
    },
    lite::{Reader, Writer},
    model::Start,
    tasks::BoxFuture,
};

/// How the subscription stands.
pub(super) enum Event {
    /// The publisher serves it; with the properties, if that is how this version tells them.
    Confirmed(Option<TrackInfo>),
    /// The track came to its end: the first sequence that will never exist.
    Ended(u64),
    Failed(Error),
}

/// A subscription and the future that runs it.
pub(super) struct Upstream {
    future: BoxFuture<Result<u64>>,
    wanted: Shared<Wanted>,
    progress: Shared<Progress>,
    live: bool,
}

/// What is asked of the publisher now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    subscription: Subscription,
    /// Somebody wants no floor: on versions where the start is one, none is asked for.
    open_start: bool,
}

#[derive(Default)]
struct Progress {
    /// Confirmed by the publisher, not yet told.
    confirmed: Option<Option<TrackInfo>>,
    /// Where groups go.
    track: Option<TrackProducer>,
}

impl Upstream {
    /// Subscribes.
    pub(super) fn open<T: wt::Session>(
        source: Arc<Source<T>>,
        subscription: Subscription,
        open_start: bool,
    ) -> Self {
        let wanted = Shared::new(Wanted {
            subscription,
            open_start,
        });
        let progress = Shared::new(Progress::default());
        let future = Box::pin(run(source, wanted.clone(), progress.clone()));
        Self {
            future,
            wanted,
            progress,
            live: false,
        }
    }

    /// Says where groups go, once that is known.
    pub(super) fn set_track(&mut self, track: Option<&TrackProducer>) {
        if let Some(track) = track {
            self.progress.lock().track = Some(track.clone());
        }
    }

    /// Whether the publisher has taken the subscription.
    pub(super) const fn is_live(&self) -> bool {
        self.live
    }

    /// Changes what is asked for.
    pub(super) fn want(&self, subscription: Subscription, open_start: bool) {
        let wanted = Wanted {
            subscription,
            open_start,
        };
        let current = *self.wanted.lock();
        if current != wanted && !kio::fault::mutant("lose-update") {
            *self.wanted.lock() = wanted;
        }
    }

    /// Nobody wants anything: lowest priority, nothing beyond what is here.
    pub(super) fn pause(&self, latest: Option<u64>) {
        let current = self.wanted.lock().subscription;
        let paused = Subscription {
            priority: 0,
            group_start: None,
            group_end: Some(latest.unwrap_or(0)),
            ..current
        };
        self.want(paused, true);
    }

    pub(super) fn poll(&mut self, waiter: &Waiter, cx: &mut Context<'_>) -> Poll<Event> {
        let ended = poll_pinned(&mut self.future, cx);
        let confirmed = self
            .progress
            .poll(waiter, |progress| match &progress.confirmed {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            });
        // What was confirmed before the end is told before it.
        if confirmed.is_ready()
            && let Some(info) = self.progress.lock().confirmed.take()
        {
            self.live = true;
            if let Poll::Ready(result) = ended {
                self.future = Box::pin(std::future::ready(result));
            }
            return Poll::Ready(Event::Confirmed(info));
        }
        ended.map(|result| match result {
            Ok(boundary) => Event::Ended(boundary),
            Err(error) => Event::Failed(error),
        })
    }
}

/// Asks for the properties of a track.
pub(super) async fn query<T: wt::Session>(source: Arc<Source<T>>) -> Result<TrackInfo> {
    let link = &source.link;
    let (mut send, mut recv) = link.request().await?;
    send.put(&ControlType::Track)?;
    send.put(&TrackQuery {
        broadcast: source.path.clone(),
        track: source.name.to_string(),
    })?;
    let limit = link.runtime.limits().control_timeout;
    let info: lite::TrackInfo = link
        .awaited("the answer to TRACK", limit, async {
            send.flush().await?;
            let info = recv.decode().await;
            if let Err(error) = &info {
                link.check(error);
            }
            info
        })
        .await?;
    // Done with, and only now: an earlier FIN would have been a cancel.
    link.credit.release(link, (send, recv));
    Ok(TrackInfo::default()
        .with_priority(info.priority)
        .with_cache(info.cache)
        .with_timescale(info.timescale))
}

/// Runs the subscription to its end: the first sequence that will never exist.
async fn run<T: wt::Session>(
    source: Arc<Source<T>>,
    wanted: Shared<Wanted>,
    progress: Shared<Progress>,
) -> Result<u64> {
    let link = &source.link;
    if link.version.has_track_stream() {
        source.info().await;
    }
    // Groups may overtake every answer: the id is known before it is sent.
    let registration = link.subscriptions.register();
    if link.version.has_track_stream() {
        attach(&progress, &registration).await;
    }
    let (send, recv) = link.request().await?;
    let mut running = Running {
        source: &source,
        wanted: &wanted,
        sent: *wanted.lock(),
        updates: Bucket::new(link.runtime.limits().update_rate),
        registration,
        start: None,
        end: None,
    };
    running.run(send, recv, &progress).await
}

/// Waits until it is known where groups go.
async fn attach(progress: &Shared<Progress>, registration: &Registration) {
    let track = kio::wait(|waiter| {
        progress.poll(waiter, |progress| match &progress.track {
            Some(track) => Poll::Ready(track.clone()),
            None => Poll::Pending,
        })
    })
    .await;
    registration.set_track(&track);
}

struct Running<'a, T: wt::Session> {
    source: &'a Arc<Source<T>>,
    wanted: &'a Shared<Wanted>,
    /// What the publisher was told last.
    sent: Wanted,
    /// How often it may be told.
    updates: Bucket,
    registration: Registration,
    /// The first group, once the publisher has said so.
    start: Option<u64>,
    /// The end, once the publisher has said so.
    end: Option<End>,
}

#[derive(Clone, Copy)]
struct End {
    boundary: u64,
    streams: Option<u64>,
}

enum Step {
    Reply(Result<Option<SubscribeReply>>),
    Changed(Wanted),
    Violated,
}

impl<T: wt::Session> Running<'_, T> {
    async fn run(
        &mut self,
        mut send: Writer<T::SendStream>,
        mut recv: Reader<T::RecvStream>,
        progress: &Shared<Progress>,
    ) -> Result<u64> {
        let link = &self.source.link;
        let limit = link.runtime.limits().control_timeout;
        self.registration
            .set_priority(self.sent.subscription.priority);
        if link.version.has_subscribe_end()
            && self.preferences().group_start.is_none()
            && let Some(track) = self.registration.track()
        {
            // A first group that is late looks like the middle of a track until SUBSCRIBE_START has come, behind other data.
            track.declare_start(Start::Awaited);
        }
        send.put(&ControlType::Subscribe)?;
        send.put(&Subscribe {
            id: self.registration.id(),
            broadcast: self.source.path.clone(),
            track: self.source.name.to_string(),
            preferences: self.preferences(),
        })?;
        link.awaited("room for SUBSCRIBE", limit, send.flush())
            .await?;

        let info = match link.version.has_subscribe_ok() {
            true => {
                let confirmed = self.confirmed(&mut recv);
                link.awaited("the answer to SUBSCRIBE", limit, confirmed)
                    .await?
            }
            false => None,
        };
        let _watch = link.held.received.watch(&self.source.path);
        progress.lock().confirmed = Some(info);
        if !link.version.has_track_stream() {
            attach(progress, &self.registration).await;
        }

        loop {
            match self.step(&mut recv).await {
                Step::Reply(reply) => match reply.inspect_err(|error| link.check(error))? {
                    Some(reply) => self.reply(reply)?,
                    None => break,
                },
                Step::Changed(wanted) => {
                    self.sent = wanted;
                    self.registration.set_priority(wanted.subscription.priority);
                    send.put(&SubscribeUpdate {
                        preferences: self.preferences(),
                    })?;
                    link.deadline(link.runtime.limits().stall, send.flush())
                        .await?;
                }
                Step::Violated => return Err(Error::ProtocolViolation),
            }
        }
        // The publisher may have stopped listening, which changes nothing about what it said.
        let _sent = send.finish().await;
        self.late_groups().await
    }

    /// Waits for SUBSCRIBE_OK.
    async fn confirmed(&self, recv: &mut Reader<T::RecvStream>) -> Result<Option<TrackInfo>> {
        let reply = recv.decode().await;
        let reply = reply.inspect_err(|error| self.source.link.check(error))?;
        let SubscribeReply::Ok(ok) = reply else {
            return Err(Error::UnexpectedMessage);
        };
        let info = TrackInfo::default();
        Ok(Some(match ok.properties {
            Some(properties) => {
                self.registration.set_compression(properties.compression);
                info.with_cache(properties.cache)
                    .with_timescale(properties.timescale)
                    .with_compress(properties.compression == Compression::Deflate)
            }
            // Nothing on the wire says more than that it is served.
            None => info,
        }))
    }

    /// The next thing that happens.
    async fn step(&self, recv: &mut Reader<T::RecvStream>) -> Step {
        let runtime = &self.source.link.runtime;
        let mut reply = std::pin::pin!(recv.decode_maybe());
        let mut held: Option<Sleep> = None;
        kio_poll(|waiter, cx| {
            if let Poll::Ready(reply) = reply.as_mut().poll(cx) {
                return Poll::Ready(Step::Reply(reply));
            }
            if self.registration.poll_violated(waiter).is_ready() {
                return Poll::Ready(Step::Violated);
            }
            if !self.source.link.version.has_update() {
                // Only the values are remembered: there is no way to tell them.
                return Poll::Pending;
            }
            let changed = self
                .wanted
                .poll(waiter, |wanted| match *wanted == self.sent {
                    true => Poll::Pending,
                    false => Poll::Ready(*wanted),
                });
            let Poll::Ready(wanted) = changed else {
                return Poll::Pending;
            };
            // Viewers who cannot make up their minds must not cost the publisher as much: the last wish counts.
            loop {
                if poll_some(&mut held, cx).is_pending() && held.is_some() {
                    return Poll::Pending;
                }
                match self.updates.take(runtime.now()) {
                    Ok(()) => return Poll::Ready(Step::Changed(wanted)),
                    Err(next) => held = Some(runtime.sleep_until(next)),
                }
            }
        })
        .await
    }

    fn reply(&mut self, reply: SubscribeReply) -> Result<()> {
        match reply {
            SubscribeReply::Start { group } => {
                self.registration.set_start(group);
                self.start = Some(group);
                self.begins(group);
            }
            SubscribeReply::End { group, streams } => {
                self.end = Some(End {
                    boundary: group,
                    streams,
                });
                if let Err(error) = self.registration.set_end(group) {
                    if self.source.link.version.has_frame_bounds() {
                        return Err(error);
                    }
                    // Early peers sent the last group instead of the one after it.
                    tracing::warn!(group, "the end of a track lies below a group that came");
                }
            }
            SubscribeReply::Drop { start, end, .. } => {
                self.registration
                    .skip(end.saturating_sub(start).saturating_add(1));
                if let Some(track) = self.registration.track() {
                    track.declare_missing(start, end);
                }
            }
            SubscribeReply::Ok(_) => return Err(Error::UnexpectedMessage),
        }
        Ok(())
    }

    /// Tells the readers where the publisher begins, as far as they can rely on it.
    fn begins(&self, group: u64) {
        let Some(track) = self.registration.track() else {
            return;
        };
        if self.preferences().group_start.is_some() {
            // A relay may say what it has, and get the rest.
            return;
        }
        track.declare_start(match self.source.link.version.starts_at_latest() {
            true => Start::Floor(group),
            false => Start::Within(group),
        });
    }

    /// What the wire says: on versions where the start is a floor, none as soon as somebody wants none.
    fn preferences(&self) -> Preferences {
        let Wanted {
            subscription,
            open_start,
        } = self.sent;
        let floor = !self.source.link.version.starts_at_latest();
        let group_start = subscription.group_start.filter(|_| !(floor && open_start));
        Preferences {
            priority: subscription.priority,
            ordered: subscription.ordered,
            max_latency: subscription.max_latency,
            group_start,
            // The wire has no word for an empty range.
            group_end: subscription
                .group_end
                .map(|end| end.max(group_start.unwrap_or(0))),
            frame_start: 0,
            frame_end: None,
        }
    }

    /// After the FIN: waits for groups that it overtook, within bounds.
    async fn late_groups(&self) -> Result<u64> {
        let link = &self.source.link;
        let boundary = match (self.end, link.version.has_subscribe_end()) {
            (Some(end), _) => Some(end.boundary),
            (None, false) => None,
            // A track does not end like this: its owner is gone.
            (None, true) => return Err(Error::Dropped),
        };
        let count =
            boundary.map(|boundary| boundary.saturating_sub(self.start.unwrap_or(boundary)));
        let streams = self.end.and_then(|end| end.streams);
        let limits = link.runtime.limits();
        let grace = match (boundary, self.sent.subscription.max_latency) {
            (Some(_), latency) if !latency.is_zero() => latency.min(limits.late_groups_max),
            // Nobody said how many there are; but such an end comes after the groups it follows.
            _ => limits.late_groups,
        };
        let mut timer = link.runtime.sleep(grace);
        kio_poll(|waiter, cx| {
            let accounted = self.registration.poll_accounted(waiter, count, streams);
            match accounted {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => timer.as_mut().poll(cx),
            }
        })
        .await;
        Ok(boundary.unwrap_or_else(|| self.registration.after_highest()))
    }
}
