//! The concurrent parts of one driver: futures that live and die inside it, without an executor.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_util::{Stream, stream::FuturesUnordered};
use kio::MaybeSend;

/// A boxed future that may move between threads where there are threads.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A boxed future that may move between threads where there are threads.
#[cfg(target_arch = "wasm32")]
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// Tasks that finish during one poll before the driver yields.
const BUDGET: usize = 64;

/// Adds tasks to a [`TaskSet`], also from inside one of its tasks.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<BoxFuture<()>>,
    waker: Option<Waker>,
    /// The set is gone, and nobody would ever run what is added.
    closed: bool,
}

impl Tasks {
    /// Runs `task` beside the others until it ends or the set is dropped; after that not at all.
    pub(crate) fn push(&self, task: impl Future<Output = ()> + MaybeSend + 'static) {
        let waker = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.closed {
                return;
            }
            queue.waiting.push(Box::pin(task));
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn take(&self, cx: &Context<'_>) -> Vec<BoxFuture<()>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waker = Some(cx.waker().clone());
        std::mem::take(&mut queue.waiting)
    }
}

/// The tasks of one driver.
#[derive(Default)]
pub(crate) struct TaskSet {
    tasks: Tasks,
    running: FuturesUnordered<BoxFuture<()>>,
}

impl TaskSet {
    pub(crate) fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Polls what is ready, within a budget: never finishes, the set may always be given more.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        if kio::fault::mutant("spin") {
            cx.waker().wake_by_ref();
        }
        for _ in 0..BUDGET {
            if kio::fault::delay(50) {
                break;
            }
            self.running.extend(self.tasks.take(cx));
            match Pin::new(&mut self.running).poll_next(cx) {
                Poll::Ready(Some(())) => {}
                // Empty, or all waiting. A task may have been added by the last one polled.
                Poll::Ready(None) | Poll::Pending => match self.is_settled() {
                    true => return,
                    false => continue,
                },
            }
        }
        // More may be ready: come back after others had their turn.
        cx.waker().wake_by_ref();
    }

    fn is_settled(&self) -> bool {
        let queue = self.tasks.queue.lock();
        queue
            .unwrap_or_else(PoisonError::into_inner)
            .waiting
            .is_empty()
    }
}

impl Drop for TaskSet {
    /// Tasks that never had their first turn hold what holds the queue: they would keep each other for ever.
    fn drop(&mut self) {
        let waiting = {
            let queue = self.tasks.queue.lock();
            let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
            queue.closed = true;
            std::mem::take(&mut queue.waiting)
        };
        // Unlocked: what a task holds may add another when it goes.
        drop(waiting);
    }
}

/// Gives other tasks a turn, once.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
