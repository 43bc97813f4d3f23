//! A single-threaded executor in virtual time.
//!
//! Tasks run in the order they were woken, timers fire in the order of their deadlines (ties: in the order they
//! were armed), and time moves only when the test moves it. Two runs of one test are therefore identical. A seeded
//! executor runs woken tasks in an order that its seed decides, and refuses tasks that spin.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// More polls than this at one instant of virtual time are tasks that wake each other for ever.
const SPIN: u64 = 1_000_000;

/// How often one task of a seeded executor may be polled while nothing happens in its world.
const IDLE_POLLS: u32 = 100;

/// The virtual clock: shared by the executor, the timers and every `Host` made from it.
#[derive(Clone, Default)]
pub struct Clock {
    state: Arc<Mutex<Timers>>,
}

#[derive(Default)]
struct Timers {
    now: Duration,
    next: u64,
    armed: BTreeMap<(Duration, u64), Waker>,
    random: u64,
    /// Counts what happens: timers that fire, calls that are made, bytes that move.
    progress: u64,
}

/// A call that the clock makes, once.
struct Call(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        let call = self
            .0
            .lock()
            .expect("no call panics under this lock")
            .take();
        if let Some(call) = call {
            call();
        }
    }
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, Timers> {
        self.state
            .lock()
            .expect("no test panics while it holds the clock")
    }

    /// Time since the start of the test.
    pub fn now(&self) -> Duration {
        self.lock().now
    }

    /// Completes once the clock has reached `deadline` (time since the start of the test).
    pub fn sleep_until(&self, deadline: Duration) -> Timer {
        Timer {
            clock: self.clone(),
            deadline,
            key: None,
        }
    }

    /// Completes after `duration` of virtual time.
    pub fn sleep(&self, duration: Duration) -> Timer {
        let deadline = self.now() + duration;
        self.sleep_until(deadline)
    }

    /// Calls `call` when the clock reaches `deadline`; at once when it has.
    pub fn call_at(&self, deadline: Duration, call: impl FnOnce() + Send + 'static) {
        let mut timers = self.lock();
        if timers.now >= deadline {
            timers.progress += 1;
            drop(timers);
            return call();
        }
        let key = (deadline, timers.next);
        timers.next += 1;
        let call: Arc<Call> = Arc::new(Call(Mutex::new(Some(Box::new(call)))));
        timers.armed.insert(key, call.into());
    }

    /// Says that something happened, which the poll limit of a seeded executor does not see by itself.
    pub fn note_progress(&self) {
        self.lock().progress += 1;
    }

    fn progress(&self) -> u64 {
        self.lock().progress
    }

    /// The next number of a fixed pseudo-random sequence (splitmix64).
    pub fn random(&self) -> u64 {
        splitmix(&mut self.lock().random)
    }

    /// The deadline of the earliest armed timer.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.lock()
            .armed
            .keys()
            .next()
            .map(|(deadline, _)| *deadline)
    }

    /// Moves to `now` and returns the wakers of the timers that are due.
    fn advance_to(&self, now: Duration) -> Vec<Waker> {
        let mut timers = self.lock();
        timers.now = timers.now.max(now);
        let after = (timers.now + Duration::from_nanos(1), 0);
        let later = timers.armed.split_off(&after);
        let due = std::mem::replace(&mut timers.armed, later);
        timers.progress += due.len() as u64;
        due.into_values().collect()
    }
}

/// A timer of the virtual clock.
pub struct Timer {
    clock: Clock,
    deadline: Duration,
    key: Option<(Duration, u64)>,
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut timers = clock.lock();
        if let Some(key) = self.key.take() {
            timers.armed.remove(&key);
        }
        if timers.now >= self.deadline {
            return Poll::Ready(());
        }
        let key = (self.deadline, timers.next);
        timers.next += 1;
        timers.armed.insert(key, cx.waker().clone());
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.clock.lock().armed.remove(&key);
        }
    }
}

type Job = Pin<Box<dyn Future<Output = ()>>>;

/// Runs tasks in virtual time. Clones are handles to the same executor.
#[derive(Clone, Default)]
pub struct Executor {
    inner: Rc<Inner>,
}

#[derive(Default)]
struct Inner {
    clock: Clock,
    ready: Arc<Mutex<VecDeque<Arc<Entry>>>>,
    jobs: RefCell<BTreeMap<u64, Job>>,
    next: Cell<u64>,
    polls: Cell<u64>,
    /// Decides the order of woken tasks; `None`: the order in which they were woken.
    order: Cell<Option<u64>>,
}

