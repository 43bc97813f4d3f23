//! A number of things that may be under way at a time in the whole process.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use kio::Shared;

/// Permits that are taken and come back; those that wait for one get theirs in the order of asking.
#[derive(Clone)]
pub(crate) struct Permits {
    state: Arc<Mutex<State>>,
    limit: usize,
}

#[derive(Default)]
struct State {
    taken: usize,
    /// Those that wait, the first one first. Empty unless all permits are taken.
    queue: VecDeque<Shared<Turn>>,
}

/// How far one that waits has come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Waiting,
    /// A permit that came back is its own.
    Granted,
    /// It does not wait any more, or has made its permit of it.
    Over,
}

/// One of them, for as long as it is kept.
pub(crate) struct Permit(Permits);

/// A place in the queue.
struct Ticket {
    permits: Permits,
    turn: Shared<Turn>,
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            state: Arc::default(),
            limit: limit.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are out.
    pub(crate) fn taken(&self) -> usize {
        self.lock().taken
    }

    /// Takes one if there is one, or a place in the queue.
    fn ask(&self) -> Result<Permit, Ticket> {
        let mut state = self.lock();
        if state.taken < self.limit {
            state.taken += 1;
            return Ok(Permit(self.clone()));
        }
        let turn = Shared::default();
        state.queue.push_back(turn.clone());
        Err(Ticket {
            permits: self.clone(),
            turn,
        })
    }

    /// Waits for one.
    pub(crate) async fn acquire(&self) -> Permit {
        let ticket = match self.ask() {
            Ok(permit) => return permit,
            Err(ticket) => ticket,
        };
        kio::wait(|waiter| {
            ticket.turn.poll(waiter, |turn| match turn {
                Turn::Granted => Poll::Ready(()),
                Turn::Waiting | Turn::Over => Poll::Pending,
            })
        })
        .await;
        *ticket.turn.lock() = Turn::Over;
        Permit(self.clone())
    }

    /// Gives a permit to the next that waits, or puts it back. Wakes without the lock.
    fn give_back(&self) {
        loop {
            let mut state = self.lock();
            let Some(next) = state.queue.pop_front() else {
                state.taken -= 1;
                return;
            };
            drop(state);
            let mut turn = next.lock();
            if *turn == Turn::Waiting {
                *turn = Turn::Granted;
                return;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Whether it was granted is decided here or in `give_back`, under the lock of the one turn.
        let left = std::mem::replace(&mut *self.turn.lock(), Turn::Over);
        match left {
            Turn::Waiting => self
                .permits
                .lock()
                .queue
                .retain(|other| !other.same(&self.turn)),
            Turn::Granted => self.permits.give_back(),
            Turn::Over => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Poll, Wake},
    };

    use super::*;

    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something that waits for a permit, and how often it was woken.
    struct Asking<'a> {
        future: Pin<Box<dyn Future<Output = Permit> + 'a>>,
        woken: Arc<Count>,
    }

    impl Asking<'_> {
        fn poll(&mut self) -> Poll<Permit> {
            let waker = self.woken.clone().into();
            self.future.as_mut().poll(&mut Context::from_waker(&waker))
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::Relaxed)
        }
    }

    /// Asks, and finds out at once whether there is one.
    fn ask(permits: &Permits) -> (Asking<'_>, Option<Permit>) {
        let mut asking = Asking {
            future: Box::pin(permits.acquire()),
            woken: Arc::default(),
        };
        let permit = match asking.poll() {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        };
        (asking, permit)
    }

    #[test]
    fn a_permit_goes_to_the_one_that_waits_longest_and_wakes_no_other() {
        let permits = Permits::new(1);
        let (_, held) = ask(&permits);
        let (mut first, none) = ask(&permits);
        assert!(none.is_none());
        let (mut second, none) = ask(&permits);
        assert!(none.is_none());
        drop(held);
        assert_eq!((first.woken(), second.woken()), (1, 0));
        assert!(second.poll().is_pending(), "not its turn");
        assert!(ask(&permits).1.is_none(), "a newcomer does not overtake");
        let Poll::Ready(held) = first.poll() else {
            panic!("its turn")
        };
        assert_eq!(permits.taken(), 1);
        drop(held);
        assert_eq!(second.woken(), 1);
        assert!(second.poll().is_ready());
        assert_eq!(permits.taken(), 0);
    }

    #[test]
    fn one_that_gives_up_passes_its_turn_on() {
        let permits = Permits::new(1);
        let (_, held) = ask(&permits);
        let (first, _) = ask(&permits);
        let (second, _) = ask(&permits);
        let (mut third, _) = ask(&permits);
        drop(second);
        drop(held);
        // It has its permit, and goes without having looked.
        drop(first);
        assert_eq!(third.woken(), 1);
        assert!(third.poll().is_ready());
        assert_eq!(permits.taken(), 0);
    }
}
