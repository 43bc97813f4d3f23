//! A relay that announces what is not so: paths that it has not got, by ways that do not exist, in the names of others.

use std::{pin::pin, rc::Rc, time::Duration};

use futures_util::future::{Either, select};
use moq_net::{
    BroadcastInfo, BroadcastProducer, Client, Config, Cost, Error, Origin, OriginList,
    OriginProducer, OriginPublish, Path, Runtime,
};
use moq_worker_world::transport::Transport;

use crate::{
    cast::Cast,
    plan::PATHS,
    rng::Rng,
    session,
    stage::{Phase, Stage},
};

/// So many claims at a time.
const CLAIMS: usize = 10;
/// So many paths that nobody else has.
pub const PATHS_OF_ITS_OWN: usize = 5;
/// The chain of a claim that is worse than any honest one: longer than any topology, on every version.
const LONG: u64 = 20;

/// Something that is claimed.
struct Claim {
    path: String,
    announced: OriginPublish,
    _broadcast: BroadcastProducer,
}

/// Forges over `transport` until it is thrown out, or the faults are over.
pub async fn forge(
    stage: &Rc<Stage>,
    cast: &Rc<Cast>,
    index: usize,
    mut config: Config,
    transport: Transport,
) {
    let node = stage.plan.links[index].from;
    let mut rng = stage.rng(0x6_0000 + stage.now().as_nanos() as u64);
    let runtime = cast.actors[node].life().runtime.clone();
    let name = match rng.chance(60) {
        true => node as u64 + 1,
        false => somebody(stage, &mut rng),
    };
    let origin = Origin::from(name).produce(&runtime);
    config.publish = Some(origin.consume());
    let connected = Client::new(config).connect(transport).await;
    let Ok((session, driver)) = connected else {
        return stage.note(format_args!("node {node}: the forger is refused"));
    };
    stage.note(format_args!("node {node}: the forger calls itself {name}"));
    stage.reconnect();
    let driver = stage.executor.spawn(driver);
    let mut claims: Vec<Claim> = Vec::new();
    loop {
        let pause = stage.until(Phase::Heal, stage.sleep(rng.millis(5, 600)));
        match select(pin!(pause), pin!(session.closed())).await {
            Either::Left((Some(()), _)) => {}
            Either::Left((None, _)) => break,
            Either::Right((error, _)) => {
                stage.note(format_args!("node {node}: the forger is out: {error}"));
                break;
            }
        }
        stage.reconnect();
        let some = rng.below(claims.len() as u64 + 2) as usize;
        match claims.get(some) {
            Some(claim) if rng.chance(50) => {
                claim.announced.update(way(stage, &claim.path, &mut rng))
            }
            Some(_) => drop(claims.swap_remove(some)),
            None if claims.len() < CLAIMS => {
                claims.extend(claim(stage, &runtime, &origin, &mut rng));
            }
            None => {}
        }
    }
    drop(claims);
    session.close(Error::Closed, "");
    session::over(stage, index, driver).await;
    stage.reconnect();
}

/// The name of some other participant, in its first life.
fn somebody(stage: &Stage, rng: &mut Rng) -> u64 {
    rng.below(stage.plan.nodes.len() as u64) + 1
}

/// Claims a path.
fn claim(
    stage: &Rc<Stage>,
    runtime: &Runtime,
    origin: &OriginProducer,
    rng: &mut Rng,
) -> Option<Claim> {
    let path = match rng.chance(50) {
        true => format!("forged/{}", rng.below(PATHS_OF_ITS_OWN as u64)),
        false => (*rng.pick(&PATHS)).to_owned(),
    };
    let parsed = Path::parse(&path).expect("a valid path").into_owned();
    let broadcast = way(stage, &path, rng).produce(runtime);
    {
        let mut ledger = stage.ledger.borrow_mut();
        ledger.forged.insert(path.clone());
        if stage.plan.hijacks {
            ledger.hijacked.insert(path.clone());
        }
    }
    // Somebody who answers; else there are no tracks at all.
    match rng.below(3) {
        0 => stage.spawn(answer(stage.clone(), broadcast.clone(), rng.fork(1))),
        1 => stage.spawn(ignore(stage.clone(), broadcast.clone())),
        _ => {}
    }
    // A chain with its own name in it is not even its own.
    let announced = origin.publish_broadcast(&parsed, &broadcast).ok()?;
    Some(Claim {
        path,
        announced,
        _broadcast: broadcast,
    })
}

/// A way that nothing came by.
fn way(stage: &Stage, path: &str, rng: &mut Rng) -> BroadcastInfo {
    let contested = PATHS.contains(&path);
    let better = stage.plan.hijacks && rng.chance(50);
    let length = match contested && !better {
        true => rng.range(LONG, OriginList::MAX as u64),
        false => rng.range(0, 6),
    };
    let mut hops: Vec<u64> = Vec::new();
    while (hops.len() as u64) < length {
        let hop = match rng.below(10) {
            0 => 0,
            1..5 => somebody(stage, rng),
            _ => 1_000 + rng.below(1 << 40),
        };
        // Said twice it ends the session: for that one is enough.
        if hop == 0 || !hops.contains(&hop) || rng.chance(1) {
            hops.push(hop);
        }
    }
    // Nobody's own claim goes behind every other one.
    if contested && !better {
        hops[0] = 0;
    }
    let cost = match contested && !better {
        true => 1 << 40,
        false => rng.below(5),
    };
    let hops: Vec<Origin> = hops.into_iter().map(Origin::from).collect();
    BroadcastInfo {
        cost: Cost {
            warm: cost,
            cold: cost,
        },
        ..BroadcastInfo::new().with_hops(OriginList::try_from(hops).expect("not too long"))
    }
}

/// Says no, or takes what it is asked for, where that is not told from an honest publisher's, and sends nothing.
async fn answer(stage: Rc<Stage>, broadcast: BroadcastProducer, mut rng: Rng) {
    let mut dynamic = broadcast.dynamic();
    drop(broadcast);
    let mut taken = Vec::new();
    while let Some(Ok(request)) = stage.until(Phase::Heal, dynamic.requested_track()).await {
        match stage.plan.hijacks && rng.chance(50) {
            true => taken.push(request.accept(None)),
            false => request.reject(Error::NotFound),
        }
    }
}

/// Lets those who ask wait.
async fn ignore(stage: Rc<Stage>, broadcast: BroadcastProducer) {
    let mut dynamic = broadcast.dynamic();
    drop(broadcast);
    let mut asked = Vec::new();
    while let Some(Ok(request)) = stage.until(Phase::Heal, dynamic.requested_track()).await {
        asked.push(request);
        stage.sleep(Duration::from_millis(1)).await;
    }
}
