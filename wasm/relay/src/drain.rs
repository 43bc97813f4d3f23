//! The end of the relay: sessions are told, and have some time to go elsewhere.

use std::time::Duration;

use tokio::sync::watch;

/// Whether the relay is ending, and who has not left yet.
pub(crate) struct Drain(watch::Sender<Option<Duration>>);

/// A session that is waited for, for as long as this is kept.
#[derive(Clone)]
pub(crate) struct Guard(watch::Receiver<Option<Duration>>);

impl Drain {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Counts a session among those that are waited for.
    pub(crate) fn guard(&self) -> Guard {
        Guard(self.0.subscribe())
    }

    /// Begins it. Sessions may take `time` to leave.
    pub(crate) fn begin(&self, time: Duration) {
        self.0.send_replace(Some(time));
    }

    /// Waits until all sessions are gone.
    pub(crate) async fn done(&self) {
        self.0.closed().await;
    }
}

impl Guard {
    /// Waits until the relay ends, and tells how long the session may take to leave.
    pub(crate) async fn begun(&mut self) -> Duration {
        match self.0.wait_for(Option::is_some).await {
            Ok(begun) => begun.unwrap_or_default(),
            // The relay is gone without a word.
            Err(_gone) => Duration::ZERO,
        }
    }
}
