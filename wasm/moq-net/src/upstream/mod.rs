//! Serving unannounced paths from other relays.
//!
//! A path that nobody has announced is looked for at each upstream: where one has announced it to us, that broadcast is the
//! answer. Otherwise the answer is a broadcast whose tracks are asked of one upstream after the other until one has them; an
//! upstream that is lost hands back what it had not confirmed. Nothing of it is ever announced here.

mod ring;
mod supply;
mod tracks;

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use kio::{Shared, Waiter};

pub(crate) use supply::Back;
pub use supply::Supply;

use self::ring::{Neighbours, Ring};
use crate::{
    Announced, BroadcastConsumer, BroadcastInfo, BroadcastRequest, Config, Error, Instant,
    OriginDynamic, OriginList, OriginProducer, PathOwned, Runtime, model::Later, tasks::TaskSet,
};

/// One upstream relay, whatever session leads to it at the moment.
#[derive(Clone)]
pub struct Upstream {
    /// What it has announced to us. Nobody else sees it.
    mirror: OriginProducer,
    supply: Supply,
    ring: Shared<Neighbours>,
}

/// How the upstreams are asked for a path, and by whom they may be.
struct Way {
    info: BroadcastInfo,
    /// The sessions that lead to them.
    sessions: Vec<u64>,
    /// All that were open, also those that may not be asked for anything.
    seen: Vec<u64>,
    /// For whom that holds: those who were there at that time.
    until: Instant,
}

/// A broadcast put together from upstreams.
struct Served {
    broadcast: BroadcastConsumer,
    sessions: Vec<u64>,
    /// Set when what it stands for is over.
    over: Shared<bool>,
}

impl Upstream {
    /// Makes sessions of `config` lead to this upstream: they read from it and publish nothing to it.
    #[must_use]
    pub fn config(&self, config: Config) -> Config {
        config
            .with_subscribe(self.mirror.clone())
            .with_supply(self.supply.clone())
            .with_peer(true)
    }

