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

use self::ring::Ring;
use crate::{
    Announced, BroadcastConsumer, BroadcastInfo, BroadcastRequest, Config, Error, Instant, Origin,
    OriginDynamic, OriginList, OriginProducer, PathOwned, Runtime, TrackRequest, Viewer,
    tasks::TaskSet,
};

/// How long an upstream that is asked whether it asks us in turn may take to say so.
const RING_PATIENCE: Duration = Duration::from_secs(2);
/// How long the answer counts: who dials whom may change.
const RING_MEMORY: Duration = Duration::from_secs(10);

/// One upstream relay, whatever session leads to it at the moment.
#[derive(Clone)]
pub struct Upstream {
    /// What it has announced to us. Nobody else sees it.
    mirror: OriginProducer,
    supply: Supply,
    ring: Shared<Neighbours>,
}

/// Who asks us for what we ask an upstream for.
#[derive(Default)]
struct Neighbours {
    asking: bool,
    /// When and through which session it was found out.
    known: Option<(Instant, u64)>,
    names: Vec<Origin>,
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
    /// Broadcasts put together from upstreams; set when what they stand for is over.
    served: Shared<BTreeMap<PathOwned, Shared<bool>>>,
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
        let over = inner.served.lock().remove(&path);
        if let Some(over) = over {
            *over.lock() = true;
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
    let wait = inner.runtime.limits().upstream_wait;
    if !inner.open(wait, &request).await {
        return request.reject(Error::Timeout);
    }
    // Announcements may have come with the session.
    if let Some(broadcast) = inner.announced(&request) {
        return request.accept(broadcast);
    }
    let info = inner.route(&request).await;
    // Whoever asks must not be asked: that would be itself.
    if request
        .viewers()
        .iter()
        .all(|viewer| !viewer.may_see(&info))
    {
        return request.reject(Error::NotFound);
    }
    let path = request.path().clone();
    let broadcast = info.produce(&inner.runtime);
    let dynamic = broadcast.dynamic();
    let over = Shared::new(false);
    inner.served.lock().insert(path.clone(), over.clone());
    request.accept(&broadcast);
    tracks::serve(&inner, &path, broadcast, dynamic, &over).await;
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

    /// The route of what is asked of upstreams: all of them, and whoever asks us for what we ask them for.
    async fn route(&self, request: &BroadcastRequest) -> BroadcastInfo {
        let mut names = Vec::new();
        for link in &self.links {
            let Some(peer) = link.supply.peer() else {
                continue;
            };
            // A question of this kind is passed on as it is: asking about it would not end.
            if !ring::is_question(request.path()) {
                self.neighbours(link, &peer).await;
            }
            names.extend(peer.hops);
            names.extend_from_slice(&link.ring.lock().names);
        }
        names.sort();
        names.dedup();
        names.truncate(OriginList::MAX);
        let hops = OriginList::try_from(names).unwrap_or_default();
        BroadcastInfo::new().with_hops(hops)
    }

    /// Finds out who asks us for what we ask this upstream for, unless that is known.
    async fn neighbours(&self, link: &Upstream, peer: &Viewer) {
        let fresh = |ring: &Neighbours| {
            let age = |at: Instant| self.runtime.now().duration_since(at);
            ring.known
                .is_some_and(|(at, session)| session == peer.session && age(at) < RING_MEMORY)
        };
        let known = kio::wait(|waiter| {
            link.ring.poll(waiter, |ring| match ring.asking {
                true => Poll::Pending,
                false => Poll::Ready(fresh(ring)),
            })
        })
        .await;
        if known || std::mem::replace(&mut link.ring.lock().asking, true) {
            return;
        }
        let _asking = Asking(link);
        let question = self.ring.ask(self.runtime.random_u64());
        let request = TrackRequest::new("ring", &self.runtime);
        // Where properties are not asked for, a subscription is what makes the publisher answer.
        let wanted = request.consume().subscribe(None);
        let path = question.path();
        let mut asked = std::pin::pin!(link.supply.serve(path, request));
        let mut timer = self.runtime.sleep(RING_PATIENCE);
        std::future::poll_fn(|cx| match asked.as_mut().poll(cx) {
            Poll::Ready(_nobody_has_it) => Poll::Ready(()),
            Poll::Pending => timer.as_mut().poll(cx),
        })
        .await;
        drop(wanted);
        let mut ring = link.ring.lock();
        ring.names = question.brought_by();
        ring.known = Some((self.runtime.now(), peer.session));
    }
}

/// An upstream that is being asked whether it asks us in turn.
struct Asking<'a>(&'a Upstream);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.ring.lock().asking = false;
    }
}
