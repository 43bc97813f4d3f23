//! Viewers: they follow announcements, and read what they find.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use moq_net::{Announced, BroadcastConsumer, Error, Fetch, PathOwned, Subscription, TrackConsumer};

use crate::{
    cast::{Cast, Life},
    check,
    plan::Family,
    publisher::{DYNAMIC, TRACKS, covers},
    reading::{self, Reading},
    rng::Rng,
    route,
    stage::{Phase, Stage},
};

/// So many things one viewer does at a time.
pub const HANDS: usize = 10;

/// What a viewer does, until the end.
pub async fn view(stage: Rc<Stage>, cast: Rc<Cast>, node: usize) {
    let mut rng = stage.rng(0x3_0000 + node as u64);
    let life = cast.actors[node].life();
    let mut announced = life.origin.consume().announced();
    let hands = Rc::new(());
    let mut known: BTreeMap<PathOwned, BroadcastConsumer> = BTreeMap::new();
    loop {
        let pause = rng.millis(50, 900);
        let next = stage.within(pause, announced.next());
        let path = match stage.until(Phase::Leave, next).await {
            None => return,
            Some(Some(None)) => {
                return stage.violate(format_args!("node {node}: announcements ended"));
            }
            Some(Some(Some((path, event)))) => {
                news(
                    &stage,
                    &cast,
                    node,
                    &path,
                    &event,
                    known.contains_key(&path),
                );
                let mut view = cast.actors[node].view.borrow_mut();
                match event.broadcast() {
                    Some(broadcast) => {
                        view.insert(path.clone(), stage.now().as_millis() as u64);
                        known.insert(path.clone(), broadcast);
                    }
                    None => {
                        view.remove(&path);
                        known.remove(&path);
                        continue;
                    }
                }
                path
            }
            Some(None) => match known.keys().nth(rng.below(known.len() as u64) as usize) {
                Some(path) => path.clone(),
                None => continue,
            },
        };
        if Rc::strong_count(&hands) <= HANDS && rng.chance(70) && stage.phase() <= Phase::Heal {
            let task = Task {
                stage: stage.clone(),
                life: life.clone(),
                node,
                path: path.clone(),
                rng: rng.fork(rng.clone().draw()),
            };
            let broadcast = known[&path].clone();
            let hand = hands.clone();
            stage.spawn(async move {
                task.run(broadcast).await;
                drop(hand);
            });
        }
        rng.draw();
    }
}

/// Checks one announcement.
fn news(
    stage: &Rc<Stage>,
    cast: &Rc<Cast>,
    node: usize,
    path: &PathOwned,
    event: &Announced,
    known: bool,
) {
    let (what, broadcast) = match event {
        Announced::Active(broadcast) => ("active", Some(broadcast)),
        Announced::Restart(broadcast) => ("restart", Some(broadcast)),
        Announced::Ended => ("ended", None),
    };
    stage.note(format_args!("node {node}: {path} {what}"));
    if known != matches!(event, Announced::Restart(_) | Announced::Ended) {
        stage.violate(format_args!(
            "node {node}: {path} {what} although known is {known}"
        ));
    }
    if !covers(&stage.plan.nodes[node].scope, path.as_str()) {
        stage.violate(format_args!("node {node}: {path} is outside of its scope"));
    }
    let ledger = stage.ledger.borrow();
    let from = |publisher| stage.plan.hears(node, publisher);
    if broadcast.is_some() && !ledger.was_claimed(path.as_str(), from) {
        stage.violate(format_args!(
            "node {node}: {path} was never granted to anybody it hears of"
        ));
    }
    if let (None, Some(since)) = (broadcast, stage.known_since())
        && let Some(publication) = ledger.undisputed(path.as_str(), since, from)
    {
        stage.spawn(back(
            stage.clone(),
            cast.clone(),
            node,
            path.clone(),
            publication,
        ));
    }
    drop(ledger);
    if let Some(broadcast) = broadcast {
        let own = cast.actors[node].life().origin.info();
        route::way(stage, (node, own), path, broadcast.info());
    }
}