/// The next number of the splitmix64 sequence behind `state`.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a waker of a task holds.
struct Entry {
    id: u64,
    queued: Mutex<bool>,
    ready: Arc<Mutex<VecDeque<Arc<Self>>>>,
    /// The progress of the world at the last poll, and the polls since it changed.
    idle: Mutex<(u64, u32)>,
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        let mut queued = self.queued.lock().expect("not poisoned");
        if !*queued {
            *queued = true;
            self.ready
                .lock()
                .expect("not poisoned")
                .push_back(self.clone());
        }
    }
}

impl Executor {
    /// An executor at time zero with nothing to run.
    pub fn new() -> Self {
        Self::default()
    }

    /// An executor whose order of tasks and random numbers come from `seed`.
    ///
    /// Its tasks must not spin: one that is polled more than a hundred times while nothing happens panics.
    pub fn seeded(seed: u64) -> Self {
        let this = Self::default();
        let mut state = seed;
        this.inner.order.set(Some(splitmix(&mut state)));
        this.inner.clock.lock().random = splitmix(&mut state);
        this
    }

    /// Drops all tasks and timers. Nothing runs any more.
    pub fn shut_down(&self) {
        // One by one, out of the map: what a task leaves behind may spawn or cancel others.
        loop {
            let job = self.inner.jobs.borrow_mut().pop_first();
            if job.is_none() {
                break;
            }
        }
        let armed = std::mem::take(&mut self.inner.clock.lock().armed);
        drop(armed);
        self.inner.ready.lock().expect("not poisoned").clear();
    }

    /// The clock that this executor moves.
    pub fn clock(&self) -> Clock {
        self.inner.clock.clone()
    }

    /// Time since the start of the test.
    pub fn now(&self) -> Duration {
        self.inner.clock.now()
    }

    /// How often any task was polled so far.
    pub fn polls(&self) -> u64 {
        self.inner.polls.get()
    }

    /// Tasks that have not finished.
    pub fn live(&self) -> usize {
        self.inner.jobs.borrow().len()
    }

    /// Runs `future` beside the test; dropping the returned task lets it run on.
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let result = Rc::new(RefCell::new(Outcome {
            value: None,
            waker: None,
            done: false,
        }));
        let outcome = result.clone();
        let job = async move {
            let value = future.await;
            let waker = {
                let mut outcome = outcome.borrow_mut();
                outcome.value = Some(value);
                outcome.done = true;
                outcome.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        };

        let id = self.inner.next.get();
        self.inner.next.set(id + 1);
        self.inner.jobs.borrow_mut().insert(id, Box::pin(job));
        let entry = Arc::new(Entry {
            id,
            queued: Mutex::new(false),
            ready: self.inner.ready.clone(),
            idle: Mutex::default(),
        });
        self.inner.clock.note_progress();
        entry.wake();
        Task {
            id,
            result,
            inner: self.inner.clone(),
        }
    }

    /// Polls tasks until none is ready. Time does not move.
    ///
    /// # Panics
    /// When the tasks keep waking each other for ever.
    pub fn run_until_idle(&self) {
        let start = self.polls();
        while self.step() {
            assert!(
                self.polls() - start < SPIN,
                "tasks spin at {:?}",
                self.now()
            );
        }
    }

