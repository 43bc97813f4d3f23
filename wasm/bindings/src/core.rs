//! The object the worker holds. One file per noun; every method checks its numbers, calls the model and converts.
//!
//! The worker's contract:
//!
//! 1. After any batch of calls, call `poll` once. It returns when the next poll is due: a time that has passed means
//!    there is more to do, so drain, let others have a turn, and poll again.
//! 2. After `poll`, read `commandsLength` bytes at `commandsPointer`, carry them out, then call `drained`.
//! 3. After a trap never call anything again.

mod broadcast;
pub(crate) mod dynamic;
#[cfg(feature = "fault-injection")]
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod origin;
mod producer;
mod read;
pub(crate) mod rival;
mod session;
mod stats;
mod streams;
#[cfg(test)]
mod tests;
mod track;

use std::{cell::RefCell, rc::Rc, time::Duration};

use moq_net::{Limits, Runtime};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{
    clock,
    command::{Command, Outcome},
    error::Result,
    executor::Executor,
    heap::Heap,
    host::WorkerHost,
    object::{Object, Objects, key},
    operation::Operations,
    panic::{self, PanicSink},
    reader::{Dirty, Reader},
    slab::Key,
    timer::Timers,
    transport::{Network, Session as Transport},
};

/// Longest a poll may take before the worker's other inputs get a turn.
const POLL_BUDGET: Duration = Duration::from_millis(3);

/// Everything that lives in one worker.
#[wasm_bindgen]
pub struct Core {
    heap: Heap,
    executor: Executor,
    network: Network,
    timers: Timers,
    runtime: Runtime,
    objects: Rc<RefCell<Objects>>,
    operations: Operations,
    dirty: Dirty,
    /// Transports the worker opened that no session has taken yet.
    transports: Vec<Transport>,
}

#[wasm_bindgen]
impl Core {
    /// A core without sessions. `seed` is 32 bytes of good randomness; `panic` hears of a panic before the trap.
    #[wasm_bindgen(constructor)]
    pub fn new(panic: PanicSink, seed: &[u8]) -> Self {
        panic::report_to(panic);
        Self::with_limits(seed, Limits::browser())
    }

    /// Run what is ready, for a few milliseconds at most. Times are milliseconds of the worker's monotonic clock; the
    /// result is when to poll again, infinity for "on the next input".
    pub fn poll(&mut self, now: f64) -> f64 {
        #[cfg(feature = "fault-injection")]
        fault::check();
        self.timers.advance(clock::duration(now));
        let until = clock::now() + POLL_BUDGET;
        let network = self.network.clone();
        let more = self
            .executor
            .run(|| clock::now() >= until || network.commands(|commands| commands.is_full()));
        self.deliver();
        self.network.commands(crate::command::Commands::pack);
        self.heap.check();
        if more {
            return now;
        }
        self.timers.next().map_or(f64::INFINITY, clock::millis)
    }

    /// Where the packed commands are.
    #[wasm_bindgen(js_name = commandsPointer)]
    pub fn commands_pointer(&self) -> u32 {
        self.network
            .commands(|commands| commands.packed().as_ptr().addr() as u32)
    }

    /// How many bytes they are.
    #[wasm_bindgen(js_name = commandsLength)]
    pub fn commands_length(&self) -> u32 {
        self.network
            .commands(|commands| commands.packed().len() as u32)
    }

    /// The commands were carried out and their payloads copied.
    pub fn drained(&mut self) {
        self.network.commands(crate::command::Commands::drained);
    }

    /// Withdraw an operation. No effect once it has settled.
    pub fn cancel(&mut self, operation: f64) {
        self.operations.cancel(&mut self.executor, key(operation));
    }

    /// Free a handle.
    ///
    /// # Errors
    /// `usage` when it is not in use.
    pub fn release(&mut self, handle: f64) -> Result<()> {
        self.touch();
        let object = self.objects.borrow_mut().remove(handle)?;
        if let Some(task) = object.task() {
            self.executor.cancel(task);
        }
        drop(object);
        // What waits for something of this object holds it as well, and would wait for ever.
        self.operations.abandon(&mut self.executor, key(handle));
        Ok(())
    }

    /// Drop every handle and operation, and what works for them. Sessions say goodbye in the next poll.
    pub fn shutdown(&mut self) {
        self.touch();
        self.operations.clear(&mut self.executor);
        let objects = self.objects.borrow_mut().drain();
        for task in objects.iter().filter_map(Object::task) {
            self.executor.cancel(task);
        }
        drop(objects);
        self.transports.clear();
    }
}

impl Core {
    /// A core with limits of its own, for tests.
    pub(crate) fn with_limits(seed: &[u8], limits: Limits) -> Self {
        let timers = Timers::default();
        let network = Network::default();
        let host = WorkerHost::new(timers.clone(), seed_words(seed));
        Self {
            heap: Heap::new(),
            executor: Executor::default(),
            operations: Operations::new(network.clone()),
            runtime: Runtime::new(host, limits),
            network,
            timers,
            objects: Rc::default(),
            dirty: Rc::default(),
            transports: Vec::new(),
        }
    }

    /// Calls between polls see the time as it is, not as it was at the last poll.
    fn touch(&self) {
        self.timers.advance(clock::now());
    }

    fn insert(&self, object: Object) -> f64 {
        self.objects.borrow_mut().insert(object)
    }

    /// A reader whose task `work` makes.
    fn insert_reader<W>(&mut self, work: impl FnOnce(Reader) -> W) -> f64
    where
        W: Future<Output = ()> + 'static,
    {
        let (executor, dirty, network) = (&mut self.executor, &self.dirty, &self.network);
        self.objects.borrow_mut().insert_with(|handle| {
            let reader = Reader::new(handle, dirty.clone(), network.clone());
            let task = executor.spawn(work(reader.clone()));
            Object::Reader { reader, task }
        })
    }

    /// Start an operation.
    fn start(&mut self, work: impl Future<Output = Result<Outcome>> + 'static) -> f64 {
        self.operations.start(&mut self.executor, work)
    }

    /// Start an operation that watches the object behind a handle and ends with it.
    fn start_on(
        &mut self,
        owner: f64,
        work: impl Future<Output = Result<Outcome>> + 'static,
    ) -> f64 {
        let operation = self.start(work);
        self.operations.own(key(operation), key(owner));
        operation
    }

    /// Turn what the readers packed into commands: one batch each.
    fn deliver(&self) {
        let dirty: Vec<Key> = std::mem::take(&mut *self.dirty.borrow_mut());
        let objects = self.objects.borrow();
        for handle in dirty {
            let Some(reader) = objects.find_reader(handle) else {
                continue;
            };
            let (batch, end) = reader.collect();
            self.network.commands(|commands| {
                if !batch.is_empty() {
                    commands.push(Command::Deliver {
                        reader: handle,
                        batch,
                    });
                }
                if let Some(error) = end {
                    commands.push(Command::End { handle, error });
                }
            });
        }
    }
}

/// The seed as the generator's words; never all zero, which it could not leave.
fn seed_words(seed: &[u8]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(seed.chunks_exact(8)) {
        *word = bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    if words == [0; 4] { [1, 2, 3, 4] } else { words }
}
