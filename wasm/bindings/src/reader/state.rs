//! What the handle and the task of a reader share.

use std::{
    cell::{Ref, RefCell, RefMut},
    rc::Rc,
    task::Poll,
};

use bytes::Bytes;
use kio::{Waiter, WaiterList};
use moq_net::{Subscription, TrackInfo};

use crate::{
    batch::Batch,
    error::{ErrorData, Result},
    slab::Key,
    transport::Network,
};

/// Handles of readers that have something to deliver, each once.
pub(crate) type Dirty = Rc<RefCell<Vec<Key>>>;

/// The handle of a reader. Clones steer the same task.
#[derive(Clone)]
pub(crate) struct Reader {
    shared: Rc<RefCell<Shared>>,
    dirty: Dirty,
    network: Network,
}

struct Shared {
    handle: Key,
    /// Credit; bytes may go below zero by one frame.
    frames: i64,
    bytes: i64,
    steering: Steering,
    batch: Batch,
    /// In the list of those that have something to deliver.
    queued: bool,
    /// Nothing follows what is in the batch; empty for a clean end.
    end: Option<Bytes>,
    info: Option<Result<TrackInfo>>,
    waiters: WaiterList,
}

/// What was asked of the task since it last looked.
#[derive(Debug, Default)]
pub(crate) struct Steering {
    /// With how many groups its start counts back from the newest one.
    pub(crate) subscription: Option<(Subscription, Option<u64>)>,
    pub(crate) start: Option<u64>,
    pub(crate) end: Option<Option<u64>>,
    pub(crate) hold_ms: Option<u64>,
    /// Groups in the order of their arrival, instead of that of their sequences.
    pub(crate) arrival: Option<bool>,
    /// Datagrams as well as groups.
    pub(crate) datagrams: bool,
    /// Groups somebody waits for without credit; 0 is the next group.
    pub(crate) wants: Vec<u32>,
    /// Groups nobody reads any more.
    pub(crate) skips: Vec<u32>,
}

/// Wants and skips the caller may queue before the task runs: it runs once per turn, and a page asks once per group.
const STEERING_LIMIT: usize = 4096;

impl Reader {
    pub(crate) fn new(handle: Key, dirty: Dirty, network: Network) -> Self {
        Self {
            shared: Rc::new(RefCell::new(Shared {
                handle,
                frames: 0,
                bytes: 0,
                steering: Steering::default(),
                batch: Batch::default(),
                queued: false,
                end: None,
                info: None,
                waiters: WaiterList::new(),
            })),
            dirty,
            network,
        }
    }

    /// Add credit.
    pub(crate) fn grant(&self, frames: u64, bytes: u64) {
        self.change(|shared| {
            shared.frames = shared.frames.saturating_add_unsigned(frames);
            shared.bytes = shared.bytes.saturating_add_unsigned(bytes);
        });
    }

    /// Ask something of the task.
    pub(crate) fn steer(&self, ask: impl FnOnce(&mut Steering)) {
        self.change(|shared| ask(&mut shared.steering));
    }

    /// The same, when it can be refused.
    pub(crate) fn try_steer(&self, ask: impl FnOnce(&mut Steering) -> Result<()>) -> Result<()> {
        let mut result = Ok(());
        self.change(|shared| result = ask(&mut shared.steering));
        result
    }

    /// Queue a group number, unless there are absurdly many already.
    pub(crate) fn queue(list: &mut Vec<u32>, gid: u32) -> Result<()> {
        if list.contains(&gid) {
            return Ok(());
        }
        if list.len() >= STEERING_LIMIT {
            return Err(ErrorData::usage("too many groups named in one turn"));
        }
        list.push(gid);
        Ok(())
    }

    /// The properties of the track, or why it was refused.
    pub(crate) fn poll_info(&self, waiter: &Waiter) -> Poll<Result<TrackInfo>> {
        let mut shared = self.shared.borrow_mut();
        match &shared.info {
            Some(info) => Poll::Ready(info.clone()),
            None => {
                waiter.register(&mut shared.waiters);
                Poll::Pending
            }
        }
    }

    /// What is to be delivered now, and the end if nothing follows.
    pub(crate) fn collect(&self) -> (Batch, Option<Bytes>) {
        let mut shared = self.shared.borrow_mut();
        shared.queued = false;
        (std::mem::take(&mut shared.batch), shared.end.take())
    }

    /// For the task: what was asked since last time. Registers for the next change.
    pub(super) fn take_steering(&self, waiter: &Waiter) -> Steering {
        let mut shared = self.shared.borrow_mut();
        waiter.register(&mut shared.waiters);
        std::mem::take(&mut shared.steering)
    }

    pub(super) fn has_credit(&self) -> bool {
        let shared = self.shared.borrow();
        shared.frames > 0 && shared.bytes > 0
    }

    /// For the task: add to the batch and pay for it.
    pub(super) fn pack(&self, add: impl FnOnce(&mut Batch)) {
        let mut shared = self.shared.borrow_mut();
        let (frames, bytes) = (shared.batch.frames(), shared.batch.bytes());
        add(&mut shared.batch);
        let (frames, bytes) = (shared.batch.frames() - frames, shared.batch.bytes() - bytes);
        shared.frames -= i64::from(frames);
        shared.bytes -= bytes as i64;
        drop(shared);
        self.network.commands(|commands| commands.charge(bytes));
    }

    /// True when the worker should drain before more is packed.
    pub(super) fn is_full(&self) -> bool {
        self.network.commands(|commands| commands.is_full())
    }

    pub(super) fn batch(&self) -> Ref<'_, Batch> {
        Ref::map(self.shared.borrow(), |shared| &shared.batch)
    }

    /// For the task: deliver the batch at the end of this turn.
    pub(super) fn deliver(&self) {
        let mut shared = self.shared.borrow_mut();
        if !std::mem::replace(&mut shared.queued, true) {
            self.dirty.borrow_mut().push(shared.handle);
        }
    }

    pub(super) fn end(&self, error: Bytes) {
        self.shared.borrow_mut().end = Some(error);
        self.deliver();
    }

    pub(super) fn confirm(&self, info: Result<TrackInfo>) {
        self.change(|shared| shared.info = Some(info));
    }

    fn change(&self, change: impl FnOnce(&mut RefMut<'_, Shared>)) {
        let mut shared = self.shared.borrow_mut();
        change(&mut shared);
        let waiters = shared.waiters.take();
        drop(shared);
        waiters.wake();
    }
}
