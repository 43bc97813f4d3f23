//! One task per upstream track: at most one subscription, any number of fetches beside it.
//!
//! ```text
//!  Idle ── first subscriber ──► Subscribing ── confirmed ──► Live ── last one leaves ──► Paused
//!   │                                │                        ▲  ◄── one comes back ─────  │
//!   └── unused ──► Linger ◄──────────┴── FIN: finished, fetches go on ── unused ───────────┘
//!                    └── nobody came in time ──► over (Cancel)
//! ```
//!
//! Without SUBSCRIBE_UPDATE there is neither Paused nor Linger: unused is over. An error of the subscription is the error of the
//! track, from any state. Nothing in the loop awaits: what takes time is a future of its own, so a stalled peer or a blocked
//! write never holds up a fetch.

mod fetch;
mod upstream;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use kio::{Shared, Waiter};
use web_transport_trait as wt;

use self::upstream::Upstream;
use super::session::{Link, kio_poll, poll_some};
use crate::{
    Error, GroupRequest, PathOwned, Result, Sleep, Subscription, TrackDynamic, TrackInfo,
    TrackProducer, TrackRequest, Version, cost::peaks::Peak, link::Control, tasks::BoxFuture,
    upstream::Back,
};

/// What all parts of one track's service know.
pub(super) struct Source<T: wt::Session> {
    pub(super) link: Arc<Link<T>>,
    /// The broadcast, as the wire names it.
    pub(super) path: PathOwned,
    pub(super) name: Arc<str>,
    /// The properties of the track, once they are known.
    pub(super) info: Shared<Option<TrackInfo>>,
}

impl<T: wt::Session> Source<T> {
    /// Waits until the properties of the track are known.
    pub(super) async fn info(&self) -> TrackInfo {
        kio::wait(|waiter| {
            self.info.poll(waiter, |info| match info {
                Some(info) => Poll::Ready(*info),
                None => Poll::Pending,
            })
        })
        .await
    }

    /// Checks that what the publisher says now agrees with what it said before.
    ///
    /// # Errors
    /// [`Error::TimestampMismatch`] when frames would be read wrongly: another track has taken the name meanwhile.
    fn agree(&self, info: TrackInfo) -> Result<()> {
        match *self.info.lock() {
            Some(known) if known.timescale != info.timescale => Err(Error::TimestampMismatch),
            _ => Ok(()),
        }
    }

    fn set_info(&self, info: TrackInfo) {
        self.info.lock().get_or_insert(info);
    }
}

/// Serves `request` until nobody wants the track any more, or it cannot be served.
pub(super) async fn serve<T: wt::Session>(
    link: Arc<Link<T>>,
    path: PathOwned,
    request: TrackRequest,
    withdrawn: Shared<bool>,
) {
    Service::new(link, path, request, withdrawn, None)
        .run()
        .await;
}

/// As [`serve`], for a broadcast that the peer need not have announced: a request that cannot be served goes back.
pub(super) async fn serve_back<T: wt::Session>(
    link: Arc<Link<T>>,
    path: PathOwned,
    request: TrackRequest,
    back: Back,
) {
    let withdrawn = Shared::new(false);
    Service::new(link, path, request, withdrawn, Some(back))
        .run()
        .await;
}

impl<T: wt::Session> Service<T> {
    async fn run(mut self) {
        let end = loop {
            let event = {
                let service = &mut self;
                kio_poll(|waiter, cx| service.poll(waiter, cx)).await
            };
            if let Err(end) = self.handle(event) {
                break end;
            }
        };
        self.track.end(end);
    }
}

struct Service<T: wt::Session> {
    source: Arc<Source<T>>,
    track: Track,
    dynamic: TrackDynamic,
    /// Set when the broadcast is withdrawn: nothing new is asked for.
    withdrawn: Shared<bool>,
    /// The question for the properties, on versions that have one.
    query: Option<BoxFuture<Result<TrackInfo>>>,
    upstream: Option<Upstream>,
    fetches: FuturesUnordered<BoxFuture<()>>,
    /// The subscription came to its end: it is not asked for again.
    completed: bool,
    linger: Option<Sleep>,
}

enum Event {
    Fetch(Result<GroupRequest>),
    Wish(Result<Option<Subscription>>),
    Unused,
    Info(Result<TrackInfo>),
    Upstream(upstream::Event),
    Withdrawn,
    Lingered,
}

