//! One run, from a seed to a verdict.

use std::{panic::AssertUnwindSafe, rc::Rc, time::Duration};

use moq_net::InOrderStats;

use crate::{
    ask, bounds,
    cast::{self, Cast},
    plan::{Family, Mode, PATHS, Plan, Role},
    publisher::{self, covers},
    route, session,
    stage::{Phase, Stage},
    trace::fnv,
    viewer,
    weather::{self, Network},
};

/// Everything has to settle this long after the last fault.
const SETTLE: Duration = Duration::from_secs(60);
/// Everything goes on for so long without faults, at least.
const HEALTHY: Duration = Duration::from_secs(12);
/// Announcements have to agree this long after the last fault.
const AGREE: Duration = Duration::from_secs(30);

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The fingerprint of everything that happened.
    pub hash: u64,
    /// How much happened.
    pub events: u64,
    /// Groups that were read whole, and compared.
    pub groups: u64,
    /// What readers in order have been through.
    pub in_order: InOrderStats,
    /// Operations that settled.
    pub operations: u64,
    /// Virtual time that passed.
    pub time: Duration,
    /// What must never happen, if it did.
    pub violation: Option<String>,
    /// The last events.
    pub last: Vec<String>,
}

/// What is different from an ordinary run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// Every event is printed as it happens.
    pub aloud: bool,
    /// The core is broken in this way: one of [`MUTANTS`].
    pub mutant: Option<&'static str>,
}

/// The ways in which the core can be broken on purpose, to see that a run notices.
pub const MUTANTS: [&str; 21] = [
    "skip-wake",
    "spin",
    "scope-by-letter",
    "ignore-scope",
    "truncate",
    "leak-group",
    "wrong-group",
    "forget-unannounce",
    "drop-end",
    "wrong-end",
    "lose-group",
    "lose-frame",
    "deliver-twice",
    "lose-update",
    "unbounded",
    "drain-for-ever",
    "forget-standby",
    "keep-loops",
    "ask-in-circles",
    "forget-gap",
    "impatient",
];

/// Runs `plan`.
pub fn run(plan: Plan, extra: Extra) -> Outcome {
    let dawdles = plan.has(Family::Delays) || extra.mutant.is_some();
    let delays = dawdles.then_some(plan.seed);
    kio::fault::configure(extra.mutant, delays);
    let outcome = perform(plan, extra.aloud);
    kio::fault::configure(None, None);
    outcome
}

fn perform(plan: Plan, aloud: bool) -> Outcome {
    let stage = Stage::new(plan);
    stage.trace.borrow_mut().aloud = aloud;
    let network = Network::new(&stage);
    let cast = Cast::new(&stage);
    start(&stage, &cast, &network);
    let main = direct(stage.clone(), cast.clone(), network.clone());
    let main = stage.executor.spawn(main);
    stage.spawn(watch(stage.clone(), cast.clone(), network.clone()));
    let limit = Duration::from_secs(600);
    while !main.is_finished() && stage.violation().is_none() {
        let turn = std::panic::catch_unwind(AssertUnwindSafe(|| stage.executor.turn()));
        let Ok(going) = turn else {
            // What the panic left behind is in no state to be shut down.
            stage.violate(format_args!("a panic: see above"));
            break;
        };
        if !going {
            stage.violate(format_args!(
                "a deadlock: nothing is ready and no timer is armed"
            ));
        }
        if stage.now() > limit {
            stage.violate(format_args!("the run does not end"));
        }
    }
    drop(main);
    if stage.violation().is_none() {
        stage.executor.shut_down();
        leftovers(&stage, &cast);
    }
    let trace = stage.trace.borrow();
    Outcome {
        hash: fnv(trace.hash(), &network.hash().to_le_bytes()),
        events: trace.events(),
        groups: stage.groups(),
        in_order: stage.in_order(),
        operations: stage.operations().1,
        time: stage.now(),
        violation: stage.violation(),
        last: trace.last().map(str::to_owned).collect(),
    }
}

