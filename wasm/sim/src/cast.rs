//! The participants, and the sessions between them.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use futures_util::future::{Either, select};
use kio::Shared;
use moq_net::{
    Client, Config, Error, Origin, OriginConsumer, OriginProducer, Path, PathOwned, Runtime,
    Server, Session, Stats,
};
use moq_worker_world::transport::Transport;

use crate::{
    plan::{Link, Role},
    rogue,
    stage::{Phase, Stage},
    weather::Network,
};

/// How long a peer may take to introduce itself, as the relay has it.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a dial may take.
const DIAL: Duration = Duration::from_secs(15);
/// What remains of a session may take this long to notice.
const AFTERMATH: Duration = Duration::from_secs(1);

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
    sessions: Cell<usize>,
}

/// All participants.
pub struct Cast {
    /// By node.
    pub actors: Vec<Actor>,
}

/// The prefixes as paths.
fn paths(scope: &[&'static str]) -> Vec<Path<'static>> {
    let parsed = scope.iter().map(|prefix| Path::parse(prefix));
    parsed
        .collect::<Result<_, _>>()
        .expect("plans hold valid paths")
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
        })
    }

    /// Counts of everything that any participant holds.
    pub fn stats(&self) -> Vec<Stats> {
        let lives = self.actors.iter().map(|actor| actor.life());
        lives.map(|life| life.runtime.stats()).collect()
    }
}

impl Life {
    fn new(stage: &Rc<Stage>, node: usize, life: u64) -> Rc<Self> {
        let relay = stage.plan.nodes[node].role == Role::Relay;
        let runtime = stage.runtime(node, life, stage.limits(relay));
        // Nodes are known by their number, so that a trace can be read.
        let origin = Origin::from(node as u64 + 1 + life * 100);
        Rc::new(Self {
            origin: origin.produce(&runtime),
            runtime,
            sessions: Cell::new(0),
        })
    }
}

impl Actor {
    /// What it is now.
    pub fn life(&self) -> Rc<Life> {
        self.life.borrow().clone()
    }

    /// Whether it is there.
    pub fn is_up(&self) -> bool {
        *self.up.lock()
    }

    /// It goes, or comes back.
    pub fn set_up(&self, up: bool) {
        *self.up.lock() = up;
    }