impl<T: wt::Session> Service<T> {
    fn new(
        link: Arc<Link<T>>,
        path: PathOwned,
        request: TrackRequest,
        withdrawn: Shared<bool>,
        back: Option<Back>,
    ) -> Self {
        // Before anything is accepted: fetches must find a handler at any time.
        let dynamic = request.dynamic();
        let source = Arc::new(Source {
            path,
            name: request.name().clone(),
            info: Shared::new(None),
            link,
        });
        let version = source.link.version;
        let query: Option<BoxFuture<_>> = version
            .has_track_stream()
            .then(|| Box::pin(upstream::query(source.clone())) as _);
        let track = Track {
            state: State::Requested(request),
            control: source.link.control.clone(),
            back,
        };
        let mut this = Self {
            source,
            track,
            dynamic,
            withdrawn,
            query,
            upstream: None,
            fetches: FuturesUnordered::new(),
            completed: false,
            linger: None,
        };
        if !version.has_track_stream() && !version.has_fetch_ok() && !this.track.is_wanted() {
            // Nothing on the wire tells properties: those who only ask for them get the ones every track has there.
            this.accept(TrackInfo::default());
        }
        this
    }

    fn version(&self) -> Version {
        self.source.link.version
    }

    /// What happens next; fetches first, since they are cheap and once only.
    fn poll(&mut self, waiter: &Waiter, cx: &mut Context<'_>) -> Poll<Event> {
        let limits = self.source.link.runtime.limits();
        if self.fetches.len() < limits.fetches
            && self.may_fetch()
            && let Poll::Ready(request) = self.dynamic.poll_requested_group(waiter)
        {
            return Poll::Ready(Event::Fetch(request));
        }
        if let Poll::Ready(wish) = self.track.poll_wish(waiter) {
            return Poll::Ready(Event::Wish(wish));
        }
        if self.must_ask() {
            self.ask();
        }
        // Finished ones leave the set, whatever came of them.
        while let Poll::Ready(Some(())) = self.fetches.poll_next_unpin(cx) {}
        if self.linger.is_none()
            && self.fetches.is_empty()
            && self.dynamic.poll_unused(waiter).is_ready()
        {
            return Poll::Ready(Event::Unused);
        }
        if let Poll::Ready(info) = poll_some(&mut self.query, cx) {
            return Poll::Ready(Event::Info(info));
        }
        if let Some(upstream) = &mut self.upstream
            && let Poll::Ready(event) = upstream.poll(waiter, cx)
        {
            return Poll::Ready(Event::Upstream(event));
        }
        let gone = self.withdrawn.poll(waiter, |withdrawn| match withdrawn {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        if gone.is_ready() && !self.is_live() {
            return Poll::Ready(Event::Withdrawn);
        }
        poll_some(&mut self.linger, cx).map(|()| Event::Lingered)
    }

    /// Whether somebody waits for properties that only come with the answer to something else.
    fn must_ask(&self) -> bool {
        let tells_on_answer = self.version().has_fetch_ok();
        tells_on_answer
            && self.upstream.is_none()
            && self.fetches.is_empty()
            && self.track.accepted().is_none()
            && self.source.info.lock().is_none()
            && self.dynamic.poll_unused(&Waiter::noop()).is_pending()
    }

    /// Subscribes to as little as possible, for the properties in the answer.
    fn ask(&mut self) {
        let open_start = self.track.has_open_start();
        let wish = Subscription::default();
        let upstream = Upstream::open(self.source.clone(), wish, open_start);
        upstream.pause(None);
        self.upstream = Some(upstream);
    }

    /// Whether fetches go to this peer. Where somebody else may have the track, not before it is clear that this one has it.
    fn may_fetch(&self) -> bool {
        let settled = self.track.accepted().is_some() || !self.version().has_track_stream();
        settled || self.track.back.is_none()
    }

    /// Whether groups flow from upstream: then the track goes on to its own end even if the broadcast is withdrawn.
    fn is_live(&self) -> bool {
        self.upstream.as_ref().is_some_and(Upstream::is_live)
    }

    /// # Errors
    /// Why the service is over.
    fn handle(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Fetch(request) => {
                self.linger = None;
                let fetch = fetch::serve(self.source.clone(), request?);
                self.fetches.push(Box::pin(fetch));
                let runtime = &self.source.link.runtime;
                runtime.mark(Peak::Fetches, self.fetches.len());
            }
            Event::Wish(wish) => self.wish(wish?),
            Event::Unused => self.unused()?,
            Event::Info(info) => {
                self.accept(info.map_err(Error::of_sender)?);
                if let Some(upstream) = &mut self.upstream {
                    upstream.set_track(self.track.accepted());
                }
            }
            Event::Upstream(event) => self.upstream_event(event)?,
            Event::Withdrawn => return Err(Error::Dropped),
            Event::Lingered => {
                // Somebody may hold the track by now without having asked for anything.
                if self.dynamic.poll_unused(&Waiter::noop()).is_ready() && self.fetches.is_empty() {
                    return Err(Error::Cancel);
                }
            }
        }
        Ok(())
    }

    /// Fixes the properties, once.
    fn accept(&mut self, info: TrackInfo) {
        self.source.set_info(info);
        self.track.accept(info);
    }

    fn upstream_event(&mut self, event: upstream::Event) -> Result<()> {
        match event {
            upstream::Event::Confirmed(info) => {
                if let Some(info) = info {
                    self.source.agree(info)?;
                    self.accept(info);
                }
                if let Some(upstream) = &mut self.upstream {
                    upstream.set_track(self.track.accepted());
                }
            }
            upstream::Event::Ended(boundary) => {
                self.upstream = None;
                self.completed = true;
                self.track.finish(boundary)?;
            }
            upstream::Event::Failed(error) => return Err(error.of_sender()),
        }
        Ok(())
    }

    /// All subscribers together want something else.
    fn wish(&mut self, wish: Option<Subscription>) {
        match (wish, &mut self.upstream) {
            (Some(wish), upstream) => {
                self.linger = None;
                let open_start = self.track.has_open_start();
                match upstream {
                    Some(upstream) => upstream.want(wish, open_start),
                    None if self.completed => {}
                    None => {
                        let mut upstream = Upstream::open(self.source.clone(), wish, open_start);
                        upstream.set_track(self.track.accepted());
                        self.upstream = Some(upstream);
                    }
                }
            }
            (None, Some(upstream)) => {
                let latest = self.track.accepted().and_then(TrackProducer::latest);
                upstream.pause(latest);
            }
            (None, None) => {}
        }
    }

    /// Nobody holds the track, and no fetch is under way.
    fn unused(&mut self) -> Result<()> {
        if !self.version().has_update() {
            return Err(Error::Cancel);
        }
        let link = &self.source.link;
        self.linger = Some(link.runtime.sleep(link.runtime.limits().linger));
        Ok(())
    }
}

/// The track before and after its properties are known. Ends for the session's reason if it is dropped.
struct Track {
    state: State,
    control: Control,
    /// Where the request goes if the peer cannot serve it.
    back: Option<Back>,
}

enum State {
    Requested(TrackRequest),
    Accepted(TrackProducer),
    /// Accepted, and its end is known: what is cached stays readable whatever happens now.
    Finished(TrackProducer),
    Over,
}

impl Track {
    const fn accepted(&self) -> Option<&TrackProducer> {
        match &self.state {
            State::Accepted(track) | State::Finished(track) => Some(track),
            State::Requested(_) | State::Over => None,
        }
    }