/// Sets everybody going.
fn start(stage: &Rc<Stage>, cast: &Rc<Cast>, network: &Rc<Network>) {
    for index in 0..stage.plan.links.len() {
        stage.spawn(session::keep(
            stage.clone(),
            cast.clone(),
            network.clone(),
            index,
        ));
    }
    for (node, plan) in stage.plan.nodes.iter().enumerate() {
        match plan.role {
            Role::Publisher => {
                for slot in 0..2 {
                    stage.spawn(publisher::publish(stage.clone(), cast.clone(), node, slot));
                }
            }
            Role::Viewer => stage.spawn(viewer::view(stage.clone(), cast.clone(), node)),
            Role::Asker => stage.spawn(ask::ask(stage.clone(), cast.clone(), node)),
            Role::Relay | Role::Rogue | Role::Forger => {}
        }
    }
    if weather::STORMS
        .into_iter()
        .any(|family| stage.plan.has(family))
    {
        stage.spawn(weather::storm(stage.clone(), network.clone(), Phase::Heal));
    }
    if stage.plan.has(Family::Drains) {
        stage.spawn(session::drains(stage.clone(), cast.clone()));
    }
    if stage.plan.has(Family::Churn) {
        stage.spawn(churn(stage.clone(), cast.clone(), network.clone()));
    }
}

/// Leads through the phases.
async fn direct(stage: Rc<Stage>, cast: Rc<Cast>, network: Rc<Network>) {
    stage.sleep(stage.plan.safety).await;
    if stage.plan.mode == Mode::Storm {
        return;
    }
    network.clear(&stage);
    stage.enter(Phase::Heal);
    let healed = stage.now();
    agree(&stage, &cast, healed + AGREE).await;
    stage
        .sleep((healed + HEALTHY).saturating_sub(stage.now()))
        .await;
    stage.enter(Phase::Finish);
    while stage.now() < healed + SETTLE && !stage.pending().is_empty() {
        stage.sleep(Duration::from_millis(500)).await;
    }
    quiet(&stage, &network).await;
    for pending in stage.pending() {
        stage.violate(format_args!(
            "node {}: {} since {:.3} s has not settled",
            pending.node,
            pending.what,
            pending.since.as_secs_f64()
        ));
    }
    stage.enter(Phase::Leave);
    // Longer than anything lingers.
    stage.sleep(Duration::from_secs(40)).await;
}

/// Waits until every viewer sees exactly what there is for it to see, three times in a row.
async fn agree(stage: &Rc<Stage>, cast: &Rc<Cast>, limit: Duration) {
    let mut agreed = 0;
    loop {
        stage.sleep(Duration::from_secs(1)).await;
        let disagreement = disagreement(stage, cast);
        agreed = match disagreement {
            None => agreed + 1,
            Some(_) => 0,
        };
        if agreed == 3 {
            return;
        }
        if let (Some(text), true) = (disagreement, stage.now() > limit) {
            return stage.violate(format_args!("{text}, {AGREE:?} after the last fault"));
        }
    }
}

/// What some viewer does not see, or should not.
fn disagreement(stage: &Stage, cast: &Cast) -> Option<String> {
    let ledger = stage.ledger.borrow();
    for (node, plan) in stage.plan.nodes.iter().enumerate() {
        if plan.role != Role::Viewer {
            continue;
        }
        let view = cast.actors[node].view.borrow();
        for path in PATHS {
            let from = |publisher| stage.plan.hears(node, publisher);
            let due = ledger.is_live(path, from) && covers(&plan.scope, path);
            if due != view.contains_key(path) {
                let verb = if due { "does not see" } else { "still sees" };
                return Some(format!("node {node} {verb} {path}"));
            }
        }
        let stray = view.keys().find(|path| !PATHS.contains(&path.as_str()));
        if let Some(path) = stray {
            return Some(format!("node {node} still sees {path}"));
        }
    }
    None
}