    /// Waits until it is there, or not.
    async fn becomes(&self, up: bool) {
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
    stage.disrupt();
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
    stage.disrupt();
    stage.note(format_args!("node {node}: up again"));
    actor.set_up(true);
}

/// Checks that nothing is left of a relay whose connections are all gone.
fn vanished(stage: &Stage, node: usize, life: Rc<Life>) {
    let sessions = life.sessions.get();
    if sessions > 0 {
        stage.violate(format_args!(
            "node {node}: {sessions} sessions outlived their connections"
        ));
    }
    let runtime = life.runtime.clone();
    drop(life);
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

/// Keeps link `index` connected until the end.
pub async fn keep(stage: Rc<Stage>, cast: Rc<Cast>, network: Rc<Network>, index: usize) {
    let link = stage.plan.links[index].clone();
    let mut rng = stage.rng(0x1_0000 + index as u64);
    let mut delay = 250;
    for attempt in 0.. {
        let ready = async {
            cast.actors[link.from].becomes(true).await;
            cast.actors[link.to].becomes(true).await;
        };
        let last = match stage.plan.nodes[link.from].role {
            Role::Rogue => Phase::Heal,
            _ => Phase::Leave,
        };
        if stage.until(last, ready).await.is_none() {
            return;
        }
        let began = stage.now();
        let (near, far) = network.connect(&stage, index, attempt);
        stage.spawn(accept(stage.clone(), cast.clone(), link.clone(), far));
        dial(&stage, &cast, index, near).await;
        if stage.phase() >= Phase::Leave {
            return;
        }
        delay = match stage.now() - began > Duration::from_secs(10) {
            true => 250,
            false => (delay * 2).min(5_000),
        };
        stage.sleep(rng.millis(delay / 2, delay)).await;
    }
}

/// The dialing side of one connection, from its start to its end.
async fn dial(stage: &Rc<Stage>, cast: &Rc<Cast>, index: usize, near: Transport) {
    let link = &stage.plan.links[index];
    let actor = &cast.actors[link.from];
    let life = actor.life();
    let mut config = Config::new(life.runtime.clone()).with_versions([link.version]);
    match stage.plan.nodes[link.from].role {
        Role::Relay => {
            config.publish = Some(life.origin.consume());
            config.subscribe = Some(life.origin.clone());
        }
        Role::Publisher => config.publish = Some(life.origin.consume()),
        Role::Viewer => config.subscribe = Some(life.origin.clone()),
        Role::Rogue => return rogue::misbehave(stage, link.from, near).await,
    }
    drop(life);
    let operation = stage.operation(link.from, "connect");
    let connected = stage.within(DIAL, Client::new(config).connect(near)).await;
    let (session, driver) = match connected {
        Some(Ok(connected)) => connected,
        Some(Err(error)) => return stage.note(format_args!("link {index}: refused: {error}")),
        None => return stage.note(format_args!("link {index}: no answer")),
    };
    let driver = stage.executor.spawn(driver);
    let ready = stage.within(DIAL, session.ready()).await;
    drop(operation);
    stage.change();
    match ready {
        Some(Ok(())) => stage.note(format_args!("link {index}: up with {}", session.version())),
        Some(Err(error)) => stage.note(format_args!("link {index}: not taken: {error}")),
        None => stage.violate(format_args!(
            "link {index}: neither ready nor refused in {DIAL:?}"
        )),
    }
    live(stage, actor, index, session).await;
    stage.change();
    if stage.within(AFTERMATH, driver).await.is_none() {
        stage.violate(format_args!(
            "link {index}: the driver outlived its session"
        ));
    }
}

/// Waits for the end of a session, or ends it when its owner leaves.
async fn live(stage: &Stage, actor: &Actor, index: usize, session: Session) {
    let leave = select(
        Box::pin(actor.becomes(false)),
        Box::pin(stage.reached(Phase::Leave)),
    );
    match select(Box::pin(session.closed()), leave).await {
        Either::Left((error, _)) => stage.note(format_args!("link {index}: ended: {error}")),
        Either::Right(_) => {
            stage.note(format_args!("link {index}: left"));
            session.close(Error::Closed, "");
        }
    }
}

/// The accepting side of one connection, from its start to its end.
async fn accept(stage: Rc<Stage>, cast: Rc<Cast>, link: Link, far: Transport) {
    let life = cast.actors[link.to].life();
    let mut config = Config::new(life.runtime.clone()).with_versions([link.version]);
    config.path = Some("/".to_owned());
    let server = Server::new(config);
    let request = match stage.within(HANDSHAKE, server.accept(far)).await {
        Some(Ok(request)) => request,
        Some(Err(error)) => return stage.note(format_args!("node {}: refused: {error}", link.to)),
        None => return stage.note(format_args!("node {}: no handshake", link.to)),
    };
    let (publish, subscribe) = rights(&stage, &life, link.from);
    let (session, driver) = request.ok(publish, subscribe);
    life.sessions.set(life.sessions.get() + 1);
    stage.change();
    let result = driver.await;
    stage.change();
    drop(session);
    life.sessions.set(life.sessions.get() - 1);
    stage.note(format_args!(
        "node {}: session with {} ended: {result:?}",
        link.to, link.from
    ));
}

/// What a relay grants a node: what it may read, what it may publish.
fn rights(
    stage: &Stage,
    life: &Life,
    node: usize,
) -> (Option<OriginConsumer>, Option<OriginProducer>) {
    let node = &stage.plan.nodes[node];
    let scope = paths(&node.scope);
    match node.role {
        Role::Relay => (Some(life.origin.consume()), Some(life.origin.clone())),
        Role::Publisher => (None, life.origin.scope(&scope)),
        Role::Viewer | Role::Rogue => (life.origin.consume().scope(&scope), None),
    }
}
