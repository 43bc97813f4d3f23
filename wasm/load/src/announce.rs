//! Many broadcasts appear at once, and then some come and go: how long until every listener knows.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use clap::Args;
use moq_net::{AnnounceConsumer, Announced, BroadcastPublish, Path, PathOwned};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    dial::{Dialer, PATIENCE, Part, Peer},
    payload::now,
    report::Report,
    window::Meter,
};

/// The load.
#[derive(Debug, Args)]
pub(crate) struct Storm {
    /// How many publish.
    #[arg(long, default_value_t = 20)]
    publishers: usize,
    /// Broadcasts of each of them.
    #[arg(long, default_value_t = 100)]
    broadcasts: usize,
    /// How many listen to all of them.
    #[arg(long, default_value_t = 40)]
    listeners: usize,
    /// How often a tenth of the broadcasts goes and comes again.
    #[arg(long, default_value_t = 4)]
    flaps: usize,
    /// Milliseconds between two changes.
    #[arg(long, default_value_t = 500)]
    pause: u64,
}

/// One in so many broadcasts takes part in a flap.
const FLAPPING: usize = 10;

/// A set of paths, as two numbers that are equal when the sets are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    count: usize,
    sum: u64,
}

impl Digest {
    fn toggle(&mut self, path: &PathOwned, present: bool) {
        let mut hasher = DefaultHasher::new();
        path.as_str().hash(&mut hasher);
        self.sum ^= hasher.finish();
        match present {
            true => self.count += 1,
            false => self.count -= 1,
        }
    }
}

/// What all listeners should know after a change.
#[derive(Debug, Clone, Copy, Default)]
struct Goal {
    change: u64,
    known: Digest,
}

/// A listener that knows what it should.
struct Reached {
    change: u64,
    at: u64,
}

impl Storm {
    /// Runs it.
    pub(crate) async fn run(self, dialer: &Dialer) -> anyhow::Result<Report> {
        let publishers = dialer
            .dial_all(vec![String::new(); self.publishers], Part::Publish)
            .await?;
        let listeners = dialer
            .dial_all(vec![String::new(); self.listeners], Part::View)
            .await?;
        let (goal, goals) = watch::channel(Goal::default());
        let (reached, arrivals) = mpsc::unbounded_channel();
        let mut listening = JoinSet::new();
        for listener in &listeners {
            let cursor = listener.origin.consume().announced();
            listening.spawn(listen(cursor, goals.clone(), reached.clone()));
        }
        let mut stage = Stage {
            goal,
            arrivals,
            listeners: self.listeners,
            known: Digest::default(),
        };
        let received = || listeners.iter().map(Peer::received).sum::<u64>();

        let mut report = Report::default();
        let bytes = received();
        let meter = Meter::start(dialer.pid)?;
        let began = now();
        let mut live: Vec<Option<BroadcastPublish>> = Vec::new();
        for broadcast in 0..self.broadcasts {
            for (number, publisher) in publishers.iter().enumerate() {
                live.push(Some(stage.create(publisher, number, broadcast)?));
            }
        }
        let appeared = stage.agree(began).await;
        let window = meter.stop()?;
        let Some(appeared) = appeared else {
            report.unfinished("not every listener saw every broadcast");
            return Ok(report);
        };
        let events = (live.len() * self.listeners) as f64;
        report.figure("appearMs", appeared);
        report.figure("appearBytes", (received() - bytes) as f64);
        report.figure("eventsPerSecond", events / appeared * 1e3);
        if let Some(value) = window.per_cpu_second(events) {
            report.figure("eventsPerCpuSecond", value);
        }
        window.note("", &mut report);

        let meter = Meter::start(dialer.pid)?;
        let mut changes = Vec::new();
        for flap in 0..self.flaps {
            let chosen: Vec<usize> = (flap % FLAPPING..live.len()).step_by(FLAPPING).collect();
            for coming in [false, true] {
                sleep(Duration::from_millis(self.pause)).await;
                let began = now();
                for &index in &chosen {
                    let (broadcast, number) = (index / self.publishers, index % self.publishers);
                    live[index] = match coming {
                        true => Some(stage.create(&publishers[number], number, broadcast)?),
                        false => stage.end(live[index].take()),
                    };
                }
                let Some(time) = stage.agree(began).await else {
                    report.unfinished("not every listener saw a broadcast come or go");
                    return Ok(report);
                };
                changes.push((time * 1e3) as u32);
            }
        }
        meter.stop()?.note("flap.", &mut report);
        report.latency("flap.", changes);
        if listening.try_join_next().is_some() {
            report.unfinished("a listener stopped");
        }
        Ok(report)
    }
}

/// The writing side of the scenario: what there is, and who knows it.
struct Stage {
    goal: watch::Sender<Goal>,
    arrivals: mpsc::UnboundedReceiver<Reached>,
    listeners: usize,
    known: Digest,
}

impl Stage {
    fn create(
        &mut self,
        publisher: &Peer,
        number: usize,
        broadcast: usize,
    ) -> moq_net::Result<BroadcastPublish> {
        let path = format!("load/announce/{number}/{broadcast}");
        let guard = publisher.origin.create_broadcast(&Path::parse(&path)?)?;
        self.known.toggle(guard.path(), true);
        Ok(guard)
    }

    /// Ends a broadcast, and gives what is left of it: nothing.
    fn end(&mut self, guard: Option<BroadcastPublish>) -> Option<BroadcastPublish> {
        if let Some(guard) = guard {
            self.known.toggle(guard.path(), false);
        }
        None
    }

    /// Milliseconds since `began` until every listener knows what there is now; `None` when that takes too long.
    async fn agree(&mut self, began: u64) -> Option<f64> {
        let known = self.known;
        let mut change = 0;
        self.goal.send_modify(|goal| {
            change = goal.change + 1;
            *goal = Goal { change, known };
        });
        let mut last = began;
        for _ in 0..self.listeners {
            let reached = timeout(PATIENCE, self.arrivals.recv()).await.ok()??;
            if reached.change != change {
                return None;
            }
            last = last.max(reached.at);
        }
        Some((last - began) as f64 / 1e3)
    }
}

/// Follows announcements, and says once per change when it knows what it should. Ends when nothing can be announced any more.
async fn listen(
    mut cursor: AnnounceConsumer,
    mut goals: watch::Receiver<Goal>,
    reached: mpsc::UnboundedSender<Reached>,
) {
    let mut paths = HashSet::new();
    let mut known = Digest::default();
    let mut told = 0;
    loop {
        let mut next = tokio::select! {
            next = cursor.next() => match next {
                Some(event) => Some(event),
                None => return,
            },
            changed = goals.changed() => match changed {
                Ok(()) => None,
                Err(_over) => return,
            },
        };
        while let Some((path, event)) = next {
            let present = !matches!(event, Announced::Ended);
            let changed = match present {
                true => paths.insert(path.clone()),
                false => paths.remove(&path),
            };
            if changed {
                known.toggle(&path, present);
            }
            next = cursor.try_next();
        }
        let goal = *goals.borrow();
        if goal.change > told && goal.known == known {
            told = goal.change;
            let at = now();
            if reached.send(Reached { change: told, at }).is_err() {
                return;
            }
        }
    }
}
