//! A single-threaded executor that stops when told to: the worker polls it once per batch of inputs and keeps its own
//! event loop.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use crate::slab::{Key, Slab};

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// Tasks and the queue of those that were woken, first come first served.
#[derive(Default)]
pub(crate) struct Executor {
    tasks: Slab<Task>,
    ready: Arc<Ready>,
}

struct Task {
    work: Work,
    woken: Arc<Woken>,
    waker: Waker,
}

#[derive(Default)]
struct Ready(Mutex<VecDeque<Key>>);

struct Woken {
    task: Key,
    /// In the queue already; cleared before the task is polled so that a wake during the poll is kept.
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.push(self.task);
        }
    }
}

impl Ready {
    fn push(&self, task: Key) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(task);
    }

    fn pop(&self) -> Option<Key> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    fn is_empty(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }
}

impl Executor {
    /// Add a task. It runs for the first time in the next [`Executor::run`].
    pub(crate) fn spawn(&mut self, work: impl Future<Output = ()> + 'static) -> Key {
        let ready = self.ready.clone();
        let key = self.tasks.insert_with(|task| {
            let woken = Arc::new(Woken {
                task,
                queued: AtomicBool::new(true),
                ready,
            });
            Task {
                work: Box::pin(work),
                waker: Waker::from(woken.clone()),
                woken,
            }
        });
        self.ready.push(key);
        key
    }

    /// Drop a task with everything it holds. A task that has ended already is no error.
    pub(crate) fn cancel(&mut self, task: Key) {
        self.tasks.remove(task);
    }

    /// Run woken tasks until none is left or `stop` says so, asked after each. True when there is more to do.
    pub(crate) fn run(&mut self, mut stop: impl FnMut() -> bool) -> bool {
        while let Some(key) = self.ready.pop() {
            let Some(task) = self.tasks.get_mut(key) else {
                continue;
            };
            task.woken.queued.store(false, Ordering::Release);
            let done = task
                .work
                .as_mut()
                .poll(&mut Context::from_waker(&task.waker))
                .is_ready();
            if done {
                self.tasks.remove(key);
            }
            if stop() {
                break;
            }
        }
        !self.ready.is_empty()
    }

    /// Tasks that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::RefCell, rc::Rc, task::Poll};

    fn yield_forever(log: Rc<RefCell<Vec<u32>>>, id: u32) -> impl Future<Output = ()> {
        std::future::poll_fn(move |context| {
            log.borrow_mut().push(id);
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[test]
    fn tasks_take_turns_and_the_caller_gets_control_back() {
        let mut executor = Executor::default();
        let log = Rc::new(RefCell::new(Vec::new()));
        executor.spawn(yield_forever(log.clone(), 1));
        executor.spawn(yield_forever(log.clone(), 2));
        let mut turns = 0;
        let more = executor.run(|| {
            turns += 1;
            turns == 4
        });
        assert!(more, "a task that keeps waking itself is more to do");
        assert_eq!(*log.borrow(), [1, 2, 1, 2]);
    }

    #[test]
    fn a_cancelled_task_drops_what_it_holds_and_its_wakes_do_nothing() {
        let mut executor = Executor::default();
        let held = Rc::new(());
        let kept = held.clone();
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let slot = waker.clone();
        let task = executor.spawn(std::future::poll_fn(move |context| {
            let _ = &kept;
            *slot.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        }));
        assert!(!executor.run(|| false));
        executor.cancel(task);
        assert_eq!(Rc::strong_count(&held), 1);
        waker.borrow().as_ref().unwrap().wake_by_ref();
        assert!(!executor.run(|| false));
        assert_eq!(executor.len(), 0);
    }

    #[test]
    fn many_wakes_are_one_run() {
        let mut executor = Executor::default();
        let runs = Rc::new(RefCell::new(0));
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let (count, slot) = (runs.clone(), waker.clone());
        executor.spawn(std::future::poll_fn(move |context| {
            *count.borrow_mut() += 1;
            *slot.borrow_mut() = Some(context.waker().clone());
            Poll::<()>::Pending
        }));
        executor.run(|| false);
        for _ in 0..3 {
            waker.borrow().as_ref().unwrap().wake_by_ref();
        }
        executor.run(|| false);
        assert_eq!(*runs.borrow(), 2);
    }
}
