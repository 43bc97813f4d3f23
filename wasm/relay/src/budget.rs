//! The memory of all sessions together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moq_net::{Error, Session};

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// What the sessions of a relay hold, as far as that can be told.
#[derive(Clone)]
pub(crate) struct Budget {
    table: Arc<Mutex<Table>>,
    limit: usize,
}

#[derive(Default)]
struct Table {
    next: u64,
    sessions: BTreeMap<u64, Session>,
    /// Whether they hold too much.
    tight: bool,
}

/// A session that counts, for as long as it is kept.
pub(crate) struct Member {
    budget: Budget,
    id: u64,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            table: Arc::default(),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a session.
    pub(crate) fn join(&self, session: &Session) -> Member {
        let mut table = self.lock();
        let id = table.next;
        table.next += 1;
        table.sessions.insert(id, session.clone());
        Member {
            budget: self.clone(),
            id,
        }
    }

    /// Whether new sessions should be given little.
    pub(crate) fn is_tight(&self) -> bool {
        self.lock().tight
    }

    /// Adds up, and lets the session go that holds most if it is too much.
    pub(crate) fn check(&self) {
        let mut table = self.lock();
        let mut sum = 0_usize;
        let mut most: Option<(usize, &Session)> = None;
        for session in table.sessions.values() {
            let held = session.held_bytes();
            sum = sum.saturating_add(held);
            if session.close_reason().is_none() && most.is_none_or(|(most, _)| most < held) {
                most = Some((held, session));
            }
        }
        let tight = sum > self.limit;
        let largest = most.filter(|_| tight).map(|(_, session)| session.clone());
        table.tight = tight;
        drop(table);
        if let Some(session) = largest {
            tracing::warn!(bytes = sum, "sessions hold too much: the largest is let go");
            session.close(Error::App(503), "limit passed: session_bytes");
        }
    }

    /// Looks at it for ever.
    pub(crate) async fn watch(self) {
        let mut interval = tokio::time::interval(INTERVAL);
        loop {
            interval.tick().await;
            self.check();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Bound first: a session may close as its last handle goes.
        let session = self.budget.lock().sessions.remove(&self.id);
        drop(session);
    }
}
