//! What all participants of a run share: time, the phase, the trace, the oracle and the verdict.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::pin,
    rc::Rc,
    sync::Mutex,
    task::Poll,
    time::Duration,
};

use futures_util::future::{Either, select};
use kio::Shared;
use moq_net::{Host, InOrderStats, Instant, Limits, Runtime, Sleep};
use moq_worker_world::executor::{Clock, Executor};

use crate::{
    oracle::Ledger,
    plan::{Family, Plan},
    rng::Rng,
    trace::Trace,
};

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Faults happen.
    Safety,
    /// No more faults; everything goes on.
    Heal,
    /// Publishers come to their end.
    Finish,
    /// Everybody leaves.
    Leave,
}

/// An operation that has not settled.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What it is.
    pub what: String,
    /// Who waits.
    pub node: usize,
    /// Since when.
    pub since: Duration,
}

/// What all participants of a run share.
pub struct Stage {
    /// What the seed decided.
    pub plan: Plan,
    /// Runs everything.
    pub executor: Executor,
    /// Tells the time.
    pub clock: Clock,
    /// What happened.
    pub trace: RefCell<Trace>,
    /// Who published what.
    pub ledger: RefCell<Ledger>,
    phase: Shared<Phase>,
    violations: RefCell<Vec<String>>,
    pending: RefCell<BTreeMap<u64, Pending>>,
    operations: Cell<u64>,
    settled: Cell<u64>,
    disrupted: Cell<Duration>,
    delivered: Cell<u64>,
    in_order: Cell<InOrderStats>,
    changed: Cell<Duration>,
    shaken: Cell<Duration>,
    drained: Cell<Duration>,
    down: Cell<usize>,
}

impl Stage {
    /// The stage of `plan`.
    pub fn new(plan: Plan) -> Rc<Self> {
        let executor = Executor::seeded(Rng::new(plan.seed).fork(2).draw());
        let honest = plan.links.iter().filter(|link| plan.is_honest(link));
        let down = honest.count();
        Rc::new(Self {
            clock: executor.clock(),
            executor,
            trace: RefCell::default(),
            ledger: RefCell::default(),
            phase: Shared::new(Phase::Safety),
            violations: RefCell::default(),
            pending: RefCell::default(),
            operations: Cell::new(0),
            settled: Cell::new(0),
            disrupted: Cell::new(Duration::ZERO),
            delivered: Cell::new(0),
            in_order: Cell::default(),
            changed: Cell::new(Duration::ZERO),
            shaken: Cell::new(Duration::ZERO),
            drained: Cell::new(Duration::ZERO),
            down: Cell::new(down),
            plan,
        })
    }

    /// The random sequence of part `label` of this run.
    pub fn rng(&self, label: u64) -> Rng {
        Rng::new(self.plan.seed).fork(label.wrapping_add(100))
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Adds a line to the trace.
    pub fn note(&self, text: fmt::Arguments<'_>) {
        self.trace.borrow_mut().line(self.now(), text);
        self.clock.note_progress();
    }

    /// Says that what must never happen did.
    pub fn violate(&self, text: fmt::Arguments<'_>) {
        self.note(format_args!("VIOLATION {text}"));
        self.violations
            .borrow_mut()
            .push(format!("at {:.3} s: {text}", self.now().as_secs_f64()));
    }

    /// What went wrong first.
    pub fn violation(&self) -> Option<String> {
        self.violations.borrow().first().cloned()
    }

    /// How far the run is.
    pub fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    /// Goes on to the next phase.
    pub fn enter(&self, phase: Phase) {
        self.note(format_args!("phase {phase:?}"));
        *self.phase.lock() = phase;
    }

    /// Waits for `phase`, or a later one.
    pub async fn reached(&self, phase: Phase) {
        kio::wait(|waiter| {
            self.phase.poll(waiter, |now| match *now >= phase {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
        })
        .await;
    }

    /// Runs `future` until `phase`: `None` when that came first.
    pub async fn until<T>(&self, phase: Phase, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), pin!(self.reached(phase))).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(((), _)) => None,
        }
    }

