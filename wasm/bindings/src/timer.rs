//! Deadlines of the core: the worker arms one timer for the earliest and polls when it is due.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// The clock as last told by the worker, and who waits for it. Times count from an arbitrary epoch of the worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    now: Duration,
    next_id: u64,
    waiting: BTreeMap<(Duration, u64), Waker>,
}

impl Timers {
    pub(crate) fn now(&self) -> Duration {
        self.lock().now
    }

    /// Move the clock, never backwards, and wake what is due.
    pub(crate) fn advance(&self, now: Duration) {
        let mut state = self.lock();
        let now = state.now.max(now);
        state.now = now;
        let later = state.waiting.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.waiting, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }

    /// The earliest deadline anybody waits for.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.lock()
            .waiting
            .keys()
            .next()
            .map(|(deadline, _)| *deadline)
    }

    pub(crate) fn sleep_until(&self, deadline: Duration) -> Sleep {
        Sleep {
            timers: self.clone(),
            deadline,
            id: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ready once the clock reached the deadline.
#[derive(Debug)]
pub(crate) struct Sleep {
    timers: Timers,
    deadline: Duration,
    /// Our entry, from the first poll that had to wait.
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let timers = self.timers.clone();
        let mut state = timers.lock();
        if state.now >= self.deadline {
            return Poll::Ready(());
        }
        let id = self.id.unwrap_or_else(|| {
            state.next_id += 1;
            state.next_id
        });
        self.id = Some(id);
        state
            .waiting
            .insert((self.deadline, id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.timers.lock().waiting.remove(&(self.deadline, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const fn millis(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn a_sleep_ends_at_its_deadline_and_not_before() {
        let timers = Timers::default();
        let mut sleep = timers.sleep_until(millis(10));
        assert!((&mut sleep).now_or_never().is_none());
        assert_eq!(timers.next(), Some(millis(10)));
        timers.advance(millis(9));
        assert!((&mut sleep).now_or_never().is_none());
        timers.advance(millis(10));
        assert_eq!(timers.next(), None);
        assert!((&mut sleep).now_or_never().is_some());
    }

    #[test]
    fn a_dropped_sleep_leaves_no_deadline_behind() {
        let timers = Timers::default();
        let mut early = timers.sleep_until(millis(1));
        let mut late = timers.sleep_until(millis(2));
        assert!((&mut early).now_or_never().is_none());
        assert!((&mut late).now_or_never().is_none());
        drop(early);
        assert_eq!(timers.next(), Some(millis(2)));
    }

    #[test]
    fn the_clock_never_runs_backwards() {
        let timers = Timers::default();
        timers.advance(millis(5));
        timers.advance(millis(3));
        assert_eq!(timers.now(), millis(5));
    }
}
