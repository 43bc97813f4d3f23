//! The participants.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use kio::Shared;
use moq_net::{Origin, OriginProducer, PathOwned, Runtime, Session, Stats, Upstream, Upstreams};
use moq_worker_world::executor::Task;

use crate::{
    bounds,
    plan::{Link, Role},
    session::AFTERMATH,
    stage::Stage,
    topology::Tie,
    weather::Network,
};

/// One participant.
pub struct Actor {
    /// What it is now; a relay that restarts becomes another one.
    life: RefCell<Rc<Life>>,
    lives: Cell<u64>,
    up: Shared<bool>,
    /// What a viewer sees announced.
    pub view: RefCell<BTreeMap<PathOwned, u64>>,
}

/// A participant from its start to its end.
pub struct Life {
    /// Its clock, limits and cache.
    pub runtime: Runtime,
    /// What a relay carries, a publisher publishes, a viewer sees.
    pub origin: OriginProducer,
    /// Who is asked for what nobody has announced to it, by the link that leads there.
    pub upstreams: BTreeMap<usize, Upstream>,
    asking: Option<Task<()>>,
    /// Its sessions, with the links they are of.
    sessions: RefCell<BTreeMap<u64, (usize, Session)>>,
    entered: Cell<u64>,
}

/// All participants.
pub struct Cast {
    /// By node.
    pub actors: Vec<Actor>,
    /// By link.
    pub ways: Vec<Way>,
}

/// Where a link leads now, and how.
pub struct Way {
    to: Cell<usize>,
    open: Cell<usize>,
    newest: Cell<Duration>,
}

impl Cast {
    /// Everybody, up and unconnected.
    pub fn new(stage: &Rc<Stage>) -> Rc<Self> {
        let nodes = 0..stage.plan.nodes.len();
        Rc::new(Self {
            actors: nodes
                .map(|node| Actor {
                    life: RefCell::new(Life::new(stage, node, 0)),
                    lives: Cell::new(1),
                    up: Shared::new(true),
                    view: RefCell::default(),
                })
                .collect(),
            ways: stage.plan.links.iter().map(Way::new).collect(),
        })
    }
}

impl Way {
    fn new(link: &Link) -> Self {
        Self {
            to: Cell::new(link.to),
            open: Cell::new(0),
            newest: Cell::default(),
        }
    }

    /// The relay that is dialed next.
    pub const fn to(&self) -> usize {
        self.to.get()
    }

    /// It leads where it was asked to go; if that is nowhere, where it is meant to.
    pub fn redirect(&self, stage: &Stage, index: usize, uri: Option<&str>) {
        let number = uri.and_then(|uri| uri.strip_prefix("relay/"));
        let relay = number.and_then(|number| number.parse().ok());
        self.to.set(relay.unwrap_or(stage.plan.links[index].to));
    }

    /// A session is up.
    pub fn opened(&self, stage: &Stage) {
        if self.open.replace(self.open.get() + 1) == 0 {
            stage.link(true);
        }
        self.newest.set(stage.now());
    }

    /// When the newest session came up.
    pub const fn newest(&self) -> Duration {
        self.newest.get()
    }

    /// Whether another session than one from before `time` came up, long enough ago for everybody to know.
    pub fn is_replaced(&self, stage: &Stage, time: Duration) -> bool {
        let newest = self.newest.get();
        self.open.get() > 1 && newest > time && newest + stage.spread() <= stage.now()
    }

    /// The session that came up at `opened` is over.
    pub fn closed(&self, stage: &Stage, opened: Duration) {
        if !self.is_replaced(stage, opened) {
            stage.shake();
        }
        if self.open.replace(self.open.get() - 1) == 1 {
            stage.link(false);
        }
    }
}