    /// Whether somebody is subscribed.
    fn is_wanted(&self) -> bool {
        match &self.state {
            State::Requested(request) => request.subscription().is_some(),
            State::Accepted(track) | State::Finished(track) => track.subscription().is_some(),
            State::Over => false,
        }
    }

    fn has_open_start(&self) -> bool {
        match &self.state {
            State::Requested(request) => request.has_open_start(),
            State::Accepted(track) | State::Finished(track) => track.has_open_start(),
            State::Over => false,
        }
    }

    fn poll_wish(&mut self, waiter: &Waiter) -> Poll<Result<Option<Subscription>>> {
        match &mut self.state {
            State::Requested(request) => request.poll_wish(waiter),
            State::Accepted(track) | State::Finished(track) => {
                track.poll_subscription_changed(waiter)
            }
            State::Over => Poll::Pending,
        }
    }

    fn accept(&mut self, info: TrackInfo) {
        self.state = match self.take() {
            State::Requested(request) => State::Accepted(request.accept(info)),
            other => other,
        };
    }

    /// Fixes the end: the first sequence that will never exist.
    fn finish(&mut self, boundary: u64) -> Result<()> {
        self.state = match self.take() {
            State::Accepted(track) => {
                // A boundary below what has come cannot be kept: then the track ends after what has come.
                track.finish_before(boundary).or_else(|_| track.finish())?;
                // It is over: what it lost is not sent again.
                track.settle();
                State::Finished(track)
            }
            other => other,
        };
        Ok(())
    }

    fn end(&mut self, error: Error) {
        match self.take() {
            State::Requested(request) => match self.back.take() {
                Some(back) => back.give(request, error),
                None => request.reject(error),
            },
            // It may have failed by itself, and who reads it knows.
            State::Accepted(track) => drop(track.abort(error)),
            State::Finished(_) | State::Over => {}
        }
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Over)
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        self.end(self.control.cause());
    }
}

/// A pinned future that is polled by hand.
fn poll_pinned<V>(future: &mut BoxFuture<V>, cx: &mut Context<'_>) -> Poll<V> {
    Pin::new(future).poll(cx)
}