    /// Whether a session leads to it now.
    pub fn is_open(&self) -> bool {
        self.supply.is_open()
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// Serves the paths that nobody has announced in an origin from upstream relays, the first one first.
pub struct Upstreams {
    dynamic: OriginDynamic,
    inner: Inner,
}

struct Inner {
    runtime: Runtime,
    links: Vec<Upstream>,
    ring: Ring,
    /// Broadcasts put together from upstreams.
    served: Shared<BTreeMap<PathOwned, Served>>,
}

impl Upstreams {
    /// Serves `origin`, as yet from nowhere. Requests are possible from this call on.
    pub fn new(origin: &OriginProducer, runtime: &Runtime) -> Self {
        Self {
            dynamic: origin.dynamic(),
            inner: Inner {
                runtime: runtime.clone(),
                links: Vec::new(),
                ring: Ring::default(),
                served: Shared::default(),
            },
        }
    }

    /// Adds an upstream; it is asked after those that were added before.
    pub fn add(&mut self) -> Upstream {
        let upstream = Upstream {
            mirror: self.dynamic.info().produce(&self.inner.runtime),
            supply: Supply::new(),
            ring: Shared::default(),
        };
        self.inner.links.push(upstream.clone());
        upstream
    }

    /// Answers requests until the origin is gone. Dropping it withdraws everything it serves.
    pub async fn run(self) {
        let Self { mut dynamic, inner } = self;
        let inner = Arc::new(inner);
        let mut set = TaskSet::default();
        let tasks = set.tasks();
        for link in &inner.links {
            tasks.push(follow(inner.clone(), link.clone()));
        }
        loop {
            let request = poll_both(|waiter, cx| {
                set.poll(cx);
                dynamic.poll_requested_broadcast(waiter)
            })
            .await;
            match request {
                Ok(request) => tasks.push(answer(inner.clone(), request)),
                Err(_gone) => return,
            }
        }
    }
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstreams")
            .field("links", &self.inner.links)
            .finish_non_exhaustive()
    }
}

/// A future from a poll that needs both kinds of wake-up: the model's waiter and the context of ordinary futures.
fn poll_both<R>(
    mut poll: impl FnMut(&Waiter, &mut Context<'_>) -> Poll<R>,
) -> impl Future<Output = R> {
    kio::wait(move |waiter| poll(waiter, &mut Context::from_waker(waiter.waker())))
}

/// Closes what was put together for a path as soon as an upstream says that the broadcast there is over or another one.
async fn follow(inner: Arc<Inner>, link: Upstream) {
    let mut announced = link.mirror.consume().announced();
    while let Some((path, event)) = announced.next().await {
        if matches!(event, Announced::Active(_)) {
            continue;
        }
        let served = inner.served.lock().remove(&path);
        if let Some(served) = served {
            *served.over.lock() = true;
        }
    }
}

/// Answers one request.
async fn answer(inner: Arc<Inner>, request: BroadcastRequest) {
    if inner.ring.is_own(request.path(), &request.viewers()) {
        return request.reject(Error::NotFound);
    }
    if let Some(broadcast) = inner.announced(&request) {
        return request.accept(broadcast);
    }
    let question = ring::is_question(request.path());
    if question && inner.poll_open(&Waiter::noop()).is_pending() {
        // Where there is no way on, nothing comes back.
        return request.reject(Error::NotFound);
    }
    let wait = inner.runtime.limits().upstream_wait;
    if !inner.open(wait, &request).await {
        return request.reject(Error::Timeout);
    }
    // Announcements may have come with the session.
    if let Some(broadcast) = inner.announced(&request) {
        return request.accept(broadcast);
    }
    let way = loop {
        let way = inner.way(&request).await;
        let mut viewers = request.viewers().into_iter();
        if question || viewers.all(|viewer| viewer.since <= way.until) {
            break way;
        }
    };
    if way.sessions.is_empty() {
        return request.reject(Error::Timeout);
    }
    // Whoever asks must not be asked: that would be itself.
    if request
        .viewers()
        .iter()
        .all(|viewer| !viewer.may_see(&way.info))
    {
        return request.reject(Error::NotFound);
    }
    if question && inner.served.lock().contains_key(request.path()) {
        // It is on its way already: somebody else's ring, in which it would go round.
        return request.reject(Error::NotFound);
    }
    if let Some(served) = inner.again(request.path(), &way) {
        return request.accept_for(served, Later::Until(way.until));
    }
    let path = request.path().clone();
    let broadcast = way.info.clone().produce(&inner.runtime);
    let dynamic = broadcast.dynamic();
    let over = Shared::new(false);
    let served = Served {
        broadcast: broadcast.consume(),
        sessions: way.sessions.clone(),
        over: over.clone(),
    };
    let last = inner.served.lock().insert(path.clone(), served);
    if let Some(last) = last {
        *last.over.lock() = true;
    }
    // A question is passed on once.
    let later = match question {
        true => Later::Nobody,
        false => Later::Until(way.until),
    };
    request.accept_for(&broadcast, later);
    tracks::serve(&inner, &path, broadcast, dynamic, (&over, &way)).await;
}

impl Inner {
    /// The broadcast that an upstream has announced for the path, if somebody who asks may have it.
    fn announced(&self, request: &BroadcastRequest) -> Option<BroadcastConsumer> {
        let viewers = request.viewers();
        self.links.iter().find_map(|link| {
            let found = link.mirror.consume().request_broadcast(request.path());
            let found = match found.ok()?.poll_ok(&Waiter::noop()) {
                Poll::Ready(found) => found.ok()?,
                Poll::Pending => return None,
            };
            let wanted = viewers.iter().any(|viewer| viewer.may_see(found.info()));
            wanted.then_some(found)
        })
    }

    /// Waits until an upstream can be asked, for at most `wait` and while somebody wants the answer.
    async fn open(&self, wait: Duration, request: &BroadcastRequest) -> bool {
        let mut timer = self.runtime.sleep(wait);
        poll_both(|waiter, cx| {
            if self.poll_open(waiter).is_ready() {
                return Poll::Ready(true);
            }
            if request.poll_unused(waiter).is_ready() {
                return Poll::Ready(false);
            }
            timer.as_mut().poll(cx).map(|()| false)
        })
        .await
    }

    /// Ready while a session that is none of these leads to an upstream.
    fn poll_other(&self, waiter: &Waiter, sessions: &[u64]) -> Poll<()> {
        let other = self
            .links
            .iter()
            .filter(|link| link.supply.poll_other(waiter, sessions).is_ready());
        match other.count() {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// Ready while some upstream can be asked.
    fn poll_open(&self, waiter: &Waiter) -> Poll<()> {
        // Each of them is asked, so that each can wake.
        let open = self
            .links
            .iter()
            .filter(|link| link.supply.poll_open(waiter).is_ready());
        match open.count() {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// What was put together for a path before, by way of the same sessions.
    fn again(&self, path: &PathOwned, way: &Way) -> Option<BroadcastConsumer> {
        let served = self.served.lock();
        let served = served.get(path)?;
        let same = served.sessions == way.sessions && !served.broadcast.is_closed();
        same.then(|| served.broadcast.with_info(way.info.clone()))
    }

    /// The way of what is asked of upstreams: all of them, and whoever asks us for what we ask them for.
    async fn way(&self, request: &BroadcastRequest) -> Way {
        let mut names = Vec::new();
        let (mut seen, mut sessions) = (Vec::new(), Vec::new());
        let question = ring::is_question(request.path());
        let mut until = self.runtime.now();
        for link in &self.links {
            let Some(peer) = link.supply.peer() else {
                continue;
            };
            seen.push(peer.session);
            // A question of this kind is passed on as it is: asking about it would not end.
            if !question {
                let viewers = request.viewers();
                let since = viewers.iter().map(|viewer| viewer.since).max();
                self.neighbours(link, &peer, since.unwrap_or_default())
                    .await;
            }
            match &link.ring.lock().known {
                Some(known) if known.session == peer.session && (known.answered || question) => {
                    names.extend_from_slice(&known.names);
                    until = until.min(known.at);
                }
                _ if question => {}
                // Nobody knows who waits for it. It could be whoever waits for us.
                _ => continue,
            }
            sessions.push(peer.session);
            names.extend_from_slice(&peer.hops);
        }
        names.sort();
        names.dedup();
        names.truncate(OriginList::MAX);
        let hops = OriginList::try_from(names).unwrap_or_default();
        Way {
            info: BroadcastInfo::new().with_hops(hops),
            sessions,
            seen,
            until,
        }
    }
}