    /// Polls the first ready task; `false` when there is none.
    fn step(&self) -> bool {
        let Some(entry) = self.next_ready() else {
            return false;
        };
        *entry.queued.lock().expect("not poisoned") = false;
        // Out of the map while it runs: a task may spawn or cancel others.
        let Some(mut job) = self.inner.jobs.borrow_mut().remove(&entry.id) else {
            return true;
        };
        self.inner.polls.set(self.inner.polls.get() + 1);
        self.check_idle(&entry);
        let id = entry.id;
        let waker = Waker::from(entry);
        if job
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            self.inner.jobs.borrow_mut().insert(id, job);
        }
        true
    }

    /// Polls one ready task, or else moves time to the next timer; `false` when there is neither.
    pub fn turn(&self) -> bool {
        if self.step() {
            return true;
        }
        let Some(deadline) = self.inner.clock.next_deadline() else {
            return false;
        };
        for waker in self.inner.clock.advance_to(deadline) {
            waker.wake();
        }
        true
    }

    fn next_ready(&self) -> Option<Arc<Entry>> {
        let mut ready = self.inner.ready.lock().expect("not poisoned");
        let Some(mut order) = self.inner.order.get() else {
            return ready.pop_front();
        };
        if ready.len() < 2 {
            return ready.pop_front();
        }
        let pick = splitmix(&mut order) % ready.len() as u64;
        self.inner.order.set(Some(order));
        ready.swap_remove_back(pick as usize)
    }

    /// # Panics
    /// When the task was polled too often without anything happening, on a seeded executor.
    fn check_idle(&self, entry: &Entry) {
        if self.inner.order.get().is_none() {
            return;
        }
        let progress = self.inner.clock.progress();
        let mut idle = entry.idle.lock().expect("not poisoned");
        if idle.0 != progress {
            *idle = (progress, 0);
        }
        idle.1 += 1;
        assert!(
            idle.1 <= IDLE_POLLS,
            "task {} spins at {:?}: polled {} times while nothing happened",
            entry.id,
            self.now(),
            idle.1
        );
    }

    /// Lets `duration` of virtual time pass, firing timers in order and running what they wake.
    pub fn advance(&self, duration: Duration) {
        let end = self.now() + duration;
        self.run_until_idle();
        while let Some(deadline) = self
            .inner
            .clock
            .next_deadline()
            .filter(|deadline| *deadline <= end)
        {
            self.fire(deadline);
        }
        self.fire(end);
    }

    fn fire(&self, now: Duration) {
        for waker in self.inner.clock.advance_to(now) {
            waker.wake();
        }
        self.run_until_idle();
    }

    /// Runs everything until `future` is done, moving time to the next timer whenever nothing is ready.
    ///
    /// # Panics
    /// When nothing is ready and no timer is armed: the future can never finish.
    pub fn run_until<F>(&self, future: F) -> F::Output
    where
        F: Future,
    {
        self.drive(future, None)
            .expect("a deadlock: no task is ready and no timer is armed")
    }

    /// Like [`run_until`](Self::run_until), giving up (`None`) at a deadlock or after `limit` of virtual time.
    pub fn run_for<F>(&self, limit: Duration, future: F) -> Option<F::Output>
    where
        F: Future,
    {
        self.drive(future, Some(self.now() + limit))
    }

    fn drive<F>(&self, future: F, limit: Option<Duration>) -> Option<F::Output>
    where
        F: Future,
    {
        let mut future = pin!(future);
        let flag = Arc::new(Flag(Mutex::new(true)));
        let waker = Waker::from(flag.clone());
        loop {
            if flag.take()
                && let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return Some(value);
            }
            if self.step() || flag.is_set() {
                continue;
            }
            match self.inner.clock.next_deadline() {
                Some(deadline) if limit.is_none_or(|limit| deadline <= limit) => {
                    for waker in self.inner.clock.advance_to(deadline) {
                        waker.wake();
                    }
                }
                _ => {
                    if let Some(limit) = limit {
                        self.inner.clock.advance_to(limit);
                    }
                    return None;
                }
            }
        }
    }
}

struct Flag(Mutex<bool>);

impl Flag {
    fn take(&self) -> bool {
        std::mem::take(&mut self.0.lock().expect("not poisoned"))
    }

    fn is_set(&self) -> bool {
        *self.0.lock().expect("not poisoned")
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        *self.0.lock().expect("not poisoned") = true;
    }
}

struct Outcome<T> {
    value: Option<T>,
    waker: Option<Waker>,
    done: bool,
}

/// A spawned task. Awaiting it gives its result (once); dropping it detaches it.
pub struct Task<T> {
    id: u64,
    result: Rc<RefCell<Outcome<T>>>,
    inner: Rc<Inner>,
}

impl<T> Task<T> {
    /// Has the task finished?
    pub fn is_finished(&self) -> bool {
        self.result.borrow().done
    }

    /// The result, once, if the task has finished.
    pub fn take(&self) -> Option<T> {
        self.result.borrow_mut().value.take()
    }

    /// Drops the task's future now.
    pub fn cancel(self) {
        // Bound first: the future's own drop may spawn or cancel.
        let job = self.inner.jobs.borrow_mut().remove(&self.id);
        drop(job);
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut outcome = self.result.borrow_mut();
        if let Some(value) = outcome.value.take() {
            return Poll::Ready(value);
        }
        outcome.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
