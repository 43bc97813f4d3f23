//! Serving groups that are not in the cache.

use std::{
    sync::Arc,
    task::{Poll, ready},
};

use kio::Waiter;

use super::{TrackInfo, shared::Owner};
use crate::{
    Error, Result,
    model::{
        group::{self, GroupProducer},
        queue::Ticket,
    },
};

/// Serves old groups of a track on request. That it exists is what makes a fetch of an uncached group possible.
///
/// Clones compete for the requests. When the last one goes, requests that nobody has taken fail with [`Error::NotFound`]; the
/// track itself goes on.
#[derive(Clone)]
pub struct TrackDynamic {
    handler: Handler,
}

/// A registration as handler of fetches.
pub(crate) struct Handler {
    owner: Arc<Owner>,
    id: u64,
}

impl Handler {
    pub(crate) fn new(owner: Arc<Owner>) -> Self {
        // On a failed track there is nothing to handle, and nothing has id 0.
        let id = owner
            .shared
            .change(|state, _| Ok(state.fetches.add_handler(())))
            .unwrap_or(0);
        Self { owner, id }
    }

    pub(crate) fn owner(&self) -> &Arc<Owner> {
        &self.owner
    }
}

impl Clone for Handler {
    fn clone(&self) -> Self {
        Self::new(self.owner.clone())
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.owner.shared.remove_handler(self.id);
    }
}

impl TrackDynamic {
    pub(crate) fn new(owner: Arc<Owner>) -> Self {
        Self {
            handler: Handler::new(owner),
        }
    }

    /// The name of the track.
    pub fn name(&self) -> &Arc<str> {
        &self.handler.owner.shared.tag.name
    }

    /// The next group somebody wants, oldest request first.
    ///
    /// # Errors
    /// The abort error of the track.
    pub fn poll_requested_group(&self, waiter: &Waiter) -> Poll<Result<GroupRequest>> {
        let owner = &self.handler.owner;
        let wanted = |fetch: &super::state::Fetching| fetch.ticket.is_wanted();
        let state = ready!(owner.shared.channel.poll(waiter, |state| {
            match state.fetches.peek(self.handler.id, wanted) {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            }
        }));
        let mut state = match state {
            Ok(state) => state,
            Err(last) => return Poll::Ready(Err(last.abort.clone().unwrap_or(Error::Dropped))),
        };
        let Some((id, sequence, fetch)) = state.fetches.pop(self.handler.id, wanted) else {
            return Poll::Pending;
        };
        Poll::Ready(Ok(GroupRequest {
            owner: owner.clone(),
            id,
            sequence,
            priority: fetch.priority,
            frame_start: fetch.frame_start,
            ticket: fetch.ticket.clone(),
            answered: false,
        }))
    }

    /// Waits for the next group somebody wants; see [`poll_requested_group`](Self::poll_requested_group).
    ///
    /// # Errors
    /// The abort error of the track.
    pub async fn requested_group(&self) -> Result<GroupRequest> {
        kio::wait(|waiter| self.poll_requested_group(waiter)).await
    }

    /// Ready while nobody holds the track: neither consumer, subscriber nor fetch.
    pub fn poll_unused(&self, waiter: &Waiter) -> Poll<()> {
        self.handler
            .owner
            .shared
            .channel
            .poll_unused(waiter)
            .map(|_| ())
    }
}

/// One group that somebody wants. Answer it with [`accept`](Self::accept) or [`reject`](Self::reject); dropping it fails everybody
/// who waits with [`Error::Dropped`].
pub struct GroupRequest {
    owner: Arc<Owner>,
    id: u64,
    sequence: u64,
    priority: u8,
    frame_start: u64,
    ticket: Ticket<Arc<group::Shared>>,
    answered: bool,
}

impl GroupRequest {
    /// The group.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The highest priority of all who have joined so far.
    pub fn priority(&self) -> u8 {
        let state = self.owner.shared.channel.read();
        match state.fetches.find(&self.sequence, self.id) {
            Some(fetch) => fetch.priority,
            None => self.priority,
        }
    }

    /// The first frame that any of them wants. Later ones that want an earlier frame make a request of their own.
    pub const fn frame_start(&self) -> u64 {
        self.frame_start
    }

    /// Ready once nobody waits for the answer any more.
    pub fn poll_unused(&self, waiter: &Waiter) -> Poll<()> {
        self.ticket.poll_unwanted(waiter)
    }

    /// Waits until nobody waits for the answer any more.
    pub async fn unused(&self) {
        kio::wait(|waiter| self.poll_unused(waiter)).await;
    }

    /// Puts the group into the cache, for everybody who waits and for later ones; write its frames from index 0 on. The
    /// properties are those of the track; `info` sets them if the track is not accepted yet and is ignored otherwise.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when the group has come meanwhile (everybody has it), [`Error::Closed`] past the end of the track, or the
    /// abort error.
    pub fn accept(self, info: impl Into<Option<TrackInfo>>) -> Result<GroupProducer> {
        self.accept_from(info, 0)
    }

    /// Like [`accept`](Self::accept) for an answer that holds only the frames from `first_frame` on. Those who want earlier ones
    /// do not get it.
    ///
    /// # Errors
    /// As `accept`.
    pub fn accept_from(
        mut self,
        info: impl Into<Option<TrackInfo>>,
        first_frame: u64,
    ) -> Result<GroupProducer> {
        self.answered = true;
        let shared = self.owner.shared.clone();
        if let Err(error) = shared.set_info(info.into().unwrap_or_default()) {
            self.give_up(error.clone());
            return Err(error);
        }
        let now = shared.runtime().now();
        let accepted = shared.change(|state, after| {
            state.check_insert(self.sequence, first_frame)?;
            let group = group::Shared::new(
                group::New {
                    sequence: self.sequence,
                    timescale: state.info.and_then(|info| info.timescale),
                    first_frame,
                    datagram: false,
                },
                &shared.tag,
            );
            *after = state.insert(&group, false, first_frame, now);
            if let Some(fetch) = state.fetches.remove(&self.sequence, self.id) {
                debug_assert!(
                    first_frame > fetch.frame_start,
                    "else the insertion answered it"
                );
            }
            Ok(group)
        });
        match accepted {
            Ok(group) => {
                // The request may have been superseded by one for an earlier frame: those who joined this one are answered here.
                match first_frame <= self.frame_start {
                    true => self.ticket.resolve(Ok(group.clone())),
                    false => self.ticket.resolve(Err(Error::NotFound)),
                }
                shared.runtime().pool().enforce();
                Ok(GroupProducer::new(group))
            }
            Err(error) => {
                // It came live meanwhile: that is the answer.
                let came = shared
                    .channel
                    .read()
                    .cached(self.sequence, self.frame_start)
                    .cloned();
                if let Some(group) = came {
                    self.ticket.resolve(Ok(group));
                }
                self.give_up(error.clone());
                Err(error)
            }
        }
    }

    /// Fails everybody who waits. The next fetch of the group makes a new request.
    pub fn reject(mut self, error: Error) {
        self.answered = true;
        self.give_up(error);
    }

    fn give_up(&self, error: Error) {
        // Fails only if the track has failed, which answered everybody.
        let _ = self.owner.shared.change(|state, _| {
            state.fetches.remove(&self.sequence, self.id);
            Ok(())
        });
        self.ticket.resolve(Err(error));
    }
}

impl Drop for GroupRequest {
    fn drop(&mut self) {
        if !self.answered {
            self.give_up(Error::Dropped);
        }
    }
}