    /// Lets time pass.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Runs `future` for at most `limit`.
    pub async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), pin!(self.sleep(limit))).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(((), _)) => None,
        }
    }

    /// Runs a task beside the others.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        drop(self.executor.spawn(task));
    }

    /// A new operation, which settles when the guard goes.
    pub fn operation(self: &Rc<Self>, node: usize, what: impl Into<String>) -> Operation {
        let id = self.operations.get();
        self.operations.set(id + 1);
        let pending = Pending {
            what: what.into(),
            node,
            since: self.now(),
        };
        self.pending.borrow_mut().insert(id, pending);
        Operation {
            stage: self.clone(),
            id,
        }
    }

    /// Operations that have not settled.
    pub fn pending(&self) -> Vec<Pending> {
        self.pending.borrow().values().cloned().collect()
    }

    /// Operations begun and settled so far.
    pub fn operations(&self) -> (u64, u64) {
        (self.operations.get(), self.settled.get())
    }

    /// A connection or a participant was taken away now.
    pub fn fault(&self) {
        self.disrupt();
        self.shake();
    }

    /// Something was broken now, so that losses have a cause.
    pub fn disrupt(&self) {
        self.disrupt_at(self.now());
    }

    /// The same, with effects until a time to come.
    pub fn disrupt_at(&self, time: Duration) {
        self.disrupted.set(self.disrupted.get().max(time));
    }

    /// When something was broken last.
    pub fn disrupted(&self) -> Duration {
        self.disrupted.get()
    }

    /// A publication begins now.
    pub fn publish(&self, node: usize, path: &'static str, granted: bool) -> usize {
        self.change();
        let mut ledger = self.ledger.borrow_mut();
        ledger.publish(node, path, granted, self.now())
    }

    /// A publication was withdrawn now.
    pub fn withdraw(&self, publication: usize) {
        self.ledger.borrow_mut().publications[publication].ended = Some(self.now());
        self.change();
    }

    /// What there is to announce changed now.
    pub fn change(&self) {
        self.change_at(self.now());
    }

    /// Who hears of it changed now: a session takes two round trips before it is told what there is.
    pub fn reconnect(&self) {
        self.reconnect_at(self.now());
    }

    /// The same, at a time to come.
    pub fn reconnect_at(&self, time: Duration) {
        self.change_at(time + 4 * self.plan.latency());
    }

    /// What there is to announce changes at a time to come.
    pub fn change_at(&self, time: Duration) {
        self.changed.set(self.changed.get().max(time));
    }

    /// A way by which announcements come is gone, or new: for a while they may be missing.
    pub fn shake(&self) {
        self.shake_at(self.now());
    }

    /// The same, at a time to come.
    pub fn shake_at(&self, time: Duration) {
        self.shaken.set(self.shaken.get().max(time));
    }

    /// Somebody was asked to move: until then a session takes no requests, and there may be no other.
    pub fn drain_until(&self, time: Duration) {
        self.drained.set(self.drained.get().max(time));
    }

    /// A link is there, of which there was no connection, or the other way round.
    pub fn link(&self, up: bool) {
        self.shake();
        let down = self.down.get();
        self.down.set(match up {
            true => down - 1,
            false => down + 1,
        });
    }

    /// The time since which every request must find its way; `None` if there is none.
    pub fn open_since(&self) -> Option<Duration> {
        let since = self.known_since()?;
        (self.disrupted.get().max(self.drained.get()) < since).then_some(since)
    }

    /// How long it may take until everybody knows of a change.
    pub fn spread(&self) -> Duration {
        let relays = self.plan.relay_count() as u32;
        // Every link may be passed twice: by what is gone, and by what takes its place.
        2 * (relays + 2) * (self.plan.latency() + self.plan.jitter()) + Duration::from_secs(2)
    }

    /// The time since which what was announced, and still is, must be known everywhere; `None` if there is none.
    pub fn known_since(&self) -> Option<Duration> {
        let since = self.now().checked_sub(self.spread())?;
        let steady = self.shaken.get() < since && !self.plan.has(Family::Narrow);
        // Whoever is away, or dials again after a while, has no way for as long as that takes.
        (steady && self.down.get() == 0).then_some(since)
    }

    /// When what there is to announce, or who hears of it, changed last.
    pub fn changed(&self) -> Duration {
        self.changed.get()
    }

    /// A group was delivered whole.
    pub fn count_group(&self) {
        self.delivered.set(self.delivered.get() + 1);
    }

    /// Groups delivered whole so far.
    pub fn groups(&self) -> u64 {
        self.delivered.get()
    }

    /// What a reader in order has been through.
    pub fn count_in_order(&self, stats: InOrderStats) {
        let before = self.in_order.get();
        self.in_order.set(InOrderStats {
            held_back: before.held_back + stats.held_back,
            waited_out: before.waited_out + stats.waited_out,
            missing: before.missing.saturating_add(stats.missing),
        });
    }

    /// What all readers in order have been through so far.
    pub const fn in_order(&self) -> InOrderStats {
        self.in_order.get()
    }

    /// A world of its own for one participant: the common time, but its own chance, limits and cache.
    pub fn runtime(&self, node: usize, life: u64, limits: Limits) -> Runtime {
        let rng = self.rng(((node as u64) << 32) | (life << 8));
        let host = NodeHost {
            clock: self.clock.clone(),
            rng: Mutex::new(rng),
        };
        Runtime::new(host, limits)
    }

    /// The limits of a participant.
    pub fn limits(&self, relay: bool) -> Limits {
        let limits = match relay {
            true => Limits::relay(),
            false => Limits::browser(),
        };
        match self.plan.has(Family::Tight) {
            false => limits,
            true => Limits {
                cache_bytes: 64 << 10,
                group_bytes: 16 << 10,
                group_frames: 16,
                max_frame: 64 << 10,
                assembly_bytes: 64 << 10,
                datagrams: 4,
                viewer_bytes: 24 << 10,
                fetches: 2,
                total_fetches: 3,
                subscriptions: 8,
                broadcast_requests: 2,
                group_requests: 4,
                track_requests: 4,
                ..limits
            },
        }
    }
}

/// Settles an operation.
pub struct Operation {
    stage: Rc<Stage>,
    id: u64,
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.stage.pending.borrow_mut().remove(&self.id);
        self.stage.settled.set(self.stage.settled.get() + 1);
    }
}

struct NodeHost {
    clock: Clock,
    rng: Mutex<Rng>,
}

impl Host for NodeHost {
    fn now(&self) -> Instant {
        Instant::from_epoch(self.clock.now())
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Box::pin(self.clock.sleep_until(deadline.since_epoch()))
    }

    fn random(&self) -> u64 {
        self.rng.lock().expect("no draw panics").draw()
    }
}