impl Life {
    fn new(stage: &Rc<Stage>, node: usize, life: u64) -> Rc<Self> {
        let role = stage.plan.nodes[node].role;
        let runtime = stage.runtime(node, life, stage.limits(role == Role::Relay));
        // Nodes are known by their number, so that a trace can be read.
        let origin = Origin::from(node as u64 + 1 + life * 100).produce(&runtime);
        let links = stage.plan.links.iter().enumerate();
        let above: Vec<usize> = links
            .filter(|(_, link)| link.from == node)
            .filter(|(_, link)| link.tie == Tie::Upstream || role == Role::Asker)
            .map(|(index, _)| index)
            .collect();
        let mut upstreams = Upstreams::new(&origin, &runtime);
        let all = above.iter().map(|index| (*index, upstreams.add()));
        let all: BTreeMap<usize, Upstream> = all.collect();
        Rc::new(Self {
            asking: (!all.is_empty()).then(|| stage.executor.spawn(upstreams.run())),
            upstreams: all,
            origin,
            runtime,
            sessions: RefCell::default(),
            entered: Cell::new(0),
        })
    }

    /// A session begins; it ends with the result.
    pub fn enter(self: &Rc<Self>, index: usize, session: &Session) -> Seat {
        let id = self.entered.replace(self.entered.get() + 1);
        let entry = (index, session.clone());
        self.sessions.borrow_mut().insert(id, entry);
        Seat {
            life: self.clone(),
            id,
        }
    }

    /// Its sessions, with the links they are of.
    pub fn sessions(&self) -> Vec<(usize, Session)> {
        self.sessions.borrow().values().cloned().collect()
    }

    /// What it holds besides what it was born with: its origins.
    pub fn holds(&self) -> Stats {
        let stats = self.runtime.stats();
        let own = 1 + self.upstreams.len();
        Stats {
            origins: stats.origins.saturating_sub(own),
            producers: stats.producers.saturating_sub(own),
            ..stats
        }
    }
}

/// A session for as long as somebody has it.
pub struct Seat {
    life: Rc<Life>,
    id: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let session = self.life.sessions.borrow_mut().remove(&self.id);
        drop(session);
    }
}

impl Actor {
    /// What it is now.
    pub fn life(&self) -> Rc<Life> {
        self.life.borrow().clone()
    }

    /// It goes, or comes back.
    pub fn set_up(&self, up: bool) {
        *self.up.lock() = up;
    }

    /// Waits until it is there, or not.
    pub async fn becomes(&self, up: bool) {
        kio::wait(|waiter| {
            self.up.poll(waiter, |now| match *now == up {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
        })
        .await;
    }
}

/// Takes a relay down with all its connections, and up again as a new one after `pause`.
pub async fn restart(
    stage: &Rc<Stage>,
    cast: &Rc<Cast>,
    network: &Rc<Network>,
    node: usize,
    pause: Duration,
) {
    let actor = &cast.actors[node];
    stage.fault();
    stage.note(format_args!("fault node {node}: down"));
    actor.set_up(false);
    network.isolate(stage, node);
    stage.sleep(AFTERMATH).await;
    let number = actor.lives.get();
    actor.lives.set(number + 1);
    let next = Life::new(stage, node, number);
    let last = actor.life.replace(next);
    vanished(stage, node, last);
    stage.sleep(pause).await;
    stage.fault();
    stage.note(format_args!("node {node}: up again"));
    actor.set_up(true);
}

/// Checks that nothing is left of a relay whose connections are all gone.
fn vanished(stage: &Stage, node: usize, mut life: Rc<Life>) {
    let sessions = life.sessions().len();
    if sessions > 0 {
        stage.violate(format_args!(
            "node {node}: {sessions} sessions outlived their connections"
        ));
    }
    let runtime = life.runtime.clone();
    if let Some(asking) = Rc::get_mut(&mut life).and_then(|life| life.asking.take()) {
        asking.cancel();
    }
    drop(life);
    bounds::high_water(stage, node, &runtime);
    empty(stage, node, runtime.stats());
}

/// Checks that nothing is held any more.
pub fn empty(stage: &Stage, node: usize, stats: Stats) {
    // What happened stays counted; what is held must be nothing.
    let left = Stats {
        evicted_groups: stats.evicted_groups,
        dropped_datagrams: stats.dropped_datagrams,
        refused_datagrams: stats.refused_datagrams,
        empty_streams: stats.empty_streams,
        rescaled_tracks: stats.rescaled_tracks,
        ..Stats::default()
    };
    if stats != left {
        stage.violate(format_args!("node {node}: left behind {stats:?}"));
    }
}