/// Lets participants go and come back until the faults are over.
async fn churn(stage: Rc<Stage>, cast: Rc<Cast>, network: Rc<Network>) {
    let mut rng = stage.rng(4);
    loop {
        if stage
            .until(Phase::Heal, stage.sleep(rng.millis(500, 8_000)))
            .await
            .is_none()
        {
            return;
        }
        let node = rng.below(cast.actors.len() as u64) as usize;
        let pause = rng.millis(10, 5_000);
        if stage.plan.nodes[node].role == Role::Relay {
            cast::restart(&stage, &cast, &network, node, pause).await;
            continue;
        }
        if !stage.plan.nodes[node].role.is_honest() {
            continue;
        }
        stage.fault();
        stage.note(format_args!("fault node {node}: away for {pause:?}"));
        cast.actors[node].set_up(false);
        stage.sleep(pause).await;
        stage.fault();
        cast.actors[node].set_up(true);
    }
}

/// Checks that everybody left nothing behind, and that nobody's queues were ever too long.
fn leftovers(stage: &Rc<Stage>, cast: &Cast) {
    for (node, actor) in cast.actors.iter().enumerate() {
        let life = actor.life();
        bounds::high_water(stage, node, &life.runtime);
        if stage.plan.mode == Mode::Heal {
            cast::empty(stage, node, life.holds());
        }
    }
}

/// Checks all along that caches are bounded, that no way goes in a circle, and that announcements come to rest whenever nothing
/// changes.
async fn watch(stage: Rc<Stage>, cast: Rc<Cast>, network: Rc<Network>) {
    loop {
        stage.sleep(Duration::from_millis(250)).await;
        for (node, actor) in cast.actors.iter().enumerate() {
            let life = actor.life();
            bounds::cache(&stage, node, &life.runtime);
            if stage.plan.nodes[node].role == Role::Relay {
                route::ways(&stage, node, &life);
            }
        }
        if stage.phase() > Phase::Safety {
            // By what is gone first, and then by what takes its place.
            rest(&stage, &network, 2 * links(&stage));
        }
    }
}

/// The most links that news can pass one after the other, and one for good measure: R18.
fn links(stage: &Stage) -> u32 {
    stage.plan.relay_count() as u32 + 1
}

/// Checks that nothing was announced later than so many link delays after the last change.
fn rest(stage: &Stage, network: &Network, links: u32) {
    let limit = stage.changed() + links * stage.plan.latency();
    for index in 0..stage.plan.links.len() {
        let Some(breaker) = network.breaker(index) else {
            continue;
        };
        let last = [0, 1].map(|side| breaker.written(side, ANNOUNCE, false).last);
        let last = last.into_iter().max().unwrap_or_default();
        // What caused this very instant's announcements may not have been noted yet: they are judged the next time.
        if last > limit && last < stage.now() {
            stage.violate(format_args!(
                "link {index}: announcements at {:.3} s, though the last change was at {:.3} s",
                last.as_secs_f64(),
                stage.changed().as_secs_f64()
            ));
        }
    }
}

/// The stream on which announcements travel begins with this.
const ANNOUNCE: u8 = 1;
/// How long nothing happens before it is measured that nothing happens.
const CALM: Duration = Duration::from_secs(10);
/// How long that is measured.
const IDLE: Duration = Duration::from_secs(20);

/// Checks that announcements come to rest after the last change, and that an idle network is idle.
async fn quiet(stage: &Rc<Stage>, network: &Network) {
    // Everything was withdrawn by now; linger, probes and the like come to their ends.
    let left = stage.changed().saturating_sub(stage.now());
    stage.sleep(left + CALM).await;
    rest(stage, network, links(stage));
    let (began, before) = (stage.now(), stage.executor.polls());
    stage.sleep(IDLE).await;
    let polls = stage.executor.polls() - before;
    // Two sessions per link, two polls per second each; besides, the participants' own waits.
    let seconds = (stage.now() - began).as_secs();
    let sessions = 2 * stage.plan.links.len() as u64;
    let own = 40 * stage.plan.nodes.len() as u64 + 400;
    if polls > 2 * sessions * seconds + own {
        stage.violate(format_args!("{polls} polls in {seconds} idle seconds"));
    }
}
