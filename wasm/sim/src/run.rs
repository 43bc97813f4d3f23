//! One run, from a seed to a verdict.

use std::{panic::AssertUnwindSafe, rc::Rc, time::Duration};

use crate::{
    cast::{self, Cast},
    plan::{Family, Mode, Plan, Role},
    publisher::{self, covers},
    stage::{Phase, Stage},
    viewer,
    weather::{self, Network},
};

/// Everything has to settle this long after the last fault.
const SETTLE: Duration = Duration::from_secs(60);
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
    /// Operations that settled.
    pub operations: u64,
    /// Virtual time that passed.
    pub time: Duration,
    /// What must never happen, if it did.
    pub violation: Option<String>,
    /// The last events.
    pub last: Vec<String>,
}

/// Runs `plan`; `aloud`, it prints every event as it happens.
pub fn run(plan: Plan, aloud: bool) -> Outcome {
    let stage = Stage::new(plan);
    stage.trace.borrow_mut().aloud = aloud;
    let network = Network::new(&stage);
    let cast = Cast::new(&stage);
    start(&stage, &cast, &network);
    let main = direct(stage.clone(), cast.clone(), network.clone());
    let main = stage.executor.spawn(main);
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
        hash: crate::trace::fnv(trace.hash(), &network.hash().to_le_bytes()),
        events: trace.events(),
        groups: stage.groups(),
        operations: stage.operations().1,
        time: stage.now(),
        violation: stage.violation(),
        last: trace.last().map(str::to_owned).collect(),
    }
}

/// Sets everybody going.
fn start(stage: &Rc<Stage>, cast: &Rc<Cast>, network: &Rc<Network>) {
    for index in 0..stage.plan.links.len() {
        stage.spawn(cast::keep(
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
            Role::Relay => {}
        }
    }
    if [Family::Resets, Family::Kills, Family::Silence]
        .into_iter()
        .any(|family| stage.plan.has(family))
    {
        stage.spawn(weather::storm(stage.clone(), network.clone(), Phase::Heal));
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
    stage.disrupt();
    network.clear(&stage);
    stage.enter(Phase::Heal);
    let healed = stage.now();
    agree(&stage, &cast, healed + AGREE).await;
    stage.enter(Phase::Finish);
    while stage.now() < healed + SETTLE && !stage.pending().is_empty() {
        stage.sleep(Duration::from_millis(500)).await;
    }
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
        for path in crate::plan::PATHS {
            let due = ledger.is_live(path) && covers(&plan.scope, path);
            if due != view.contains_key(path) {
                let verb = if due { "does not see" } else { "still sees" };
                return Some(format!("node {node} {verb} {path}"));
            }
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
        stage.disrupt();
        stage.note(format_args!("fault node {node}: away for {pause:?}"));
        cast.actors[node].set_up(false);
        stage.sleep(pause).await;
        stage.disrupt();
        cast.actors[node].set_up(true);
    }
}

/// Checks that everybody left nothing behind.
fn leftovers(stage: &Rc<Stage>, cast: &Cast) {
    if stage.plan.mode == Mode::Storm {
        return;
    }
    for (node, actor) in cast.actors.iter().enumerate() {
        let stats = actor.life().runtime.stats();
        // The origin itself is still there.
        let stats = moq_net::Stats {
            origins: stats.origins.saturating_sub(1),
            producers: stats.producers.saturating_sub(1),
            ..stats
        };
        cast::empty(stage, node, stats);
    }
}