/// Checks that a path which ended although it is there is back at once: versions before 05 can tell of another route only like
/// that.
async fn back(stage: Rc<Stage>, cast: Rc<Cast>, node: usize, path: PathOwned, publication: usize) {
    stage.sleep(Duration::from_millis(10)).await;
    let gone = stage.ledger.borrow().publications[publication]
        .ended
        .is_some();
    if !gone && !cast.actors[node].view.borrow().contains_key(&path) {
        stage.violate(format_args!(
            "node {node}: {path} ended although {publication} is there"
        ));
    }
}

/// One thing a viewer does.
pub struct Task {
    /// Where it happens.
    pub stage: Rc<Stage>,
    /// The viewer.
    pub life: Rc<Life>,
    /// Its number.
    pub node: usize,
    /// What it is about.
    pub path: PathOwned,
    /// What it decides by.
    pub rng: Rng,
}

impl Task {
    /// Asks for the broadcast before anything else.
    pub async fn seek(self) {
        let (stage, node, path) = (self.stage.clone(), self.node, self.path.clone());
        let due = self.due();
        let answer = self.request().await;
        stage.note(format_args!(
            "node {node}: asks for {path}: {:?}",
            answer.as_ref().map(|_| ())
        ));
        match answer {
            Ok(broadcast) => self.run(broadcast).await,
            Err(error) if due.is_some() && due == self.due() => stage.violate(format_args!(
                "node {node}: {path} is there, but asking for it ends with {error}"
            )),
            Err(_) => {}
        }
    }

    /// The publication that this viewer must get when it asks: everybody knows it, and nothing is in its way.
    fn due(&self) -> Option<usize> {
        let stage = &self.stage;
        let since = stage.open_since()?;
        let scope = &stage.plan.nodes[self.node].scope;
        if stage.plan.has(Family::Tight) || !covers(scope, self.path.as_str()) {
            return None;
        }
        let from = |publisher| stage.plan.reaches(self.node, publisher);
        let ledger = stage.ledger.borrow();
        ledger.undisputed(self.path.as_str(), since, from)
    }

    /// The same, if it has a track that is being written all the time.
    fn due_track(&self, name: &str) -> Option<usize> {
        let publication = self.due()?;
        let ledger = self.stage.ledger.borrow();
        let track = ledger.publications[publication].tracks.get(name)?;
        (!track.over && track.begun < self.stage.open_since()?).then_some(publication)
    }

    /// Does something with the broadcast.
    pub async fn run(mut self, broadcast: BroadcastConsumer) {
        let stage = self.stage.clone();
        if self.rng.chance(5) {
            let answer = self.request().await.err();
            stage.note(format_args!(
                "node {}: request {} {answer:?}",
                self.node, self.path
            ));
        }
        let name = match self.rng.below(10) {
            0 => "nowhere".to_owned(),
            1 | 2 => format!("{DYNAMIC}{}", self.rng.below(2)),
            _ => (*self.rng.pick(&TRACKS)).to_owned(),
        };
        let track = match broadcast.track(name.as_str()) {
            Ok(track) => track,
            Err(error) => {
                // Every broadcast of a session can be asked for any track, as long as it is there and not overloaded.
                if !matches!(error, Error::Dropped | Error::NoCapacity(_)) {
                    stage.violate(format_args!("node {}: no {name}: {error}", self.node));
                }
                return;
            }
        };
        drop(broadcast);
        match self.rng.below(10) {
            0 => self.info(&track).await,
            1..4 => self.fetch(&track).await,
            _ => self.subscribe(&track).await,
        }
    }

    /// Asks for the broadcast by its path.
    async fn request(&self) -> Result<BroadcastConsumer, Error> {
        let what = format!("asking for {}", self.path);
        let _operation = self.stage.operation(self.node, what);
        let origin = self.life.origin.consume();
        origin.request_broadcast(&self.path)?.await
    }

