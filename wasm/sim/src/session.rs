//! The sessions between the participants, from dialing to their ends.

use std::{pin::pin, rc::Rc, time::Duration};

use futures_util::future::{Either, select};
use moq_net::{Client, Config, Error, OriginConsumer, OriginProducer, Path, Server, Session};
use moq_worker_world::{executor::Task, transport::Transport};

use crate::{
    cast::{Actor, Cast, Life},
    echo, forger,
    plan::Role,
    rng::Rng,
    rogue,
    stage::{Phase, Stage},
    topology::Tie,
    weather::Network,
};

/// How long a peer may take to introduce itself, as the relay has it.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a dial may take.
const DIAL: Duration = Duration::from_secs(15);
/// What remains of a session may take this long to notice.
pub const AFTERMATH: Duration = Duration::from_secs(1);
/// How long a session that the other side wants to leave goes on beside the new one.
const LEAVING: Duration = Duration::from_secs(10);

/// The prefixes as paths.
fn paths(scope: &[&'static str]) -> Vec<Path<'static>> {
    let parsed = scope.iter().map(|prefix| Path::parse(prefix));
    parsed
        .collect::<Result<_, _>>()
        .expect("plans hold valid paths")
}

/// Keeps link `index` connected until the end.
pub async fn keep(stage: Rc<Stage>, cast: Rc<Cast>, network: Rc<Network>, index: usize) {
    let from = stage.plan.links[index].from;
    let mut rng = stage.rng(0x1_0000 + index as u64);
    let mut delay = 250;
    for attempt in 0.. {
        let to = cast.ways[index].to();
        let ready = async {
            cast.actors[from].becomes(true).await;
            cast.actors[to].becomes(true).await;
        };
        let last = match stage.plan.nodes[from].role.is_honest() {
            true => Phase::Leave,
            false => Phase::Heal,
        };
        if stage.until(last, ready).await.is_none() || stage.phase() >= last {
            return;
        }
        let began = stage.now();
        stage.reconnect();
        let (near, far) = network.connect(&stage, index, to, attempt);
        stage.spawn(accept(stage.clone(), cast.clone(), index, to, far));
        let moved = dial(&stage, &cast, index, near).await;
        if stage.phase() >= Phase::Leave {
            return;
        }
        let healthy = stage.now() - began > Duration::from_secs(10);
        delay = match healthy {
            true => 250,
            false => (delay * 2).min(5_000),
        };
        // Where it is sent to counts for one attempt.
        cast.ways[index].redirect(&stage, index, moved.as_deref());
        if moved.is_none() || !healthy {
            stage.sleep(rng.millis(delay / 2, delay)).await;
        }
    }
}

/// The dialing side of one connection, until it ends or is asked to move: then where to.
async fn dial(stage: &Rc<Stage>, cast: &Rc<Cast>, index: usize, near: Transport) -> Option<String> {
    let link = &stage.plan.links[index];
    let life = cast.actors[link.from].life();
    let mut config = Config::new(life.runtime.clone()).with_versions([link.version]);
    match stage.plan.nodes[link.from].role {
        Role::Relay if link.tie == Tie::Peer => {
            config.publish = Some(life.origin.consume());
            config.subscribe = Some(life.origin.clone());
        }
        Role::Relay | Role::Asker => config = life.upstreams[&index].config(config),
        Role::Publisher => config.publish = Some(life.origin.consume()),
        Role::Viewer => config.subscribe = Some(life.origin.clone()),
        Role::Rogue => {
            rogue::misbehave(stage, link.from, near).await;
            return None;
        }
        Role::Forger if stage.plan.echoes => {
            echo::mislead(stage, link.from, near).await;
            return None;
        }
        Role::Forger => {
            forger::forge(stage, cast, index, config, near).await;
            return None;
        }
    }
    let operation = stage.operation(link.from, "connect");
    let connected = stage.within(DIAL, Client::new(config).connect(near)).await;
    let (session, driver) = match connected {
        Some(Ok(connected)) => connected,
        Some(Err(error)) => {
            stage.note(format_args!("link {index}: refused: {error}"));
            return None;
        }
        None => {
            stage.note(format_args!("link {index}: no answer"));
            return None;
        }
    };
    let driver = stage.executor.spawn(driver);
    let ready = stage.within(DIAL, session.ready()).await;
    drop(operation);
    stage.reconnect();
    cast.ways[index].opened(stage);
    match ready {
        Some(Ok(())) => stage.note(format_args!("link {index}: up with {}", session.version())),
        Some(Err(error)) => stage.note(format_args!("link {index}: not taken: {error}")),
        None => stage.violate(format_args!(
            "link {index}: neither ready nor refused in {DIAL:?}"
        )),
    }
    let seat = life.enter(index, &session);
    drop(life);
    let moved = live(stage, &cast.actors[link.from], index, &session).await;
    let end = Ending {
        stage: stage.clone(),
        cast: cast.clone(),
        index,
        opened: cast.ways[index].newest(),
    };
    if moved.is_none() {
        drop((seat, session));
        end.of(driver).await;
        return None;
    }
    // What flows goes on while the new session is made.
    stage.spawn(async move {
        let actor = &end.cast.actors[end.stage.plan.links[index].from];
        let rest = end.stage.within(LEAVING, session.closed());
        drop(select(pin!(rest), pin!(leaves(&end.stage, actor))).await);
        session.close(Error::Closed, "");
        drop((seat, session));
        end.of(driver).await;
    });
    moved
}

/// What remains to be looked at when a session is over.
struct Ending {
    stage: Rc<Stage>,
    cast: Rc<Cast>,
    index: usize,
    /// When it was opened.
    opened: Duration,
}

impl Ending {
    /// Waits for the driver.
    async fn of(self, driver: Task<Result<(), Error>>) {
        let Self {
            stage,
            cast,
            index,
            opened,
        } = self;
        stage.note(format_args!("link {index}: over"));
        stage.reconnect();
        cast.ways[index].closed(&stage, opened);
        over(&stage, index, driver).await;
    }
}

/// Checks that the driver of a session that is over ends.
pub async fn over(stage: &Stage, index: usize, driver: Task<Result<(), Error>>) {
    match stage.within(AFTERMATH, driver).await {
        Some(result) => blame(stage, index, &result),
        None => stage.violate(format_args!(
            "link {index}: the driver outlived its session"
        )),
    }
}

/// Checks that a session between those who keep to the rules did not end because somebody broke them.
fn blame(stage: &Stage, index: usize, result: &Result<(), Error>) {
    let fair = matches!(
        result,
        Ok(())
            | Err(Error::Transport(_)
                | Error::Timeout
                | Error::Late { .. }
                | Error::Cancel
                | Error::Closed
                | Error::GoingAway)
    );
    if !fair && stage.plan.is_honest(&stage.plan.links[index]) {
        stage.violate(format_args!(
            "link {index}: an honest session ended with {result:?}"
        ));
    }
}

/// Waits until `actor` leaves, for a while or for good.
async fn leaves(stage: &Stage, actor: &Actor) {
    let (gone, left) = (actor.becomes(false), stage.reached(Phase::Leave));
    let _first = select(pin!(gone), pin!(left)).await;
}

/// Waits for the end of a session, or ends it when its owner leaves, or is asked to move: then where to.
async fn live(stage: &Stage, actor: &Actor, index: usize, session: &Session) -> Option<String> {
    match select(pin!(session.going_away()), pin!(leaves(stage, actor))).await {
        Either::Left((Ok(uri), _)) => {
            stage.note(format_args!("link {index}: asked to move to {uri:?}"));
            stage.reconnect();
            return Some(uri);
        }
        Either::Left((Err(error), _)) => stage.note(format_args!("link {index}: ended: {error}")),
        Either::Right(_) => {
            stage.note(format_args!("link {index}: left"));
            session.close(Error::Closed, "");
        }
    }
    None
}

/// The accepting side of one connection, from its start to its end.
async fn accept(stage: Rc<Stage>, cast: Rc<Cast>, index: usize, node: usize, far: Transport) {
    let link = &stage.plan.links[index];
    let life = cast.actors[node].life();
    let mut config = Config::new(life.runtime.clone()).with_versions([link.version]);
    config.path = Some("/".to_owned());
    let server = Server::new(config);
    let request = match stage.within(HANDSHAKE, server.accept(far)).await {
        Some(Ok(request)) => request,
        Some(Err(error)) => return stage.note(format_args!("node {node}: refused: {error}")),
        None => return stage.note(format_args!("node {node}: no handshake")),
    };
    let (publish, subscribe) = rights(&stage, &life, index);
    let (session, driver) = request.ok(publish, subscribe);
    let seat = life.enter(index, &session);
    drop(life);
    stage.reconnect();
    let result = driver.await;
    stage.reconnect();
    drop((seat, session));
    stage.note(format_args!(
        "node {node}: session with {} ended: {result:?}",
        link.from
    ));
    blame(&stage, index, &result);
}

/// What a relay grants over a link: what may be read, where what is announced goes.
fn rights(
    stage: &Stage,
    life: &Life,
    index: usize,
) -> (Option<OriginConsumer>, Option<OriginProducer>) {
    let link = &stage.plan.links[index];
    let node = &stage.plan.nodes[link.from];
    let scope = paths(&node.scope);
    match node.role {
        Role::Relay if link.tie == Tie::Upstream => (Some(life.origin.consume()), None),
        Role::Relay | Role::Forger => (Some(life.origin.consume()), Some(life.origin.clone())),
        Role::Publisher => (None, life.origin.scope(&scope)),
        Role::Viewer | Role::Asker | Role::Rogue => (life.origin.consume().scope(&scope), None),
    }
}

/// Asks sessions to move, until the faults are over.
pub async fn drains(stage: Rc<Stage>, cast: Rc<Cast>) {
    let mut rng = stage.rng(6);
    loop {
        let pause = stage.sleep(rng.millis(500, 9_000));
        if stage.until(Phase::Heal, pause).await.is_none() {
            return;
        }
        let node = rng.below(cast.actors.len() as u64) as usize;
        let life = cast.actors[node].life();
        let mut sessions = life.sessions();
        if sessions.is_empty() || !stage.plan.nodes[node].role.is_honest() {
            continue;
        }
        if rng.chance(70) {
            let only = sessions.swap_remove(rng.below(sessions.len() as u64) as usize);
            sessions = vec![only];
        }
        for (index, session) in sessions {
            let uri = elsewhere(&stage, node, index, &mut rng);
            stage.note(format_args!(
                "fault node {node}: asks link {index} to move to {uri:?}"
            ));
            session.goaway(&uri);
            stage.drain_until(stage.now() + life.runtime.limits().drain + AFTERMATH);
            // Whatever it is on its way.
            stage.change_at(stage.now() + Duration::from_secs(3));
            let cast = cast.clone();
            stage.spawn(drained(stage.clone(), cast, node, index, session));
        }
    }
}

/// Checks that a session that was asked to move ends in its time. Until then nothing may be lost, and announcements not at all
/// if another session has taken its place.
async fn drained(stage: Rc<Stage>, cast: Rc<Cast>, node: usize, index: usize, session: Session) {
    let asked = stage.now();
    let last = Duration::from_millis(10);
    let time = stage.limits(false).drain - last;
    if stage.within(time, session.closed()).await.is_some() {
        return;
    }
    let end = stage.now() + last + AFTERMATH;
    stage.disrupt_at(end);
    if !cast.ways[index].is_replaced(&stage, asked) {
        stage.shake_at(end);
    }
    let rest = stage.within(last + AFTERMATH, session.closed());
    if rest.await.is_none() {
        stage.violate(format_args!(
            "node {node}: link {index} goes on after its drain time"
        ));
    }
}

/// Where a session could go: another relay where as much is heard of, the same one, or nowhere that there is.
fn elsewhere(stage: &Stage, node: usize, index: usize, rng: &mut Rng) -> String {
    let client = stage.plan.links[index].tie == Tie::Client;
    let relays: Vec<usize> = stage.plan.island(node).into_iter().collect();
    match rng.below(10) {
        0 => "https://nowhere.example".to_owned(),
        1..7 if client => format!("relay/{}", rng.pick(&relays)),
        _ => String::new(),
    }
}
