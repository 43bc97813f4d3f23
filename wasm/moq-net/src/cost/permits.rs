//! A number of things that may be under way at a time in the whole process.

use std::task::Poll;

use kio::Shared;

/// Permits that are taken and come back.
#[derive(Clone)]
pub(crate) struct Permits {
    taken: Shared<usize>,
    limit: usize,
}

/// One of them, for as long as it is kept.
pub(crate) struct Permit(Permits);

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            taken: Shared::default(),
            limit: limit.max(1),
        }
    }

    /// How many are out.
    pub(crate) fn taken(&self) -> usize {
        *self.taken.lock()
    }

    fn try_acquire(&self) -> Option<Permit> {
        let mut taken = self.taken.lock();
        if *taken >= self.limit {
            return None;
        }
        *taken += 1;
        drop(taken);
        Some(Permit(self.clone()))
    }

    /// Waits for one.
    pub(crate) async fn acquire(&self) -> Permit {
        loop {
            if let Some(permit) = self.try_acquire() {
                return permit;
            }
            // Somebody else may be faster: then it waits again.
            kio::wait(|waiter| {
                self.taken.poll(waiter, |taken| match *taken < self.limit {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
            })
            .await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.taken.lock() -= 1;
    }
}
