//! Time for a publisher to make its tracks.

use std::sync::Arc;

use super::producer::Owner;
use crate::{Error, model::track::TrackRequest};

/// While it lives, requests of peers for unknown tracks wait: until a track of that name is created, or until the hold is released.
/// Readers on this side, who can see what there is, are refused at once as ever. It keeps the broadcast open like a producer.
pub struct BroadcastHold {
    owner: Arc<Owner>,
    handler: u64,
}

impl BroadcastHold {
    pub(crate) fn new(owner: Arc<Owner>) -> Self {
        // An owner keeps the channel open, so this does not fail; and no handler has id 0.
        let handler = owner.shared.channel.write().map_or(0, |mut state| {
            state.holds += 1;
            state.requests.add_handler(())
        });
        Self { owner, handler }
    }

    /// Ends it. Other than when it is dropped, what waits and no handler serves fails with [`Error::NotFound`].
    pub fn release(mut self) {
        for request in self.withdraw() {
            request.reject(Error::NotFound);
        }
    }

    /// What only this hold kept waiting; to be answered after unlocking.
    fn withdraw(&mut self) -> Vec<TrackRequest> {
        let Ok(mut state) = self.owner.shared.channel.write() else {
            return Vec::new();
        };
        match std::mem::take(&mut self.handler) {
            0 => Vec::new(),
            handler => {
                state.holds -= 1;
                state.requests.remove_handler(handler)
            }
        }
    }
}

impl Drop for BroadcastHold {
    fn drop(&mut self) {
        drop(self.withdraw());
    }
}