    async fn info(&self, track: &TrackConsumer) {
        let operation = self.stage.operation(self.node, "info");
        let info = track.info().await;
        drop(operation);
        self.stage.note(format_args!(
            "node {}: info {} {info:?}",
            self.node,
            track.name()
        ));
    }

    /// Waits for an answer; in so many of a hundred cases not for long.
    async fn wait<T>(&mut self, percent: u64, answer: impl Future<Output = T>) -> Option<T> {
        match self.stage.plan.has(Family::Fickle) && self.rng.chance(percent) {
            true => {
                let patience = self.rng.millis(0, 300);
                self.stage.within(patience, answer).await
            }
            false => Some(answer.await),
        }
    }

    async fn fetch(&mut self, track: &TrackConsumer) {
        let stage = self.stage.clone();
        let latest = track.latest().unwrap_or(3);
        let sequence = (latest + 2).saturating_sub(self.rng.below(8));
        let frame = match self.rng.chance(30) {
            true => self.rng.range(0, 9),
            false => 0,
        };
        let options = Fetch::default()
            .with_priority(self.rng.below(256) as u8)
            .with_frame_start(frame);
        let operation = stage.operation(self.node, "fetch");
        let answer = match track.fetch_group(sequence, options) {
            Ok(pending) => match self.wait(20, pending).await {
                Some(answer) => answer,
                None => return,
            },
            Err(error) => Err(error),
        };
        drop(operation);
        stage.note(format_args!(
            "node {}: fetch {}/{}/{sequence}+{frame} {:?}",
            self.node,
            self.path,
            track.name(),
            answer.as_ref().map(|_| ())
        ));
        if let Ok(group) = answer {
            let reading = Reading::new(&stage, self.node, self.path.as_str(), track.name());
            let _end = reading::group(&reading, group, &mut self.rng, true).await;
        }
    }

    async fn subscribe(&mut self, track: &TrackConsumer) {
        let stage = self.stage.clone();
        let wish = self.wish(track);
        let due = self.due_track(track.name());
        let operation = stage.operation(self.node, "subscribe");
        let pending = match track.subscribe(wish) {
            Ok(pending) => pending,
            Err(error) => return stage.note(format_args!("node {}: subscribe {error}", self.node)),
        };
        let Some(answer) = self.wait(15, pending).await else {
            return;
        };
        drop(operation);
        stage.note(format_args!(
            "node {}: subscribe {}/{} {wish:?} {:?}",
            self.node,
            self.path,
            track.name(),
            answer.as_ref().map(|_| ())
        ));
        if let (Err(error), Some(_)) = (&answer, due)
            && due == self.due_track(track.name())
        {
            stage.violate(format_args!(
                "node {}: {}/{} is there, but subscribing ends with {error}",
                self.node,
                self.path,
                track.name()
            ));
        }
        if let Ok(subscriber) = answer {
            check::track(
                &stage,
                self.node,
                self.path.as_str(),
                subscriber,
                wish,
                &mut self.rng,
            )
            .await;
        }
    }

    fn wish(&mut self, track: &TrackConsumer) -> Subscription {
        let rng = &mut self.rng;
        let latency = [
            Duration::ZERO,
            Duration::from_millis(500),
            Duration::from_secs(60),
            Duration::MAX,
        ];
        if rng.chance(25) {
            // As pages do unless they are told otherwise.
            return Subscription::default()
                .with_ordered(true)
                .with_max_latency(Duration::MAX);
        }
        let mut wish = Subscription::default()
            .with_priority(rng.below(256) as u8)
            .with_ordered(rng.chance(50))
            .with_max_latency(*rng.pick(&latency));
        if rng.chance(25) {
            let start = (track.latest().unwrap_or(0) + 2).saturating_sub(rng.below(6));
            wish = wish.with_group_start(start);
            if rng.chance(50) {
                wish = wish.with_group_end(start + rng.below(10));
            }
        }
        wish
    }
}
